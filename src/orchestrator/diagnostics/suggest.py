"""The nearest valid name to a mistyped one: "did you mean ...?"."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 64


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that the writer of `name` most likely meant, or None if none is near.

    A difference in case or between `-`, `_` and space counts as nothing. Otherwise up to a third of the letters may be
    added, dropped, changed or swapped with their neighbour. Of equally near candidates the first in alphabetical order
    wins.
    """
    if not name or len(name) > _LONGEST:
        return None
    wanted = _folded(name)
    limit = max(1, len(wanted) // 3)
    letters = set(wanted)
    best: tuple[int, str] | None = None
    for candidate in candidates:
        if candidate == name:
            continue
        other = _folded(candidate)
        if other == wanted:
            distance = 0
        elif abs(len(other) - len(wanted)) > limit or len(letters ^ set(other)) > 2 * limit:
            continue
        else:
            distance = _distance(wanted, other, limit)
            if distance > limit or distance >= max(len(other), len(wanted)):
                continue
        if best is None or (distance, candidate) < best:
            best = (distance, candidate)
    return best[1] if best else None


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


def _distance(left: str, right: str, limit: int) -> int:
    """Return the optimal string alignment distance (edits and swaps of neighbours), or `limit + 1` if it is greater."""
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, start=1):
        current = [row]
        for column, b in enumerate(right, start=1):
            cost = min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (a != b))
            if row > 1 and column > 1 and a == right[column - 2] and left[row - 2] == b:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        if min(current) > limit:
            return limit + 1
        before, previous = previous, current
    return previous[-1]
