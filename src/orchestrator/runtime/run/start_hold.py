"""What holds a run before it begins: its time has not come, or enough others with its concurrency key are executed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from orchestrator.journal.run_payloads import RunQueuedPayload
from orchestrator.journal.state.status import QueuedRun
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.journal import RunJournal
    from orchestrator.journal.records import RunLimit
    from orchestrator.runtime.run.run_graph import Ending
    from orchestrator.runtime.run.run_loop import RunLoop

LOOK_SECONDS: Final = 30.0
"""Seconds between two looks at the clock, as it may be set, and machines sleep."""

_PAUSED_SECONDS: Final = 1.0
"""Seconds between two looks whether a run whose time has come is still paused."""


class HeldRun(Protocol):
    """The run, as what holds it sees it."""

    paused: bool

    def cancel(self, *, reason: str, by: str) -> None:
        """End the run as cancelled."""


class StartHold:
    """Holds a run until a time (seconds since the epoch), and then until it is admitted, if it has a limit.

    A run that ends before it has ever begun ends at once: nothing of it has to be cleaned up. What one that has begun
    before must do at its end waits for its turn too.
    """

    def __init__(
        self,
        run: HeldRun,
        loop: RunLoop,
        journal: RunJournal,
        *,
        until: float,
        limit: RunLimit | None,
        begin: Callable[[], None],
        ask: Callable[[], None],
    ) -> None:
        """`begin` is called when the hold ends, `ask` when the run asks to be admitted."""
        self.holds = True
        self.limit = limit
        self.has_begun = journal.has_begun
        """Whether the run has been started by an earlier owner."""
        self.waits_for_turn = False
        """Whether only the limit still holds the run."""
        self._run = run
        self._loop = loop
        self._journal = journal
        self._until = until
        self._begin = begin
        self._ask = ask
        if limit is not None and self.has_begun:  # from now on, it is not failed, or whatever it was
            self._record(QueuedRun(limit.key, limit.max))
        self._look()

    @property
    def is_paused(self) -> bool:
        """Whether the run is paused: then it does not ask to be admitted."""
        return self._run.paused

    def ends(self, ending: Ending) -> bool:
        """Whether the run ends at once with this ending, as nothing of it has begun."""
        if not self.holds or ending.state == "interrupted":
            return False
        if not self.has_begun:
            self.waits_for_turn = False
            return True
        if not self.waits_for_turn:
            self._release()
        return False

    # --- what decides about admission, on any thread

    def admit(self) -> None:
        """Have the run begin."""
        self._call(self._admit)

    def refuse(self, queued: QueuedRun) -> None:
        """Have the run end, because it does not wait for others."""
        self._call(self._refuse, queued)

    def queue(self, queued: QueuedRun) -> None:
        """Note what the run waits for now."""
        self._call(self._queue, queued)

    def _call(self, act: Callable[..., None], *arguments: QueuedRun) -> None:
        with suppress(RuntimeError):  # its loop was closed
            self._loop.loop.call_soon_threadsafe(self._loop.guard, act, *arguments)

    # --- on the event loop

    def _admit(self) -> None:
        if self.waits_for_turn and not self.is_paused:
            self._release()

    def _refuse(self, queued: QueuedRun) -> None:
        if self.waits_for_turn:
            others = f"{plural(queued.ahead, 'other run')} with the concurrency key `{queued.key}`"
            named = ", ".join(queued.runs)
            self._run.cancel(reason=f"skipped, because it would wait for {others}: {named}", by="")

    def _queue(self, queued: QueuedRun) -> None:
        if not self.waits_for_turn:
            return
        if self._journal.queued is None:
            self._record(queued)
        self._journal.queued = queued

    def _record(self, queued: QueuedRun) -> None:
        payload = RunQueuedPayload(key=queued.key, max=queued.max, runs=list(queued.runs), ahead=queued.ahead)
        self._journal.record_payload(payload)

    def _release(self) -> None:
        self.holds = self.waits_for_turn = False
        self._journal.queued = None
        self._begin()
        self._loop.wake()

    def _look(self) -> None:
        left = self._until - time.time()
        if not self.holds:
            return
        if left > 0:
            self._loop.call_later(min(left, LOOK_SECONDS), self._look)
        elif self.limit is not None:
            self.waits_for_turn = True
            self._ask()
        elif self.is_paused:
            self._loop.call_later(_PAUSED_SECONDS, self._look)
        else:
            self._release()
