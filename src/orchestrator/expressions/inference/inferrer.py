"""Infers the type of a template's value from the types of the names it reads, and finds what is sure to fail.

It reports only what can never work: a field that the value is declared not to have, an operation that the types do not
support. In doubt a value is `any`, which supports everything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.tests import TESTS
from orchestrator.expressions.evaluation.scope import LOOP_FIELDS
from orchestrator.expressions.inference.comparisons import never_equal
from orchestrator.expressions.inference.operand_help import operand_help
from orchestrator.expressions.problem import Inference, Problem, near
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.syntax.messages import REFUSED_NAMES, missing_field
from orchestrator.expressions.syntax.references import DEFAULT_FILTERS, DEFINITION_TESTS, assigned_members, path_of
from orchestrator.expressions.types.environment import vocabulary_of
from orchestrator.expressions.types.operators import NUMERIC, alternatives, arithmetic, comparable, without_attributes
from orchestrator.expressions.types.value_types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    Type,
    array_of,
    describe_type,
    object_of,
    union_of,
)
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.expressions.syntax.nodes import Expression, Statement

_TABLES: Final = {"filter": FILTERS, "test": TESTS, "function": FUNCTIONS, "method": METHODS}
_MOST_NAMES: Final = 12
"""How many known names are listed for an unknown one."""
_SIZED: Final = frozenset({"string", "array", "object"})
_OTHER_LOOP_FIELDS: Final = {"first": BOOLEAN, "last": BOOLEAN, "previtem": ANY, "nextitem": ANY}
_LOOP: Final = object_of({name: _OTHER_LOOP_FIELDS.get(name, INTEGER) for name in LOOP_FIELDS})
_LITERALS: Final[dict[type, Type]] = {str: STRING, int: INTEGER, bool: BOOLEAN, float: NUMBER, type(None): NULL}


@lru_cache(maxsize=64)
def _names_here(names: tuple[str, ...]) -> str:
    """Return the help that lists names, cached because many problems may share it."""
    return f"the defined names are {quoted_list(names, most=_MOST_NAMES)}"


def infer(body: list[Statement], expression: Expression | None, env: Mapping[str, Type]) -> Inference:
    """Infer the type of a template; `expression` is its only expression, if it consists of nothing else."""
    inferrer = _Inferrer(body, env)
    if expression is not None:
        type_ = inferrer.type(expression, {})
    else:
        inferrer.statements(body, {})
        type_ = STRING
    return Inference(type_, tuple(inferrer.problems))


def _describe(type_: Type) -> str:
    return describe_type(without_attributes(type_))


class _Inferrer:
    """Walks a template with the types of the names.

    `quiet` counts the enclosing constructs that handle a missing value, `asked` those that test whether it is defined.
    """

    def __init__(self, body: list[Statement], env: Mapping[str, Type]) -> None:
        self.body = body
        self.env = env
        self.problems: list[Problem] = []
        self.quiet = 0
        self.asked = 0

    def report(self, code: str, message: str, node: Expression, help: str | None = None, label: str = "") -> None:
        self.problems.append(Problem(code, message, node.start, node.end, help, label))

    # --- statements

    def statements(self, body: list[Statement], local: dict[str, Type]) -> None:
        for statement in body:
            match statement:
                case nodes.Output():
                    self.type(statement.expression, local)
                case nodes.Declare():
                    local.update(dict.fromkeys(statement.names, ANY))
                case nodes.Assign():
                    value = self.type(statement.value, local)
                    if statement.member is None:
                        single = len(statement.targets) == 1 and not statement.unpacked
                        local.update(dict.fromkeys(statement.targets, value if single else ANY))
                        if statement.unpacked and self._never(value, ("array",)):
                            self._not_unpacked(value, statement.targets, statement.value, "use a list of values")
                case nodes.Capture():
                    self.statements(statement.body, dict(local))
                    inside = {**local, statement.placeholder: STRING}
                    local[statement.name] = self.type(statement.filters, inside) if statement.filters else STRING
                case nodes.If():
                    self._if(statement, local)
                case nodes.For():
                    self._for(statement, local)
                case nodes.Text():
                    pass

    def _if(self, statement: nodes.If, local: dict[str, Type]) -> None:
        outcomes = []
        for test, body in statement.branches:
            self.type(test, local)
            inner = dict(local)
            self.statements(body, inner)
            outcomes.append(inner)
        inner = dict(local)
        self.statements(statement.otherwise or [], inner)
        outcomes.append(inner)
        for name in {name for outcome in outcomes for name in outcome}:
            kinds = [outcome.get(name) or self.env.get(name) or ANY for outcome in outcomes]
            local[name] = (
                kinds[0] if all(kind is kinds[0] for kind in kinds) else union_of(map(without_attributes, kinds))
            )

    def _for(self, statement: nodes.For, local: dict[str, Type]) -> None:
        source = self.type(statement.iterable, local)
        item = self.item_type(source, statement.iterable)
        inner = dict(local)
        if statement.unpacked:
            inner.update(dict.fromkeys(statement.targets, ANY))
            if self._never(item, ("array",)):
                help = "each item must be a list; use a single name, and read the fields of the item"
                if source.kind == "object":
                    help = "a loop over an object yields its field names; for pairs with the values use `.items()`"
                self._not_unpacked(item, statement.targets, statement.iterable, help)
        else:
            inner[statement.targets[0] if statement.targets else ""] = item
        if statement.condition is not None:
            self.type(statement.condition, inner)
        inner["loop"] = _LOOP
        self.statements(statement.body, inner)
        self.statements(statement.otherwise or [], dict(local))

    def _not_unpacked(self, value: Type, targets: list[str], node: Expression, help: str) -> None:
        message = f"{_describe(value)} cannot be unpacked into {quoted_list(targets, most=8)}"
        self.report(codes.INCOMPATIBLE_TYPES, message, node, help, "incompatible types")

    def item_type(self, source: Type, node: Expression) -> Type:
        """Return the type of the items of a loop over the source."""
        items = []
        for option in alternatives(source):
            if option.kind == "any":
                return ANY
            if option.kind == "array":
                items.append(option.items or ANY)
            elif option.kind in ("string", "object"):
                items.append(STRING)
        if not items:
            self.report(
                codes.INCOMPATIBLE_TYPES,
                f"cannot loop over {describe_type(source)}",
                node,
                "loop over a list, an object or a string",
                "not a list",
            )
            return ANY
        return union_of(items)

    # --- expressions

    def type(self, node: Expression, local: dict[str, Type]) -> Type:
        """Return the type of an expression, and report its problems."""
        return _RULES[type(node)](self, node, local)

    def _literal(self, node: nodes.Literal, local: dict[str, Type]) -> Type:
        return _LITERALS[type(node.value)]

    def _name(self, node: nodes.Name, local: dict[str, Type]) -> Type:
        found = local.get(node.name) or self.env.get(node.name)
        if found is None:
            self._undefined(node, local)
            return ANY
        return found

    def _undefined(self, node: nodes.Name, local: dict[str, Type]) -> None:
        name = node.name
        if name in FUNCTIONS:
            help: str | None = f"`{name}` is a function: write `{name}()`"
            suggestion = None
        elif name in REFUSED_NAMES:
            suggestion = None
            help = REFUSED_NAMES[name]
        else:
            vocabulary = vocabulary_of(self.env)
            suggestion = vocabulary.near(name, *local)
            if suggestion:
                help = f"did you mean `{suggestion}`?"
            else:
                names = tuple(sorted({*vocabulary.smallest(), *local}) if local else vocabulary.smallest())
                help = _names_here(names) if names else "define it as an input, a variable or a step"
        self.problems.append(
            Problem(
                codes.UNDEFINED_NAME,
                f"`{name}` is not defined{', in any run' if self.quiet else ''}",
                node.start,
                node.end,
                help,
                "not defined",
                severity="warning" if self.quiet else "error",
                replacement=suggestion,
            )
        )

    def _attribute(self, node: nodes.Attribute, local: dict[str, Type]) -> Type:
        return self._field(node, self.type(node.target, local), node.target, node.name, node.name_start)

    def _field(self, node: Expression, source: Type, target: Expression, name: str, start: int) -> Type:
        if name in source.attributes:
            return source.attributes[name]
        found = []
        for option in alternatives(source):
            if option.kind == "any":
                return ANY
            if option.kind == "object":
                if name in option.properties:
                    found.append(option.properties[name])
                elif not option.closed:
                    return ANY
            elif name in option.attributes:
                found.append(option.attributes[name])
        if found:
            return union_of(found) if len(found) > 1 else found[0]
        if not self.asked:  # a default does not make a field that never exists correct
            fields = (each for option in alternatives(source) if option.kind == "object" for each in option.properties)
            known = dict.fromkeys([*fields, *source.attributes])  # last: the fields of this value are suggested first
            self._no_field(source, target, name, known, start, node.end)
        return ANY

    def _no_field(
        self, source: Type, target: Expression, name: str, known: Mapping[str, None], start: int, end: int
    ) -> None:
        place = path_of(target)
        what = f"`{'.'.join([place[0].name, *map(str, place[1])])}`" if place else "the value"
        method = name in METHODS and source.kind in METHODS[name].accepts
        suggestion = None if method else near(name, known)
        replacement = f"'{suggestion}'" if suggestion and end - start > len(name) else suggestion
        if known:
            message = f"`{name}` is not a field of {what}; it has {quoted_list(known, most=12)}"
            help = (
                f"did you mean `{suggestion}`?"
                if suggestion
                else "read one of these, or add the field where the value is created"
            )
        else:
            message = f"{what} is {_describe(source)}, so it has no field `{name}`"
            written = what.strip("`") if place else "value"
            if isinstance(target, nodes.Call) and target.name == "now":
                written = "now()"
            help = missing_field(source.kind, name, written)
        if method:
            help = f"call the method: `.{name}()`"
        self.problems.append(
            Problem(codes.UNKNOWN_FIELD, message, start, end, help, "no such field", replacement=replacement)
        )

    def _item(self, node: nodes.Item, local: dict[str, Type]) -> Type:
        source = self.type(node.target, local)
        index = self.type(node.index, local)
        if isinstance(node.index, nodes.Literal) and isinstance(node.index.value, str):
            if source.kind in ("object", "union") or source.attributes:
                return self._field(node.index, source, node.target, node.index.value, node.index.start)
            return ANY
        items = []
        for option in alternatives(source):
            if option.kind == "array":
                items.append(option.items or ANY)
            elif option.kind == "string":
                items.append(STRING)
            elif option.kind in ("any", "object"):
                return ANY
        if not items and not self.quiet:
            message = f"{_describe(source)} has no items"
            self.report(
                codes.INCOMPATIBLE_TYPES,
                message,
                node,
                "use the value itself, or read an item of a list",
                "not a list",
            )
            return ANY
        if index.kind == "string" and source.kind in ("array", "string") and not self.quiet:
            message = "a list index must be an integer, not a string"
            self.report(codes.INCOMPATIBLE_TYPES, message, node.index, "convert the index with `| int`")
        return union_of(items)

    def _slice(self, node: nodes.Slice, local: dict[str, Type]) -> Type:
        source = self.type(node.target, local)
        for part in (node.low, node.high, node.step):
            if part is not None:
                self.type(part, local)
        if self._never(source, ("string", "array")):
            self.report(
                codes.INCOMPATIBLE_TYPES,
                f"{_describe(source)} cannot be sliced",
                node,
                "slice a list or a string",
            )
            return ANY
        return without_attributes(source)

    def _unary(self, node: nodes.Unary, local: dict[str, Type]) -> Type:
        if node.operator == "not":
            self._unless_missing(node.operand, local)
            return BOOLEAN
        operand = self.type(node.operand, local)
        if self._never(operand, NUMERIC):
            message = f"{_describe(operand)} cannot be negated"
            self.report(codes.INCOMPATIBLE_TYPES, message, node, "convert it with `| int` or `| float`", "not a number")
            return ANY
        return INTEGER if operand.kind in ("integer", "boolean") else NUMBER if operand.kind == "number" else ANY

    def _never(self, source: Type, kinds: Any) -> bool:
        """Whether no value of the type has one of these kinds."""
        return all(option.kind not in kinds and option.kind != "any" for option in alternatives(source))

    def _binary(self, node: nodes.Binary, local: dict[str, Type]) -> Type:
        echoes = len(self.problems)
        left, right = self.type(node.left, local), self.type(node.right, local)
        if node.operator == "-" and len(self.problems) > echoes:
            self._join_hyphens(node, echoes, local)
        result = arithmetic(node.operator, left, right)
        if result is None:
            help = "convert one of the values, for example with `| int`, `| string` or `| list`"
            if node.operator == "+" and "string" in (left.kind, right.kind):
                help = "to join text use `~`; to compute, convert with `| int` or `| float`"
            elif "string" in (left.kind, right.kind):
                help = "convert the string with `| int` or `| float`"
                if node.operator == "%" and left.kind == "string":
                    help = "format text with the filter: `'%s of %s' | format(a, b)`"
            self.report(
                codes.INCOMPATIBLE_TYPES,
                f"`{node.operator}` does not work on {_describe(left)} and {_describe(right)}",
                node,
                help,
                "incompatible types",
            )
            return ANY
        return result

    def _join_hyphens(self, node: nodes.Binary, since: int, local: dict[str, Type]) -> None:
        """Merge the problems of `fetch-data` into one, if a name with a hyphen was meant."""
        new = self.problems[since:]
        halves = isinstance(node.left, nodes.Name) and isinstance(node.right, nodes.Name | nodes.Attribute)
        if (
            not halves
            or any(problem.code != codes.UNDEFINED_NAME for problem in new)
            or node.right.start != node.left.end + 1
        ):
            return
        assert isinstance(node.left, nodes.Name)  # noqa: S101 - checked above; for the type checker
        right = path_of(node.right)
        if right is None:
            return
        name = f"{node.left.name}-{right[0].name}"
        suggestion = vocabulary_of(self.env).near(name)
        if len(new) < 2 and not (suggestion and "-" in suggestion):
            return
        del self.problems[since:]
        help = f"did you mean `{suggestion}`?" if suggestion else "`-` in a name is a subtraction"
        self.problems.append(
            Problem(
                codes.UNDEFINED_NAME,
                f"`{name}` is not defined",
                node.left.start,
                right[0].end,
                help,
                "not defined",
                replacement=suggestion,
            )
        )

    def _concat(self, node: nodes.Concat, local: dict[str, Type]) -> Type:
        for part in node.parts:
            self.type(part, local)
        return STRING

    def _compare(self, node: nodes.Compare, local: dict[str, Type]) -> Type:
        left = self.type(node.first, local)
        left_node = node.first
        for sign, operand in node.rest:
            right = self.type(operand, local)
            self.problems.extend(never_equal(left_node, left, sign, operand, right))
            if sign in ("in", "not in"):
                if self._never(right, _SIZED):
                    message = f"`in` does not work on {_describe(right)}"
                    self.report(
                        codes.INCOMPATIBLE_TYPES,
                        message,
                        operand,
                        "use a list, an object or a string",
                        "not a list",
                    )
            elif sign not in ("==", "!=") and not comparable(left, right):
                self.problems.append(
                    Problem(
                        codes.INCOMPATIBLE_TYPES,
                        f"{_describe(left)} and {_describe(right)} cannot be ordered",
                        left_node.start,
                        operand.end,
                        "convert the string with `| int` or `| float`"
                        if "string" in (left.kind, right.kind)
                        else "compare their lengths (`| length`), or one of their fields",
                        "incompatible types",
                    )
                )
            left, left_node = right, operand
        return BOOLEAN

    def _unless_missing(self, node: Expression, local: dict[str, Type]) -> Type:
        """Return the type of an expression that may be undefined here.

        An undefined name is still reported: it cannot be defined in any run.
        """
        return self.type(node, local)

    def _logic(self, node: nodes.Logic, local: dict[str, Type]) -> Type:
        left = self._unless_missing(node.left, local)
        right = self.type(node.right, local)
        first, second = without_attributes(left), without_attributes(right)
        if node.operator == "or":  # null is false, so it is never the result of the left side
            kinds = [option for option in alternatives(first) if option.kind != "null"]
            first = union_of(kinds) if kinds else second
        return union_of([first, second])

    def _conditional(self, node: nodes.Conditional, local: dict[str, Type]) -> Type:
        self._unless_missing(node.test, local)
        then = self.type(node.then, local)
        otherwise = self.type(node.otherwise, local) if node.otherwise is not None else NULL
        return union_of([without_attributes(then), without_attributes(otherwise)])

    def _list(self, node: nodes.ListOf, local: dict[str, Type]) -> Type:
        items = [without_attributes(self.type(item, local)) for item in node.items]
        return array_of(union_of(items)) if items else Type("array")

    def _dict(self, node: nodes.DictOf, local: dict[str, Type]) -> Type:
        properties: dict[str, Type] = {}
        constant = True
        for key, value in node.entries:
            name = self.type(key, local)
            kind = without_attributes(self.type(value, local))
            if isinstance(key, nodes.Literal) and isinstance(key.value, str):
                properties[key.value] = kind
            else:
                constant = False
                if self._never(name, ("string",)):
                    self.report(
                        codes.INCOMPATIBLE_TYPES,
                        f"field names must be strings, not {describe_type(name)}",
                        key,
                        "put it in quotes",
                    )
        return object_of(properties) if constant else OBJECT

    def _bad(self, node: nodes.Bad, local: dict[str, Type]) -> Type:
        for part in node.parts:
            self.type(part, local)
        return ANY

    def _call(self, node: nodes.Call, local: dict[str, Type]) -> Type:
        if node.kind == "loop":
            for part in node.positional:
                self.type(part, local)
            return ANY
        entry = _TABLES[node.kind][node.name]
        provides = node.name in (DEFAULT_FILTERS if node.kind == "filter" else DEFINITION_TESTS)
        provides = provides and node.kind in ("filter", "test")
        self.quiet += provides
        self.asked += provides and node.kind == "test"
        target = ANY if node.target is None else self.type(node.target, local)
        self.quiet -= provides
        self.asked -= provides and node.kind == "test"
        positional = [without_attributes(self.type(part, local)) for part in node.positional]
        for part in node.keywords.values():
            self.type(part, local)
        if node.kind == "function" and node.name == "namespace":
            return object_of(dict.fromkeys([*node.keywords, *assigned_members(self.body)], ANY))
        if entry.accepts and node.target is not None and self._never(target, entry.accepts):
            place = path_of(node.target)
            written = "" if place is None else ".".join([place[0].name, *map(str, place[1])])
            wanted = " or ".join(describe_type(Type(kind)) for kind in entry.accepts if kind != "boolean")
            message = f"the {node.kind} `{node.name}` works on {wanted}, not on {_describe(target)}"
            if node.kind == "method":
                message = f"{_describe(target)} has no method `{node.name}`"
            help = operand_help(node.kind, entry, without_attributes(target), written)
            self.report(codes.INCOMPATIBLE_TYPES, message, node, help, "incompatible types")
            return ANY
        return entry.result_type(without_attributes(target), positional)


_RULES: Final[dict[type, Callable[[_Inferrer, Any, dict[str, Type]], Type]]] = {
    nodes.Literal: _Inferrer._literal,
    nodes.Name: _Inferrer._name,
    nodes.Attribute: _Inferrer._attribute,
    nodes.Item: _Inferrer._item,
    nodes.Slice: _Inferrer._slice,
    nodes.Unary: _Inferrer._unary,
    nodes.Binary: _Inferrer._binary,
    nodes.Concat: _Inferrer._concat,
    nodes.Compare: _Inferrer._compare,
    nodes.Logic: _Inferrer._logic,
    nodes.Conditional: _Inferrer._conditional,
    nodes.ListOf: _Inferrer._list,
    nodes.DictOf: _Inferrer._dict,
    nodes.Call: _Inferrer._call,
    nodes.Bad: _Inferrer._bad,
}
