"""Steps that start a run of its own, once, and end when it has been created.

The id of that run is recorded before it is created. A process that continues after a crash in between creates the run
with that id, or finds that it exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.journal.step_payloads import StepStartedPayload, StepSucceededPayload
from orchestrator.plan.serialization import standalone
from orchestrator.runtime.ids import new_run_id
from orchestrator.runtime.run.resume import lost_secret
from orchestrator.runtime.steps.step_task import StepTask
from orchestrator.runtime.values.inputs import bind

if TYPE_CHECKING:
    from orchestrator.plan.detached_run import DetachedRun
    from orchestrator.runtime.run.step_run import StepRun
    from orchestrator.runtime.values.inputs import Bound


class RunLaunch(StepTask[None]):
    """The start of a run. It cannot be stopped: it takes a moment, and whether it happened must be known."""

    def stop(self) -> None:
        """Let it end, and the step succeed."""
        self._run.node.graceful = True


def start_run(run: StepRun, work: DetachedRun) -> RunLaunch:
    """Return the start of the run, to be opened.

    Raises:
        EvaluationError: An input cannot be evaluated.
        InputError: The inputs do not fit the pipeline.
        StepError: A secret would be recorded by the other run, or is no longer known.
    """
    context = run.context
    given: Any = work.inputs.evaluate(run.scope.scope)
    if lost := context.redactor.lost(given):
        raise lost_secret(run, lost)
    bound = bind(context.plan.pipelines[work.source].inputs, given, permissions=context.permissions)
    _refuse_exposed(run, bound)
    record = run.node.record
    run_id = (record.run if record is not None else None) or new_run_id()

    async def start() -> None:
        run.record(StepStartedPayload(kind="detached", run=run_id))
        await context.log.commit()  # with all that the step depends on
        await context.start_run(standalone(context.plan, work.source), bound, run_id)

    return RunLaunch(run, start, lambda _: run.succeed(StepSucceededPayload(output=run_id)))


def _refuse_exposed(run: StepRun, bound: Bound) -> None:
    """Refuse secrets of this run in inputs that are not secret: the other run does not know that they are."""
    redactor = run.context.redactor
    for name, value in bound.values.items():
        if name not in bound.secrets and redactor and redactor.scrub(value) != value:
            raise StepError(
                f"the input `{name}` of `{run.path}` contains a secret, and the run that is started would record it",
                code=codes.INVALID_PARAMETER,
                help=f"declare `{name}` as `secret: true` in the pipeline that is started",
                retryable=False,
            )
