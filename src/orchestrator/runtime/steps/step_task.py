"""Work of a step that is not a tool call: a task that takes no slot and can be stopped, such as a check of a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from orchestrator.errors import StepError, StoreError
from orchestrator.runtime.run.failures import as_step_error
from orchestrator.tools.functions.task_guard import cancel_task

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from orchestrator.runtime.run.step_run import StepRun

T = TypeVar("T")


class StepTask(Generic[T]):
    """The activity of a step while `work` runs. `end` takes its result, and acts on it."""

    def __init__(
        self, run: StepRun, work: Callable[[], Coroutine[object, object, T]], end: Callable[[T], None]
    ) -> None:
        self._run = run
        self._work = work
        self._end = end
        self._results: list[T] = []
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin."""
        self._run.parts.slots.parked.add(self._run.node)
        self._task = self._run.node.task = self._run.context.loop.create_task(self._perform())
        self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Cancel the work, unless the stop is graceful."""
        if self._task is not None and not self._run.node.graceful:
            cancel_task(self._task)

    async def _perform(self) -> None:
        self._results.append(await self._work())

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Continue after the work. A task that is cancelled before its first step never runs, so it cannot do this."""
        node, loop = self._run.node, self._run.context.loop
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StoreError):
            loop.abort(error)
            return
        if task.cancelled():
            node.graceful = False
            node.stopped = node.stopped or "cancelled"  # the whole loop is being shut down
        self._run.parts.slots.parked.discard(node)
        node.task = None
        loop.guard(self._finish, error)

    def _finish(self, error: BaseException | None) -> None:
        if not self._run.node.graceful and self._run.end_if_stopped():
            return
        failure = None if error is None else as_step_error(error)
        try:
            if failure is None:
                self._end(*self._results)
        except StepError as raised:
            failure = raised
        if failure is not None:
            self._run.fail(failure)
