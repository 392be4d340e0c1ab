"""The nearest valid name to a mistyped one: "did you mean ...?"."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from heapq import nsmallest
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

_LONGEST: Final = 64
MAX_WORK: Final = 2_000_000
"""The number of letters compared for all suggestions of one check: about half a second."""

_DIGITS: Final = re.compile(r"\d+")
_SOME: Final = 32
"""The number of names that a vocabulary lists."""


class _Work:
    """The remaining work for the suggestions of one check, and a cache of results for fixed names."""

    __slots__ = ("found", "left")

    def __init__(self) -> None:
        self.left = MAX_WORK
        self.found: dict[tuple[str, tuple[str, ...]], Suggestion | None] = {}


_work: ContextVar[_Work | None] = ContextVar("work", default=None)


class Suggestion(str):
    """A suggested name; `alone`: no other name is as close."""

    __slots__ = ("alone",)
    alone: bool

    def __new__(cls, name: str, *, alone: bool) -> Suggestion:  # noqa: D102 - as the class
        found = super().__new__(cls, name)
        found.alone = alone
        return found


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `name` most likely misspells, or None if none is close.

    Differences in case or between `-`, `_` and space are ignored. Otherwise up to a third of the letters may be
    added, dropped, changed or swapped with their neighbour. Of equally close candidates the first in alphabetical order
    is returned, as a `Suggestion`. The result is None once the work of `bounded_suggestions` is used up, which also
    caches results for the names of a tuple.
    """
    work = _work.get()
    if work is None or not isinstance(candidates, tuple):
        return _nearest(name, candidates)
    key = (name, candidates)
    if key not in work.found:
        work.found[key] = _nearest(name, candidates)
    return work.found[key]


def _nearest(name: str, candidates: Iterable[str]) -> Suggestion | None:
    if not name or len(name) > _LONGEST:
        return None
    work = _work.get() or _Work()
    if work.left <= 0:
        return None
    wanted, letters = _shape(name)
    limit = max(1, len(wanted) // 3)
    best: tuple[int, str] | None = None
    alone = True
    for candidate in candidates:
        work.left -= 5
        other, others = _shape(candidate)
        if candidate == name or abs(len(other) - len(wanted)) > limit or (letters ^ others).bit_count() > 2 * limit:
            continue
        start, end = _differing(wanted, other)
        work.left -= 3 + (len(wanted) - start - end) * (len(other) - start - end)
        distance = _distance(wanted[start : len(wanted) - end], other[start : len(other) - end], limit)
        if distance > limit or (distance and distance >= max(len(other), len(wanted))):
            continue
        if best is not None and distance == best[0] and candidate != best[1]:
            alone = False
        elif best is None or distance < best[0]:
            alone = True
        if best is None or (distance, candidate) < best:
            best = (distance, candidate)
            limit = distance
        if work.left <= 0:
            break
    return Suggestion(best[1], alone=alone) if best else None


@lru_cache(maxsize=8192)
def is_spelling(written: str, meant: str) -> bool:
    """Whether a text is so close to a word that it can only be a misspelling, which a program can safely replace.

    A difference in case or between `-`, `_` and space, one letter of at least four, or two of at least eight. Digits
    are never a misspelling: `step_1` is not `step_2`.
    """
    left, right = _shape(written)[0], _shape(meant)[0]
    if left == right:
        return True
    if _DIGITS.findall(left) != _DIGITS.findall(right):
        return False
    length = min(len(left), len(right))
    limit = 2 if length >= 8 else 1 if length >= 4 else 0
    return abs(len(left) - len(right)) <= limit and _distance(left, right, limit) <= limit


@contextmanager
def bounded_suggestions() -> Iterator[None]:
    """Limit the work of all suggestions within: a file with thousands of wrong names does not need help for each."""
    token = _work.set(_Work())
    try:
        yield
    finally:
        _work.reset(token)


class Vocabulary:
    """The names in one scope, and those of the scope around it.

    A wrong name often occurs many times, so its closest names are cached.
    """

    __slots__ = ("_around", "_first", "_names", "_near", "_smallest")

    def __init__(self, names: Callable[[], Iterable[str]], around: Vocabulary | None = None) -> None:
        self._names = names
        self._around = around
        self._near: dict[str, Suggestion | None] = {}
        self._first: list[str] | None = None
        self._smallest: list[str] | None = None

    def near(self, name: str, *others: str, without: Collection[str] = ()) -> Suggestion | None:
        """Return the name, or one of `others`, that `name` most likely misspells, except those in `without`."""
        if name not in self._near:
            found = self._around.near(name) if self._around is not None else None
            nearest = _nearest(name, chain(self._names(), [found] if found else ()))
            self._near[name] = found if nearest == found and found and not found.alone else nearest
        found = self._near[name]
        if found in without:
            found = _nearest(name, (each for each in self._all() if each not in without))
        if not others:
            return found
        nearest = _nearest(name, [*others, *([found] if found else ())])
        return found if nearest == found else nearest

    def first(self) -> list[str]:
        """Return some of the names, in order; those of the inner scope first."""
        if self._first is None:
            self._first = [*islice(dict.fromkeys(islice(self._all(), 2 * _SOME)), _SOME)]
        return self._first

    def smallest(self) -> list[str]:
        """Return some of the names, the first in alphabetical order."""
        if self._smallest is None:
            around = self._around.smallest() if self._around is not None else []
            self._smallest = nsmallest(_SOME, {*self._names(), *around})
        return self._smallest

    def _all(self) -> Iterator[str]:
        yield from self._names()
        if self._around is not None:
            yield from self._around._all()  # noqa: SLF001 - a class of this module


@lru_cache(maxsize=8192)
def _shape(name: str) -> tuple[str, int]:
    """A normalized name, and the set of its letters as bits."""
    folded = name.casefold().replace("-", "_").replace(" ", "_")
    letters = 0
    for letter in folded:
        letters |= 1 << (ord(letter) & 127)
    return folded, letters


def _differing(left: str, right: str) -> tuple[int, int]:
    """Return the lengths of the common prefix and, after it, the common suffix of two names."""
    shorter = min(len(left), len(right))
    start = 0
    while start < shorter and left[start] == right[start]:
        start += 1
    end = 0
    while end < shorter - start and left[-1 - end] == right[-1 - end]:
        end += 1
    return start, end


def _distance(left: str, right: str, limit: int) -> int:
    """Return the optimal string alignment distance (edits and swaps of neighbours), or `limit + 1` if it is greater."""
    if not left or not right:
        return len(left) or len(right)
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
