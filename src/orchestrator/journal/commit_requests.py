"""Requests to the journal's thread, and the callers that wait for them: on an event loop, or in a thread."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Protocol

from orchestrator.journal import retry

if TYPE_CHECKING:
    from orchestrator.errors import OrchestratorError, StoreError
    from orchestrator.journal.records import Lease
    from orchestrator.journal.run_creation import RunCreation


class Committed(Protocol):
    """The journal of a run, as the thread that writes its events sees it."""

    lease: Lease
    error: StoreError | None
    durable: int
    left: bool
    durations: tuple[str, str] | None

    def bears(self, problem: StoreError) -> bool:
        """Whether the run continues although the store is unavailable."""


class Commit:
    """A request to make a run's events up to `seq` durable, and with `leave` to release the run then."""

    __slots__ = ("journal", "leave", "seq")

    def __init__(self, journal: Committed, seq: int, *, leave: bool = False) -> None:
        self.journal = journal
        self.seq = seq
        self.leave = leave


class Waiter:
    """A caller that waits for a commit, or for a new run."""

    __slots__ = ("error", "since", "wish")

    def __init__(self, wish: Commit | RunCreation) -> None:
        self.wish = wish
        self.since = time.monotonic()
        self.error: OrchestratorError | None = None

    def bears(self, problem: StoreError) -> bool:
        """Whether it still waits for a store that cannot be written now: as long as the run's lease holds."""
        if isinstance(self.wish, Commit):
            return self.wish.journal.bears(problem)
        # A lock is waited for by the database itself, and nothing is lost if a run does not begin.
        return (
            retry.is_passing(problem) and problem.code != retry.LOCKED and time.monotonic() < self.since + self.wish.ttl
        )


class LoopWaiter(Waiter):
    """A caller on an event loop: its future is completed there."""

    __slots__ = ("future", "loop")

    def __init__(self, wish: Commit | RunCreation) -> None:
        super().__init__(wish)
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()

    def settle(self) -> None:
        """Complete the future; on its own loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(self.error)


class CreationWaiter(LoopWaiter):
    """A caller that starts a run. `abandoned`: it was cancelled. `written`: the run is in the store."""

    __slots__ = ("abandoned", "written")

    def __init__(self, wish: RunCreation) -> None:
        super().__init__(wish)
        self.abandoned = False
        self.written = False


class ThreadWaiter(Waiter):
    """A caller that blocks its thread."""

    __slots__ = ("done",)

    def __init__(self, wish: Commit | RunCreation) -> None:
        super().__init__(wish)
        self.done = threading.Event()


def settle_all(waiters: list[LoopWaiter]) -> None:
    """Complete the futures of waiters that share an event loop; on that loop."""
    for waiter in waiters:
        waiter.settle()
