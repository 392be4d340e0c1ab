"""Groups: their steps as one frame, in parallel or one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.journal.payloads import CompositeKind, StepStartedPayload, StepSucceededPayload
from orchestrator.runtime.run.run_graph import StepFailure

if TYPE_CHECKING:
    from orchestrator.plan.steps import StepGroup
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.step_run import StepRun


class GroupRun:
    """A group: one frame. With `wait_for` it ends with the success of so many."""

    def __init__(self, run: StepRun, group: StepGroup) -> None:
        self._run = run
        self._group = group
        self._frame: Frame | None = None

    def open(self) -> None:
        """Begin with its steps."""
        run = self._run
        kind: CompositeKind = "parallel" if self._group.parallel else "group"
        steps = self._group.body.steps
        paths = (f"{run.path}.{step.id}" for step in steps)
        done = sum(1 for path in paths if (found := run.context.recorded.steps.get(path)) and found.settled)
        run.record(StepStartedPayload(kind=kind, of=len(steps), done=done, failed=0))
        scope = run.scope.child({})
        self._frame = run.open(steps, run.path, scope, self, enough=self._group.wait_for)

    def stop(self) -> None:
        """Stop its steps."""
        self._run.stop_frame(self._frame)

    def closed(self, frame: Frame) -> None:
        """End the group with its steps."""
        run, group = self._run, self._group
        if run.end_if_stopped():
            return
        if frame.failure is not None or frame.succeeded < (group.wait_for or 0):
            run.fail(self._failure(frame))
            return
        values = {step.id: frame.scope.value(step.id) for step in group.body.steps if not step.is_auto}
        if group.parallel:
            run.succeed(StepSucceededPayload(output=values))
        else:
            run.succeed(StepSucceededPayload(output=values[group.body.steps[-1].id], values=values))

    def _failure(self, frame: Frame) -> StepFailure:
        failure, wanted = frame.failure, self._group.wait_for
        if wanted is None and failure is not None:
            return failure.without_error()
        last = f"; the last failure: {failure.data['message']}" if failure is not None else ""
        error = StepError(
            f"too few branches of `{self._run.path}` succeeded: {wanted} of {len(frame.nodes)} were required{last}",
            code=codes.TOO_FEW_BRANCHES,
            help="fix the branches, or require fewer with `wait_for`",
            retryable=False,
        )
        return StepFailure.of(error, self._run.node)
