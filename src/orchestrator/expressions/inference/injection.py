"""Finds injections: expressions whose text a shell, or code such as SQL, would execute."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.expressions.inference.statement_inferrer import infer
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.syntax.references import DEFAULT_FILTERS, references_of
from orchestrator.expressions.types.operators import alternatives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.expressions.problem import Reference
    from orchestrator.expressions.syntax.nodes import Expression, Statement
    from orchestrator.expressions.types.value_types import Type

_WORD: Final = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")
_NO_TEXT: Final = frozenset({"integer", "number", "boolean", "null"})


def shell_injections(
    body: list[Statement], env: Mapping[str, Type], trusted: Callable[[Reference], bool]
) -> list[Expression]:
    """Return the expressions whose text a shell would read as part of its command.

    Quoted values, numbers, words of an enumeration, and values of trusted reads alone are safe.
    """
    finder = _InjectionFinder(env, trusted)
    finder.statements(body, {})
    return finder.found


def code_injections(
    body: list[Statement], env: Mapping[str, Type], trusted: Callable[[Reference], bool]
) -> list[Expression]:
    """Return the expressions whose text would run as part of the surrounding code.

    Like `shell_injections`, except that `quote` does not help, and lists of numbers are safe. Code that is one value as
    a whole, such as the answer of a model, is not an injection.
    """
    match [part for part in body if not isinstance(part, nodes.Text) or part.text.strip()]:
        case [nodes.Output(expression=whole)] if not isinstance(whole, nodes.Concat | nodes.Binary):
            return []
    finder = _InjectionFinder(env, trusted, shell=False)
    finder.statements(body, {})
    return finder.found


def shell_quoted(body: list[Statement]) -> Iterator[Expression]:
    """Yield the expressions of a template that are quoted for a shell."""
    for statement in body:
        match statement:
            case nodes.Output(expression=nodes.Call(kind="filter") as call) if _is_quoted(call):
                yield call
            case nodes.If():
                for _, branch in statement.branches:
                    yield from shell_quoted(branch)
                yield from shell_quoted(statement.otherwise or [])
            case nodes.For():
                yield from shell_quoted(statement.body)
            case _:
                pass


class _InjectionFinder:
    """Walks a template; `local` tells for each name that it sets whether its text is harmless."""

    def __init__(self, env: Mapping[str, Type], trusted: Callable[[Reference], bool], *, shell: bool = True) -> None:
        self.env = env
        self.trusted = trusted
        self.shell = shell
        self.found: list[Expression] = []

    def statements(self, body: list[Statement], local: dict[str, bool]) -> None:
        for statement in body:
            match statement:
                case nodes.Output():
                    if not self.is_harmless(statement.expression, local):
                        self.found.append(statement.expression)
                case nodes.Assign() if statement.member is None:
                    local.update(dict.fromkeys(statement.targets, self.is_harmless(statement.value, local)))
                case nodes.Capture():
                    inner = _InjectionFinder(self.env, self.trusted, shell=self.shell)
                    inner.statements(statement.body, dict(local))
                    local[statement.name] = not inner.found
                case nodes.If():
                    for _, branch in statement.branches:
                        self.statements(branch, local)
                    self.statements(statement.otherwise or [], local)
                case nodes.For():
                    items = self.is_harmless(statement.iterable, local)
                    self.statements(statement.body, {**local, **dict.fromkeys(statement.targets, items), "loop": True})
                    self.statements(statement.otherwise or [], dict(local))
                case _:
                    pass

    def is_harmless(self, node: Expression, local: Mapping[str, bool]) -> bool:
        """Whether a shell reads the text of an expression as a word, or code as a value, for every possible value."""
        match node:
            case nodes.Call(kind="filter") if self.shell and _is_quoted(node):
                return True
            case nodes.Call(kind="filter", target=target) if node.name in DEFAULT_FILTERS and target is not None:
                return all(self.is_harmless(part, local) for part in (target, *node.positional))
            case nodes.Conditional(then=then, otherwise=otherwise):
                return self.is_harmless(then, local) and (otherwise is None or self.is_harmless(otherwise, local))
            case nodes.Logic(left=left, right=right):
                return self.is_harmless(left, local) and self.is_harmless(right, local)
            case nodes.Concat(parts=parts):
                return all(self.is_harmless(part, local) for part in parts)
        reads = references_of([nodes.Output(node)], condition=False)
        if all(local[read.name] if read.name in local else self.trusted(read) for read in reads):
            return True
        if any(read.name in local for read in reads):
            return False
        return self.is_not_text(infer([], node, self.env).type)

    def is_not_text(self, type_: Type) -> bool:
        """Whether all values of a type are numbers, booleans, nulls or words of an enumeration."""
        return all(
            option.kind in _NO_TEXT
            or _is_closed(option)
            or (
                not self.shell
                and option.kind == "array"
                and option.items is not None
                and self.is_not_text(option.items)
            )
            for option in alternatives(type_)
        )


def _is_quoted(call: nodes.Call) -> bool:
    """Whether a filter quotes its value: `quote`, or `map('quote') | join(' ')`."""
    if call.name == "quote":
        return True
    inner = call.target
    return (
        call.name == "join"
        and isinstance(inner, nodes.Call)
        and inner.name == "map"
        and any(isinstance(part, nodes.Literal) and part.value == "quote" for part in inner.positional)
    )


def _is_closed(type_: Type) -> bool:
    """Whether a type is an enumeration of harmless words."""
    return bool(type_.enum) and all(isinstance(word, str) and _WORD.fullmatch(word) for word in type_.enum or ())
