"""One attempt of a tool call: a task that can be stopped, and is abandoned if it does not stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import OrchestratorError, StepError, StepTimeout, StoreError
from orchestrator.journal.step_payloads import StepWarningPayload
from orchestrator.plan.steps import ToolCall
from orchestrator.runtime.run.failures import as_step_error
from orchestrator.runtime.run.tool_context import StepContext
from orchestrator.runtime.values.scope import copy_of
from orchestrator.runtime.values.step_values import value_of
from orchestrator.tools.functions.task_guard import cancel_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from orchestrator.runtime.run.result_cache import ResultCache
    from orchestrator.runtime.run.step_run import StepRun
    from orchestrator.tools import ToolExecutor

STOP_GRACE = 1.8
"""Seconds that a stopped attempt has to end before it is abandoned with a warning. Longer than tools need to end a
process group."""


class Attempts:
    """Starts and stops the attempts of one run, and reports to their steps how they ended."""

    def __init__(self, executor: ToolExecutor, cache: ResultCache | None) -> None:
        self._executor = executor
        self._cache = cache
        self._abandoned: set[asyncio.Task[None]] = set()

    def start(self, run: StepRun, parameters: Mapping[str, Any], key: str) -> None:
        """Begin an attempt; `key` is its idempotency key."""
        node, context, models = run.node, run.context, run.parts.models
        computes = isinstance(node.step.work, ToolCall) and node.step.work.action.effects == "none"
        node.context = StepContext(
            context,
            run_id=context.run_id,
            idempotency_key=key,
            step=node.path,
            attempt=node.attempt,
            directory=context.plan.directory,
            permissions=context.permissions,
            loop=context.loop.loop,
            gateway=None if computes else partial(models.gateway, node),
            servers=None if computes else models.servers,
            web=None if computes else models.web,
            memory=None if computes else models.memory,
            secrets=None if computes else models.secrets,
        )
        node.models = None
        node.task = context.loop.create_task(self._attempt(run, node.context, copy_of(parameters)))
        node.task.add_done_callback(partial(self._ensure_ended, run, node.context))
        if node.step.timeout is not None:
            node.timer = context.loop.call_later(node.step.timeout, self.stop, run, "timeout")

    def stop(self, run: StepRun, reason: Literal["timeout", "cancelled", "requeued"]) -> None:
        """Ask an attempt to end, and abandon it if it does not within `STOP_GRACE`."""
        node, loop = run.node, run.context.loop
        if node.task is None or node.task.done() or node.stopped:
            if node.stopped == "requeued":
                node.stopped = reason
            return
        node.stopped = reason
        if node.timer is not None:
            node.timer.cancel()
        cancel_task(node.task)
        if node.entered:
            node.timer = loop.call_later(STOP_GRACE, self._abandon, run)
        else:  # a task that is cancelled before its first step never runs at all
            loop.call_later(0, self._end, run, None, None)

    async def _attempt(self, run: StepRun, context: StepContext, parameters: Mapping[str, Any]) -> None:
        node, loop = run.node, run.context.loop
        node.entered = True
        output: Any = None
        error: OrchestratorError | None = None
        try:
            output = await self._output(run, context, parameters)
        except asyncio.CancelledError:
            if not node.stopped and loop.main is not None and loop.main.cancelling():
                node.stopped = "cancelled"  # the whole loop is being shut down; the main task hears of it in a moment
            error = StepError("the tool cancelled its own task")
        except StoreError as failure:
            loop.abort(failure)  # not the step's fault: it runs again when the run is resumed
            return
        except Exception as failure:
            error = as_step_error(failure)
        self._settle(run, context, output, error)

    async def _output(self, run: StepRun, context: StepContext, parameters: Mapping[str, Any]) -> Any:
        node, work = run.node, run.node.step.work
        if not isinstance(work, ToolCall):
            raise TypeError("only tool calls have attempts")
        if node.step.resumption != "rerun" or node.attempt > 1:
            await run.context.log.commit()  # a process that resumes the run must know of the attempts so far
        elif node.step.has_effects:
            await run.context.until_durable(node.needs)
        make: Callable[[], Awaitable[Any]] = partial(self._executor.call, work.tool, work.action, parameters, context)
        if node.step.check is not None:
            make = partial(run.parts.executors.checked_call, run, context, parameters, make)
        if self._cache is not None and node.step.cache is not None:
            return await self._cache.call(node, work, parameters, context, make)
        output = await make()
        if node.step.produces:
            for file in await run.parts.executors.produced_files(run, value_of(work, output)):
                context.produced(file)
        return output

    def _settle(self, run: StepRun, context: StepContext, output: Any, error: OrchestratorError | None) -> None:
        if context.ended:
            return  # abandoned: the run has continued without this attempt
        run.context.loop.guard(self._end, run, output, error)

    def _ensure_ended(self, run: StepRun, context: StepContext, task: asyncio.Task[None]) -> None:
        """End an attempt whose task ended with an exception that is not an `Exception`."""
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            error = as_step_error(failure)
            error.retryable = False  # type: ignore[attr-defined] # it is a StepError
            self._settle(run, context, None, error)

    def _abandon(self, run: StepRun) -> None:
        node = run.node
        if node.task is None or node.task.done():
            return
        self._abandoned.add(node.task)
        node.task.add_done_callback(self._abandoned.discard)
        with suppress(StoreError):  # the next commit raises it
            _warn(run, f"`{node.path}` did not stop within {STOP_GRACE:g} seconds and was abandoned")
        self._end(run, None, None)

    def _end(self, run: StepRun, output: Any, error: OrchestratorError | None) -> None:
        node, work = run.node, run.node.step.work
        if node.context is not None:
            node.context.end()
            node.context = None
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        node.task = None
        run.parts.slots.parked.discard(node)
        if node.stopped and node.entered and isinstance(work, ToolCall) and work.action.mode == "thread":
            _warn(run, f"the thread of `{node.path}` cannot be stopped and was abandoned; it may still be running")
        run.end_attempt(output, error)


def _warn(run: StepRun, message: str) -> None:
    run.record(StepWarningPayload(message=message, code=StepTimeout.default_code))
