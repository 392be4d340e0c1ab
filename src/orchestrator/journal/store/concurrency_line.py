"""The runs with one concurrency key in their order: who is admitted, and who comes before whom."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.journal.state.status import QueuedRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.journal.records import Lease

_MOST_NAMED: Final = 20


class Contender(Struct, frozen=True):
    """A run that has a key: admitted, or in line. `run` is the store's number for it: they count up.

    `lapsed`: its lease has expired, and its process may come back. `cancelled`: it was sent a command to end.
    """

    run: int
    run_id: str
    fence: int
    admitted: bool
    cancelled: bool = False
    lapsed: bool = False


class ConcurrencyLine:
    """The runs that have one key. What comes before one of them is counted without looking at all of them."""

    def __init__(self, found: Iterable[Contender]) -> None:
        """`found` are ordered, the oldest first."""
        self._fences: dict[int, int] = {}
        self._admitted: dict[int, Contender] = {}
        self._waiting: dict[int, Contender] = {}
        for each in found:
            self._fences[each.run] = each.fence
            if each.admitted:
                self._admitted[each.run] = each
            elif not each.lapsed:
                self._waiting[each.run] = each
        self._order = list(self._waiting)
        self._cancelled: list[int] | None = None

    def has(self, lease: Lease) -> bool:
        """Whether a run is among them, under this lease."""
        return self._fences.get(lease.key) == lease.fence

    def is_admitted(self, run: int) -> bool:
        """Whether a run is admitted."""
        return run in self._admitted

    @cached_property
    def lapsed(self) -> tuple[Contender, ...]:
        """The admitted runs whose leases had expired when they were read."""
        return tuple(each for each in self._admitted.values() if each.lapsed)

    def ahead(self, run: int) -> int:
        """Return how many come before a run: those that are admitted, and then those that are older."""
        return len(self._admitted) - (run in self._admitted) + bisect_left(self._order, run)

    def lively(self, run: int) -> int:
        """Return how many come before a run whose leases have not expired."""
        return self.ahead(run) - sum(each.run != run for each in self.lapsed)

    def staying(self, run: int) -> int:
        """Return how many come before a run that were not sent a command to end."""
        if self._cancelled is None:
            waiting = (self._waiting[each].cancelled for each in self._order)
            self._cancelled = list(accumulate(waiting, initial=0))
        ending = sum(each.cancelled for each in self._admitted.values() if each.run != run)
        return self.ahead(run) - ending - self._cancelled[bisect_left(self._order, run)]

    def remaining(self, run: int) -> list[Contender]:
        """Return those that come before a run and were not sent a command to end, oldest first."""
        waiting = (self._waiting[each] for each in self._order[: bisect_left(self._order, run)])
        before = [*(each for each in self._admitted.values() if each.run != run), *waiting]
        return sorted((each for each in before if not each.cancelled), key=lambda each: each.run)

    def queued(self, run: int, key: str, most: int) -> QueuedRun:
        """Return what a run in line waits for."""
        admitted = (each.run_id for each in self._admitted.values() if each.run != run)
        older = (self._waiting[each].run_id for each in islice(self._order, bisect_left(self._order, run)))
        return QueuedRun(key, most, tuple(islice(chain(admitted, older), _MOST_NAMED)), self.ahead(run))

    # --- as the store will have it, once a decision is written

    def admit(self, run: int) -> None:
        """Have a run in line be admitted."""
        waiting = self._waiting[run]
        self.remove(run)
        self._fences[run], self._admitted[run] = waiting.fence, replace(waiting, admitted=True)

    def remove(self, run: int) -> None:
        """Remove a run."""
        self._fences.pop(run, None)
        self._admitted.pop(run, None)
        if self._waiting.pop(run, None) is not None:
            del self._order[bisect_left(self._order, run)]
        self._cancelled = None
        vars(self).pop("lapsed", None)

    def cancel(self, run: int) -> None:
        """Note that a run was sent a command to end."""
        for those in (self._admitted, self._waiting):
            if run in those:
                those[run] = replace(those[run], cancelled=True)
        self._cancelled = None
