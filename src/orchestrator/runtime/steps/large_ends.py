"""The end of a step with a large result: it is encoded in a thread, so that other steps and runs continue meanwhile."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from orchestrator.journal.records import EventTooLarge
from orchestrator.runtime.run.failures import as_step_error
from orchestrator.runtime.steps.pipelines import check_outputs_of
from orchestrator.tools.functions.threads import run_in_thread

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from orchestrator.errors import OrchestratorError
    from orchestrator.expressions import Entity
    from orchestrator.journal.step_payloads import StepSucceededPayload
    from orchestrator.journal.store.event_data import EncodedData
    from orchestrator.runtime.run.step_run import StepRun


def encode_end(run: StepRun, end: StepSucceededPayload, entity: Entity, then: Callable[[EncodedData], None]) -> None:
    """Encode the end of a step in a thread, and then record it.

    The step fails if its result is too large to be recorded, or to be the output of the pipeline that it is.
    """
    activity = EndEncoding(run, end, entity, then)
    run.occupy(activity)
    activity.open()


class EndEncoding:
    """The activity of a step meanwhile. It cannot be stopped, as the step has ended; an attempt keeps its slot."""

    def __init__(
        self, run: StepRun, end: StepSucceededPayload, entity: Entity, then: Callable[[EncodedData], None]
    ) -> None:
        self._run = run
        self._end = end
        self._entity = entity
        self._then = then
        self._encoded: EncodedData | None = None
        self._error: OrchestratorError | None = None

    def open(self) -> None:
        """Begin."""
        self._run.parts.slots.parked.add(self._run.node)
        task = self._run.node.task = self._run.context.loop.create_task(self._encode())
        task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Continue: the step succeeds before it could be stopped."""

    async def _encode(self) -> None:
        try:
            self._encoded = await run_in_thread(self._encode_now)
        except EventTooLarge:
            self._error = await run_in_thread(partial(self._run.context.too_large, self._end, self._run.path))

    def _encode_now(self) -> EncodedData:
        run, context = self._run, self._run.context
        if not run.node.frame.path:
            check_outputs_of(context.plan, run.node.step.id, self._entity, run.scope)
        return context.encode(self._end, large=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        node, loop = self._run.node, self._run.context.loop
        self._run.parts.slots.parked.discard(node)
        node.task = None
        if task.cancelled():
            node.stopped = node.stopped or "cancelled"  # the whole loop is being shut down
        elif (error := task.exception()) is not None:
            self._error = as_step_error(error)
        loop.guard(self._finish)

    def _finish(self) -> None:
        if self._encoded is not None:
            self._then(self._encoded)
        elif self._error is not None:
            self._run.fail(self._error)
        else:
            self._run.end_if_stopped()
