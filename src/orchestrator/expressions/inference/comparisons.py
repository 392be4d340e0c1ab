"""Comparisons with a constant that the value can never have, such as an unknown status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.expressions.problem import Problem, near
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.syntax.references import path_of
from orchestrator.expressions.types.operators import NUMERIC, alternatives, without_attributes
from orchestrator.expressions.types.value_types import ANY, describe_type, union_of
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

_FILTERS_BY_TEST: Final = frozenset({"select", "reject", "selectattr", "rejectattr"})
_SIGNS: Final = {
    **dict.fromkeys(("eq", "equalto", "=="), "=="),
    **dict.fromkeys(("ne", "!="), "!="),
    "in": "in",
}
"""The comparisons that tests make."""


def never_equal(left: Expression, left_type: Type, sign: str, right: Expression, right_type: Type) -> Iterator[Problem]:
    """Yield a problem for each constant of a comparison that the other side can never equal."""
    if sign in ("==", "!="):
        for one, type_, other in ((left, left_type, right), (right, right_type, left)):
            if isinstance(other, nodes.Literal) and not isinstance(one, nodes.Literal):
                yield from _against(_named(one), type_, other, sign)
    elif sign in ("in", "not in") and isinstance(right, nodes.ListOf) and not isinstance(left, nodes.Literal):
        for item in right.items:
            if isinstance(item, nodes.Literal):
                yield from _against(_named(left), left_type, item, sign)


def never_passes(call: nodes.Call, target: Type) -> Iterator[Problem]:
    """As `never_equal`, for tests that compare: `x is eq 'y'`, and `items | selectattr('x', 'eq', 'y')`."""
    arguments = call.positional
    if call.kind == "test" and call.target is not None and arguments and not isinstance(call.target, nodes.Literal):
        yield from _tested(_named(call.target), target, call.name, arguments[0])
    elif call.kind == "filter" and call.name in _FILTERS_BY_TEST:
        constants = [part.value if isinstance(part, nodes.Literal) else None for part in arguments]
        items = _items(target)
        if call.name.endswith("attr") and len(arguments) > 2 and isinstance(constants[0], str):
            name, test = constants[0], constants[1]
            yield from _tested(f"`{name}` of an item", _field(items, name.split(".")), test, arguments[2])
        elif not call.name.endswith("attr") and len(arguments) > 1:
            yield from _tested("an item", items, constants[0], arguments[1])


def _tested(named: str, type_: Type, test: object, wanted: Expression) -> Iterator[Problem]:
    sign = _SIGNS.get(test) if isinstance(test, str) else None
    if sign in ("==", "!=") and isinstance(wanted, nodes.Literal):
        yield from _against(named, type_, wanted, sign)
    elif sign == "in" and isinstance(wanted, nodes.ListOf):
        for item in wanted.items:
            if isinstance(item, nodes.Literal):
                yield from _against(named, type_, item, sign)


def _items(type_: Type) -> Type:
    """Return the type of the items of a list; any for other values."""
    options = alternatives(type_)
    if any(option.kind != "array" or option.items is None for option in options):
        return ANY
    return union_of([option.items for option in options if option.items is not None])


def _field(type_: Type, path: Sequence[str]) -> Type:
    """Return the type of a field; any if some value may have another one."""
    for name in path:
        options = alternatives(type_)
        if any(option.kind != "object" or name not in option.properties for option in options):
            return ANY
        type_ = union_of([option.properties[name] for option in options])
    return type_


def _against(named: str, type_: Type, constant: nodes.Literal, sign: str) -> Iterator[Problem]:
    value = constant.value
    if value is None:
        return
    words = _closed(type_)
    if words is None:
        if isinstance(value, str) and all(option.kind in NUMERIC for option in alternatives(type_)):
            message = f"{named} is {describe_type(without_attributes(type_))}, never the string '{value}'"
            yield _problem(constant, sign, message, "write the number without quotes")
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
    message = f"{named} is never {never}; it is one of {shown}"
    yield _problem(constant, sign, message, help, meant)


def _problem(constant: nodes.Literal, sign: str, message: str, help: str, replacement: str | None = None) -> Problem:
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
