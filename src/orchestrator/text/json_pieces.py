"""The JSON of large values, in pieces: no single call keeps other threads waiting, and it is never in memory whole.

The encoder of the standard library holds the interpreter for as long as it takes, which is seconds for large values.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PIECE: Final = 1 << 17
"""Characters of text, and of JSON about, that are encoded at once: less than a millisecond."""

LARGE: Final = 1 << 18
"""Characters of JSON from which on a value should not be encoded on an event loop."""

_ITEMS_AT_ONCE: Final = 4_096
_SCALARS: Final = frozenset({int, float, bool, type(None)})
_SCALAR_WEIGHT: Final = 4
_TEXTS: Final = {str}
_CONTAINERS: Final = frozenset({dict, list, tuple})

encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Returns the JSON of a value, in one call."""


def weight(value: Any, most: int) -> int:
    """Return about how many characters of JSON a value has, without counting further than `most`."""
    if isinstance(value, str):
        return len(value) + 2
    total = 2
    if isinstance(value, dict):
        for key, item in value.items():
            total += (
                (len(key) if type(key) is str else 0)
                + _SCALAR_WEIGHT
                + (_SCALAR_WEIGHT if type(item) in _SCALARS else weight(item, most - total))
            )
            if total >= most:
                break
        return total
    if isinstance(value, list | tuple):
        count = len(value)
        if 2 * count >= most:
            return 2 * count
        kinds = set(map(type, value))
        if kinds <= _SCALARS:
            return total + (1 + _SCALAR_WEIGHT) * count
        if kinds == _TEXTS:
            return total + 3 * count + sum(map(len, value))
        for item in value:
            total += 1 + (_SCALAR_WEIGHT if type(item) in _SCALARS else weight(item, most - total))
            if total >= most:
                break
        return total
    return _SCALAR_WEIGHT


def is_large(fields: Mapping[str, Any]) -> bool:
    """Return whether one of some values has about `LARGE` characters of JSON or more."""
    return any(
        len(value) >= LARGE if type(value) is str else type(value) in _CONTAINERS and weight(value, LARGE) >= LARGE
        for value in fields.values()
    )


def json_pieces(value: Any) -> Iterator[str]:
    """Yield the JSON of a value as `encode` returns it, in pieces of bounded size."""
    if isinstance(value, str) and len(value) > PIECE:
        yield '"'
        for start in range(0, len(value), PIECE):
            yield encode(value[start : start + PIECE])[1:-1]
        yield '"'
    elif isinstance(value, list | tuple) and weight(value, PIECE) >= PIECE:
        yield from _of_list(value)
    elif isinstance(value, dict) and weight(value, PIECE) >= PIECE:
        yield from _of_object(value)
    else:
        yield encode(value)


def _of_list(items: Sequence[Any]) -> Iterator[str]:
    mark = "["
    for group in _groups(items):
        yield mark
        if len(group) == 1:
            yield from json_pieces(group[0])
        else:
            yield encode(group)[1:-1]
        mark = ","
    yield "]" if items else "[]"


def _of_object(fields: Mapping[str, Any]) -> Iterator[str]:
    mark = "{"
    for group in _groups(fields.items()):
        yield mark
        if len(group) == 1:
            ((key, item),) = group
            yield encode({key: 0})[1:-2]
            yield from json_pieces(item)
        else:
            yield encode(dict(group))[1:-1]
        mark = ","
    yield "}" if fields else "{}"


def _groups(entries: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the entries in groups that have about `PIECE` characters together; a larger one is alone."""
    remaining = iter(entries)
    while some := list(islice(remaining, _ITEMS_AT_ONCE)):
        if _SCALARS.issuperset(map(type, some)) or weight(some, PIECE) < PIECE:
            yield some
            continue
        group: list[Any] = []
        size = 0
        for entry in some:
            more = weight(entry, PIECE)
            if group and size + more >= PIECE:
                yield group
                group, size = [], 0
            group.append(entry)
            size += more
        yield group
