"""The slots that all runs of a process share, next to those that each run has: which run gets the next free one.

The run with the highest priority comes first; among equals, the one with the fewest steps at work, so that a wide run
leaves room for a small one. Every eighth slot is given to the run that has waited longest, so that none waits for ever.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sized

AGEING: Final = 8
"""Every so many slots, the run that has waited longest gets one."""


class Sharer(Protocol):
    """A run that shares slots."""

    @property
    def running(self) -> Sized:
        """Its steps that have a slot."""

    @property
    def priority(self) -> int:
        """Runs with a higher one come first."""

    def wake(self) -> None:
        """Have it ask for slots again."""


class SharedSlots:
    """At most `count` steps of all runs at once. Safe to share between event loops."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = threading.Lock()
        self._sharers: set[Sharer] = set()
        self._waiting: dict[Sharer, None] = {}
        """The runs that found no free slot, in the order in which they began to wait."""
        self._given = 0
        self._next: Sharer | None = None
        """The run that was told of a free slot because it has waited longest."""

    def join(self, sharer: Sharer) -> None:
        """Count the steps of a run from now on."""
        with self._lock:
            self._sharers.add(sharer)

    def leave(self, sharer: Sharer) -> None:
        """Count the steps of a run no more."""
        with self._lock:
            self._sharers.discard(sharer)
            self._waiting.pop(sharer, None)
            if self._next is sharer:
                self._next = None
        self.pass_on()

    @property
    def used(self) -> int:
        """How many steps have a slot."""
        return sum(len(sharer.running) for sharer in list(self._sharers))

    @property
    def waiting(self) -> int:
        """How many runs wait for a slot."""
        return len(self._waiting)

    def free_for(self, sharer: Sharer) -> int:
        """Return how many more steps of a run may start now; a run that gets 0 is woken when it may start one."""
        with self._lock:
            free = self.count - self.used
            rivals = [each for each in self._waiting if each is not sharer]
            if free > 0 and not rivals:
                self._waiting.pop(sharer, None)
                return free
            if free > 0 and (self._next in (None, sharer)) and self._comes_first(sharer, rivals):
                self._waiting.pop(sharer, None)
                self._next = None
                self._given += 1
                return 1
            self._waiting.setdefault(sharer)
            return 0

    def withdraw(self, sharer: Sharer) -> None:
        """Note that a run wants no further slot now."""
        if sharer in self._waiting:
            with self._lock:
                self._waiting.pop(sharer, None)
                if self._next is sharer:
                    self._next = None

    def pass_on(self) -> None:
        """Wake the run that gets the next slot, if one is free and a run waits."""
        if not self._waiting:
            return
        with self._lock:
            if self.count <= self.used or not self._waiting:
                return
            if self._next is None and self._given % AGEING == AGEING - 1:
                self._next = next(iter(self._waiting))
            chosen = self._next or min(self._waiting, key=_rank)
        chosen.wake()

    def _comes_first(self, sharer: Sharer, rivals: list[Sharer]) -> bool:
        return self._next is sharer or _rank(sharer) <= min(map(_rank, rivals))


def _rank(sharer: Sharer) -> tuple[int, int]:
    return -sharer.priority, len(sharer.running)
