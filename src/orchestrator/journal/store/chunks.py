"""Arguments of statements in chunks: databases limit the parameters of a statement and the depth of its conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

AT_ONCE: Final = 250
"""How many values one statement names at most. SQLite refuses conditions of more than 1,000 parts."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the values in groups that a statement may name."""
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]
