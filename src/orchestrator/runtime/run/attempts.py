"""One attempt of a step that calls a tool: a task that can be stopped, and abandoned if it does not stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import OrchestratorError, StepError, StepTimeout, StoreError
from orchestrator.plan.steps import ToolCall
from orchestrator.runtime.run import step_lifecycle
from orchestrator.runtime.run.failures import as_step_error
from orchestrator.runtime.run.tool_context import StepContext
from orchestrator.runtime.values.scope import copy_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.runtime.run.result_cache import ResultCache
    from orchestrator.runtime.run.run_graph import Node
    from orchestrator.runtime.run.scheduler import Scheduler

STOP_GRACE = 1.8
"""Seconds that a stopped attempt is given to end; then it is abandoned, with a warning. Longer than tools need to
end a process group."""


class Attempts:
    """Starts and stops the attempts of one run, and tells the scheduler how they ended."""

    def __init__(self, scheduler: Scheduler, cache: ResultCache | None) -> None:
        self._scheduler = scheduler
        self._cache = cache
        self._loop = scheduler.loop
        self._abandoned: set[asyncio.Task[None]] = set()

    def start(self, node: Node, parameters: Mapping[str, Any]) -> None:
        """Begin an attempt."""
        scheduler = self._scheduler
        node.context = StepContext(
            scheduler,
            run_id=scheduler.run_id,
            step=node.path,
            attempt=node.attempt,
            directory=scheduler.plan.directory,
            permissions=scheduler.permissions,
            loop=self._loop,
            gateway=partial(scheduler.asking.gateway, scheduler, node),
            servers=scheduler.asking.servers,
        )
        node.asking = None
        node.task = self._loop.create_task(self._attempt(node, node.context, copy_of(parameters)))
        node.task.add_done_callback(partial(self._ensure_ended, node, node.context))
        if node.step.timeout is not None:
            node.timer = scheduler.call_later(node.step.timeout, self.stop, node, "timeout")

    async def _attempt(self, node: Node, context: StepContext, parameters: Mapping[str, Any]) -> None:
        node.entered = True
        output: Any = None
        error: OrchestratorError | None = None
        try:
            output = await self._output(node, context, parameters)
        except asyncio.CancelledError:
            main = self._scheduler.main
            if not node.stopped and main is not None and main.cancelling():
                node.stopped = "cancelled"  # the whole loop is being shut down, and the main task is told in a moment
            error = StepError("the tool's work was cancelled from inside the tool")
        except StoreError as failure:
            self._scheduler.break_(failure)  # no fault of the step, which is run again when the run is resumed
            return
        except Exception as failure:
            error = as_step_error(failure)
        self._settle(node, context, output, error)

    def _settle(self, node: Node, context: StepContext, output: Any, error: OrchestratorError | None) -> None:
        if context.ended:
            return  # abandoned: the run has gone on without this attempt
        try:
            self._end(node, output, error)
        except Exception as failure:
            self._scheduler.break_(failure)

    def _ensure_ended(self, node: Node, context: StepContext, task: asyncio.Task[None]) -> None:
        """End an attempt whose task was ended by what is not an `Exception`: nobody else would hear of it."""
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            error = as_step_error(failure)
            error.retryable = False  # type: ignore[attr-defined] # it is a StepError
            self._settle(node, context, None, error)

    async def _output(self, node: Node, context: StepContext, parameters: Mapping[str, Any]) -> Any:
        work = node.step.work
        if not isinstance(work, ToolCall):
            raise TypeError("only a call of a tool has attempts")
        if node.step.on_resume != "rerun":  # whoever goes on must know that it was begun
            await self._scheduler.log.commit()
        make = partial(self._scheduler.executor.call, work.action, parameters, context)
        if node.step.check is not None:
            from orchestrator.runtime.steps.output_checks import checked

            make = partial(checked, self._scheduler, node, context, parameters, make)
        if self._cache is None or node.step.cache is None:
            return await make()
        return await self._cache.call(node, work, parameters, context, make)

    def stop(self, node: Node, why: Literal["timeout", "cancelled", "requeued"]) -> None:
        """Ask an attempt to end. It is waited for, but not for ever."""
        if node.task is None or node.task.done() or node.stopped:
            if node.stopped == "requeued":
                node.stopped = why
            return
        node.stopped = why
        if node.timer is not None:
            node.timer.cancel()
        node.task.cancel()
        if node.entered:
            node.timer = self._scheduler.call_later(STOP_GRACE, self._abandon, node)
        else:  # a task that is cancelled before its first step never runs at all
            self._scheduler.call_later(0, self._end, node, None, None)

    def _abandon(self, node: Node) -> None:
        if node.task is None or node.task.done():
            return
        self._abandoned.add(node.task)
        node.task.add_done_callback(self._abandoned.discard)
        with suppress(StoreError):  # the next commit says so
            self._warn(node, f"`{node.path}` did not stop within {STOP_GRACE:g} seconds and was abandoned")
        self._end(node, None, None)

    def _end(self, node: Node, output: Any, error: OrchestratorError | None) -> None:
        if node.context is not None:
            node.context.end()
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        node.task = None
        self._scheduler.aside.discard(node)
        work = node.step.work
        if node.stopped and node.entered and isinstance(work, ToolCall) and work.action.mode == "thread":
            message = f"the thread of `{node.path}` cannot be stopped and was abandoned; it may still be working"
            self._warn(node, message)
        step_lifecycle.ended_attempt(self._scheduler, node, output, error)

    def _warn(self, node: Node, message: str) -> None:
        self._scheduler.record("step.warning", node, {"message": message, "code": StepTimeout.default_code})
