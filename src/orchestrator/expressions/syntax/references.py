"""Finds every read of a free name in a template, and whether the template handles a null value there."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from orchestrator.expressions.problem import Fact, Reference
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.syntax.facts import facts
from orchestrator.expressions.syntax.nodes import Expression, Statement, subexpressions

DEFINITION_TESTS = frozenset({"defined", "undefined", "none", "null", "empty", "true", "false"})
DEFAULT_FILTERS = frozenset({"default", "d"})
_ORDERINGS = frozenset({"<", "<=", ">", ">="})


def references_of(body: list[Statement], *, condition: bool) -> tuple[Reference, ...]:
    """Return the reads of free names in text order; with `condition` only the truth of the value matters."""
    finder = _ReferenceFinder()
    finder.statements(body, set(), frozenset(), truth=condition)
    finder.found.sort(key=lambda reference: (reference.start, reference.end))
    return tuple(finder.found)


def assigned_names(body: list[Statement]) -> set[str]:
    """Return all names that the statements may set, at any depth."""
    names: set[str] = set()
    for statement in body:
        match statement:
            case nodes.Declare():
                names.update(statement.names)
            case nodes.Assign() if statement.member is None:
                names.update(statement.targets)
            case nodes.Capture():
                names.update((statement.name, statement.placeholder), assigned_names(statement.body))
            case nodes.For():
                names.update(statement.targets, ("loop",), assigned_names(statement.body))
                names |= assigned_names(statement.otherwise or [])
            case nodes.If():
                for _, inner in statement.branches:
                    names |= assigned_names(inner)
                names |= assigned_names(statement.otherwise or [])
            case _:
                pass
    return names


def assigned_members(body: list[Statement]) -> list[str]:
    """Return the namespace fields that the statements may set, at any depth, in text order."""
    names: list[str] = []
    for statement in body:
        match statement:
            case nodes.Assign(member=str(member)):
                names.append(member)
            case nodes.Declare():  # it may replace an invalid assignment
                names += statement.names
            case nodes.Capture():
                names += assigned_members(statement.body)
            case nodes.For():
                names += assigned_members(statement.body) + assigned_members(statement.otherwise or [])
            case nodes.If():
                for _, inner in statement.branches:
                    names += assigned_members(inner)
                names += assigned_members(statement.otherwise or [])
            case _:
                pass
    return names


def names_in(node: Expression) -> set[str]:
    """Return the names that an expression reads."""
    found: set[str] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, nodes.Name):
            found.add(current.name)
        else:
            stack.extend(subexpressions(current))
    return found


def path_of(node: Expression) -> tuple[nodes.Name, tuple[str | int, ...]] | None:
    """Return the name and the constant fields and indices of `a.b['c'][0]`; None for anything else."""
    parts: list[str | int] = []
    while True:
        if isinstance(node, nodes.Attribute):
            parts.append(node.name)
            node = node.target
        elif isinstance(node, nodes.Item):
            index = node.index
            value: Any = None
            if isinstance(index, nodes.Unary) and index.operator == "-" and isinstance(index.operand, nodes.Literal):
                value = -index.operand.value if type(index.operand.value) is int else None
            elif isinstance(index, nodes.Literal):
                value = index.value
            if type(value) is not str and type(value) is not int:
                return None
            parts.append(value)
            node = node.target
        elif isinstance(node, nodes.Name):
            return node, tuple(reversed(parts))
        else:
            return None


class _ReferenceFinder:
    """Walks a template. `known` are the names that it always sets, `safe` those that a condition has tested."""

    def __init__(self) -> None:
        self.found: list[Reference] = []
        self.given: frozenset[Fact] = frozenset()

    def _assume(self, test: Expression, known: set[str], *, holds: bool) -> None:
        """Assume the facts of a test, except those about names that the template itself sets."""
        self.given |= {fact for fact in facts(test, holds=holds) if known.isdisjoint(fact.names)}

    def statements(self, body: list[Statement], known: set[str], safe: frozenset[str], *, truth: bool = False) -> None:
        for statement in body:
            match statement:
                case nodes.Output():
                    self.expression(statement.expression, known, safe, guarded=truth)
                case nodes.Declare():
                    known.update(statement.names)
                case nodes.Assign():
                    self.expression(statement.value, known, safe)
                    if statement.member is None:
                        known.update(statement.targets)
                case nodes.Capture():
                    self.statements(statement.body, set(known), safe)
                    if statement.filters is not None:
                        self.expression(statement.filters, known | {statement.placeholder}, safe)
                    known.add(statement.name)
                case nodes.If():
                    self._if(statement, known, safe)
                case nodes.For():
                    self._for(statement, known, safe)
                case nodes.Text():
                    pass

    def _if(self, statement: nodes.If, known: set[str], safe: frozenset[str]) -> None:
        outcomes: list[set[str]] = []
        before = self.given
        for test, body in statement.branches:
            self.expression(test, known, safe, guarded=True)
            safe = safe | names_in(test)
            inner = set(known)
            others = self.given
            self._assume(test, known, holds=True)
            self.statements(body, inner, safe)
            outcomes.append(inner)
            self.given = others
            self._assume(test, known, holds=False)
        inner = set(known)
        self.statements(statement.otherwise or [], inner, safe)
        self.given = before
        known |= inner.intersection(*outcomes)

    def _for(self, statement: nodes.For, known: set[str], safe: frozenset[str]) -> None:
        self.expression(statement.iterable, known, safe)
        inside = known.union(statement.targets)
        if statement.condition is not None:
            self.expression(statement.condition, inside, safe, guarded=True)
            safe = safe | names_in(statement.condition)
        self.statements(statement.body, inside | {"loop"}, safe)
        self.statements(statement.otherwise or [], set(known), safe)

    def expression(self, node: Expression, known: set[str], safe: frozenset[str], *, guarded: bool = False) -> None:
        """Walk an expression; `guarded`: null or undefined is acceptable here."""
        match node:
            case nodes.Literal():
                return
            case nodes.Name() | nodes.Attribute() | nodes.Item():
                self._read(node, known, safe, guarded)
            case nodes.Unary(operator="not"):
                self.expression(node.operand, known, safe, guarded=True)
            case nodes.Logic():
                self.expression(node.left, known, safe, guarded=True)
                before = self.given
                self._assume(node.left, known, holds=node.operator == "and")
                self.expression(node.right, known, safe | names_in(node.left), guarded=guarded)
                self.given = before
            case nodes.Conditional():
                self.expression(node.test, known, safe, guarded=True)
                safe = safe | names_in(node.test)
                before = self.given
                self._assume(node.test, known, holds=True)
                self.expression(node.then, known, safe, guarded=guarded)
                self.given = before
                if node.otherwise is not None:
                    self._assume(node.test, known, holds=False)
                    self.expression(node.otherwise, known, safe, guarded=guarded)
                    self.given = before
            case nodes.Compare(rest=[(("==" | "!="), nodes.Literal(value=None))]):
                self.expression(node.first, known, safe, guarded=True)
            case nodes.Compare():
                signs = ["", *(sign for sign, _ in node.rest), ""]
                for number, operand in enumerate((node.first, *(operand for _, operand in node.rest))):
                    ordering = next((sign for sign in signs[number : number + 2] if sign in _ORDERINGS), "")
                    self._operand(operand, ordering, known, safe)
            case nodes.Binary():
                self._operand(node.left, node.operator, known, safe)
                self._operand(node.right, node.operator, known, safe)
            case nodes.Call():
                self._call(node, known, safe, guarded)
            case _:
                for child in subexpressions(node):
                    self.expression(child, known, safe)

    def _operand(self, node: Expression, operator: str, known: set[str], safe: frozenset[str]) -> None:
        before = len(self.found)
        self.expression(node, known, safe)
        if path_of(node) is not None:
            self.found[before:] = [replace(reference, operator=operator) for reference in self.found[before:]]

    def _call(self, node: nodes.Call, known: set[str], safe: frozenset[str], guarded: bool) -> None:
        copes = (node.kind == "filter" and node.name in DEFAULT_FILTERS) or (
            node.kind == "test" and node.name in DEFINITION_TESTS
        )
        if node.target is not None and node.kind != "loop":
            self.expression(node.target, known, safe, guarded=copes)
        for argument in (*node.positional, *node.keywords.values()):
            self.expression(argument, known, safe, guarded=copes and guarded)

    def _read(self, node: Expression, known: set[str], safe: frozenset[str], guarded: bool) -> None:
        found = path_of(node)
        if found is not None:
            name, path = found
            if name.name not in known:
                copes = guarded or name.name in safe
                self.found.append(Reference(name.name, path, name.start, node.end, copes, self.given))
            return
        if isinstance(node, nodes.Attribute):
            self.expression(node.target, known, safe, guarded=guarded)
        elif isinstance(node, nodes.Item):
            self.expression(node.target, known, safe, guarded=guarded)
            self.expression(node.index, known, safe)
