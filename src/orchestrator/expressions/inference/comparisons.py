"""Comparisons with a constant that the value can never have, such as an unknown status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.expressions.problem import Problem, near
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.syntax.references import path_of
from orchestrator.expressions.types.operators import NUMERIC, alternatives, without_attributes
from orchestrator.expressions.types.value_types import describe_type
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.expressions.syntax.nodes import Expression
    from orchestrator.expressions.types.value_types import Type

_MEANT: Final = {
    **dict.fromkeys(
        ("completed", "complete", "success", "successful", "done", "ok", "finished", "passed"), "succeeded"
    ),
    **dict.fromkeys(("error", "errored", "failure", "fail", "crashed"), "failed"),
    **dict.fromkeys(("skip", "omitted"), "skipped"),
    **dict.fromkeys(("canceled", "aborted", "stopped", "terminated"), "cancelled"),
}
"""Names of the states in other systems."""


def never_equal(left: Expression, left_type: Type, sign: str, right: Expression, right_type: Type) -> Iterator[Problem]:
    """Yield a problem for each constant of a comparison that the other side can never equal."""
    if sign in ("==", "!="):
        for one, type_, other in ((left, left_type, right), (right, right_type, left)):
            if isinstance(other, nodes.Literal):
                yield from _against(one, type_, other, sign)
    elif sign in ("in", "not in") and isinstance(right, nodes.ListOf):
        for item in right.items:
            if isinstance(item, nodes.Literal):
                yield from _against(left, left_type, item, sign)


def _against(node: Expression, type_: Type, constant: nodes.Literal, sign: str) -> Iterator[Problem]:
    value = constant.value
    if value is None or isinstance(node, nodes.Literal):
        return
    words = _closed(type_)
    if words is None:
        if isinstance(value, str) and all(option.kind in NUMERIC for option in alternatives(type_)):
            message = f"{_named(node)} is {describe_type(without_attributes(type_))}, never the string '{value}'"
            yield _problem(node, constant, sign, message, "write the number without quotes")
        return
    if value in words:
        return
    known = [word for word in words if isinstance(word, str)]
    meant = near(value, known) if isinstance(value, str) else None
    other = _MEANT.get(value.lower()) if isinstance(value, str) else None
    help = "compare it with one of these values"
    if meant or other in known:
        help = f"did you mean `{meant or other}`?"
    elif isinstance(value, str) and value.lower() in ("true", "false", "yes", "no"):
        help = "use the value alone, or with `not`"
    shown = quoted_list((_shown(word) for word in words), most=12)
    never = f"the string '{value}'" if isinstance(value, str) and not known else f"`{_shown(value)}`"
    message = f"{_named(node)} is never {never}; it is one of {shown}"
    yield _problem(node, constant, sign, message, help, meant)


def _problem(
    node: Expression, constant: nodes.Literal, sign: str, message: str, help: str, replacement: str | None = None
) -> Problem:
    inside = isinstance(constant.value, str) and constant.end - constant.start == len(constant.value) + 2
    start, end = (constant.start + 1, constant.end - 1) if inside else (constant.start, constant.end)
    label = {"==": "always false", "!=": "always true"}.get(sign, "never found")
    return Problem(
        codes.CONSTANT_COMPARISON,
        message,
        start,
        end,
        help,
        label,
        severity="warning",
        replacement=replacement if inside else None,
    )


def _named(node: Expression) -> str:
    place = path_of(node)
    return f"`{'.'.join([place[0].name, *map(str, place[1])])}`" if place else "the value"


def _closed(type_: Type) -> list[Any] | None:
    """Return all values of a type except null; None if they are unknown."""
    words: list[Any] = []
    for option in alternatives(type_):
        if option.enum:
            words += option.enum
        elif option.kind == "boolean":
            words += [True, False]
        elif option.kind != "null":
            return None
    return words or None


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
