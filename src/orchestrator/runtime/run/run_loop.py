"""The event loop of one run: wake-ups, timers, and errors that no step is to blame for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from orchestrator.tools.functions.task_guard import create_guarded_task

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class RunLoop:
    """Wakes the scheduler and guards callbacks. `failure` is what went wrong outside of all steps."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.failure: BaseException | None = None
        self.main: asyncio.Task[Any] | None = None
        """The task of the scheduler's main loop."""
        self._changed = asyncio.Event()

    def time(self) -> float:
        """Return the loop's monotonic time in seconds."""
        return self.loop.time()

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task, which tools cannot cancel."""
        return create_guarded_task(self.loop, work)

    def wake(self) -> None:
        """Have the scheduler look again."""
        self._changed.set()

    async def wait(self) -> None:
        """Return at the next call of `wake`."""
        self._changed.clear()
        await self._changed.wait()

    def abort(self, failure: BaseException) -> None:
        """End the run with an error that is not a step's."""
        self.failure = failure
        self.wake()

    def call_later(self, delay: float, callback: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        """Call something after `delay` seconds. If it raises, the run ends: a bare timer would leave it hanging."""
        return self.loop.call_later(delay, self.guard, callback, *arguments)

    def guard(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Call something now. If it raises, the run ends."""
        try:
            callback(*arguments)
        except Exception as failure:
            self.abort(failure)
