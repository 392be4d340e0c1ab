"""A handle on one run: follow it, control it, look at what it achieved."""

from __future__ import annotations

import asyncio
import getpass
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.journal.records import Command
from orchestrator.runtime import Engine, Follower, Result, in_thread, verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.journal import Event, RunStatus


class Run:
    """A handle on one run, whoever executes it. Every sync method `x` has the async twin `ax`."""

    def __init__(self, orchestrator: Orchestrator, run_id: str) -> None:
        self.id = run_id
        self._orchestrator = orchestrator

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    @property
    def _engine(self) -> Engine:
        return self._orchestrator._engine

    @property
    def _follower(self) -> Follower:
        return Follower(self._engine, self.id)

    def status(self) -> RunStatus:
        """Where the run stands now."""
        return self._engine.status(self.id)

    def events(self, *, after: int = 0, follow: bool = True) -> Iterator[Event]:
        """Return the events with a `seq` greater than `after`, in order and without gaps.

        With `follow`, waits for new ones until the run has ended, or until nobody executes it any more (`interrupted`).
        To leave and rejoin, remember the last event's `seq` and give it as `after`.
        """
        return self._follower.events(after, follow=follow)

    def wait(self, *, timeout: float | None = None) -> RunStatus:
        """Return the status as soon as the run has ended or rests: paused with nothing running, or interrupted.

        Raises:
            TimeoutError: It still runs after `timeout` seconds.
            StoreError: This process executed the run and had to give it up because of the store.
        """
        return self._follower.rest(timeout)[0]

    def result(self, *, timeout: float | None = None) -> Result:
        """Wait for the run and return what it achieved.

        Raises:
            RunFailed: A step failed; `.result` holds what was achieved nevertheless.
            RunCancelled: Somebody cancelled it; with `.result`, too.
            RunPaused: It is paused.
            RunError: It was interrupted (ORC808).
            TimeoutError: It still runs after `timeout` seconds.
        """
        return verdict(self._follower.result(*self._follower.rest(timeout)))

    def snapshot(self) -> Result:
        """Return what the run has achieved up to now, whatever its state."""
        return self._follower.result(self.status())

    def pause(self) -> None:
        """Have nothing new started; what runs goes on to its end."""
        self._control("pause")

    def resume(self) -> None:
        """Go on after a pause, a failure, a cancellation or a crash; here, unless its owner is alive."""
        self._orchestrator.resume(self.id)

    def cancel(self, *, reason: str = "") -> None:
        """Stop what runs. The run ends as cancelled, and can be resumed."""
        self._control("cancel", reason=reason)

    async def astatus(self) -> RunStatus:
        """Where the run stands now."""
        execution = self._engine.execution(self.id)
        if execution is not None and execution.is_on_this_thread:
            return execution.status()
        return await in_thread(self.status)

    def aevents(self, *, after: int = 0, follow: bool = True) -> AsyncIterator[Event]:
        """As `events`."""
        return self._follower.aevents(after, follow=follow)

    async def await_(self, *, timeout: float | None = None) -> RunStatus:  # noqa: ASYNC109 - the twin of `wait`
        """As `wait`."""
        return (await self._follower.arest(timeout))[0]

    async def aresult(self, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - the twin of `result`
        """As `result`."""
        return verdict(await self._follower.aresult(*await self._follower.arest(timeout)))

    async def apause(self) -> None:
        """As `pause`."""
        await self._acontrol("pause")

    async def aresume(self) -> None:
        """As `resume`; if the run is executed here, then on the current event loop."""
        await self._orchestrator.aresume(self.id)

    async def acancel(self, *, reason: str = "") -> None:
        """As `cancel`."""
        await self._acontrol("cancel", reason=reason)

    def _control(self, kind: Literal["pause", "resume", "cancel"], **data: Any) -> None:
        command = Command(kind, data, person())
        execution = self._engine.execution(self.id)
        if execution is None:
            self._engine.control(self.id, command)
            return
        taken = execution.post(command)
        if not execution.is_on_this_thread:
            taken.result()

    async def _acontrol(self, kind: Literal["pause", "resume", "cancel"], **data: Any) -> None:
        command = Command(kind, data, person())
        execution = self._engine.execution(self.id)
        if execution is None:
            await in_thread(lambda: self._engine.control(self.id, command))
        else:
            await asyncio.wrap_future(execution.post(command))


def person() -> str:
    """Who gives a command, for the record."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user number without a name, as in many containers
        return "somebody"
