"""The items of a loop that are made of several lists: their combinations, or their items taken together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.expressions.limits import MAX_LOOP_RANGE
from orchestrator.plan.loop_items import MatrixItems
from orchestrator.text.words import describe_value

if TYPE_CHECKING:
    from orchestrator.expressions import Scope, Value
    from orchestrator.plan.loop_items import CombinedItems

_COUNTED: Final = 100_000
"""Combinations up to which those that are left out are counted before the loop begins."""


def combined_items(items: CombinedItems, scope: Scope) -> tuple[Iterator[Any], int | None]:
    """Return the items, and how many there are; None if that is too many to count those that are left out.

    Raises:
        StepError: ORC713, a list is not a list, the lists are not of the same length, or there are too many items.
        EvaluationError: An expression cannot be evaluated.
    """
    lists = {name: _list(f"`{name}`", value, scope) for name, value in items.lists.items()}
    if not isinstance(items, MatrixItems):
        return _zipped(lists)
    count = prod(len(one) for one in lists.values())
    if count > MAX_LOOP_RANGE:
        message = f"this matrix has more than {MAX_LOOP_RANGE:,} combinations"
        raise StepError(message, code=codes.NOT_ITERABLE, help="use fewer or shorter lists", retryable=False)
    exclude, include = _objects("exclude", items.exclude, scope), _objects("include", items.include, scope)
    names = list(lists)

    def combinations() -> Iterator[Any]:
        for values in product(*lists.values()):
            item = dict(zip(names, values, strict=True))
            if not any(all(item.get(name) == value for name, value in one.items()) for one in exclude):
                yield item

    total: int | None = count
    if exclude:
        total = sum(1 for _ in combinations()) if count <= _COUNTED else None

    def every() -> Iterator[Any]:
        yield from combinations()
        yield from include

    return every(), None if total is None else total + len(include)


def _zipped(lists: Mapping[str, list[Any]]) -> tuple[Iterator[Any], int]:
    lengths = {name: len(one) for name, one in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"`{name}` has {length:,}" for name, length in lengths.items())
        raise StepError(
            f"the lists of `zip` must have the same length: {told}",
            code=codes.NOT_ITERABLE,
            help="cut or complete them before the loop",
            retryable=False,
        )
    names, count = list(lists), max(lengths.values(), default=0)
    return (dict(zip(names, values, strict=True)) for values in zip(*lists.values(), strict=True)), count


def _list(what: str, value: Value, scope: Scope) -> list[Any]:
    found = value.evaluate(scope)
    if not isinstance(found, list):
        raise StepError(
            f"{what} must be a list, not {describe_value(found)}",
            code=codes.NOT_ITERABLE,
            help="convert it to a list, for example with `| list` or `| default([], true)`",
            retryable=False,
        )
    return found


def _objects(name: str, value: Value | None, scope: Scope) -> list[Mapping[str, Any]]:
    found = [] if value is None else _list(f"`{name}`", value, scope)
    for one in found:
        if not isinstance(one, Mapping):
            raise StepError(
                f"`{name}` must list objects, not {describe_value(one)}", code=codes.NOT_ITERABLE, retryable=False
            )
    return found
