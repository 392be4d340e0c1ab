"""Groups: their steps as one frame, in parallel or one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.journal.run_payloads import RunCompensatingPayload
from orchestrator.journal.step_payloads import StepStartedPayload, StepSucceededPayload
from orchestrator.runtime.run.run_graph import StepFailure
from orchestrator.runtime.run.timeouts import step_timeout
from orchestrator.runtime.steps.compensation import Compensation

if TYPE_CHECKING:
    from orchestrator.journal.payload import CompositeKind
    from orchestrator.plan.steps import StepGroup
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.step_run import StepRun


class GroupRun:
    """A group: one frame. With `wait_for` it ends with the success of so many."""

    def __init__(self, run: StepRun, group: StepGroup) -> None:
        self._run = run
        self._group = group
        self.steps = group.body.steps
        self.scope = run.scope.child({})
        self._frame: Frame | None = None
        self._compensation: Compensation | None = None

    def open(self) -> None:
        """Begin with its steps, or continue to undo them."""
        run = self._run
        kind: CompositeKind = "parallel" if self._group.parallel else "group"
        steps = self._group.body.steps
        paths = (f"{run.path}.{step.id}" for step in steps)
        done = sum(1 for path in paths if (found := run.context.recorded.steps.get(path)) and found.settled)
        run.record(StepStartedPayload(kind=kind, of=len(steps), done=done, failed=0))
        recorded = run.context.recorded.compensating.pop(run.path, None)
        if recorded is None:
            self._open_steps()
        else:
            error = run.context.redactor.restore(recorded.error)
            self._compensate(None if error is None else StepFailure(error, frozenset(recorded.names)))

    def _open_steps(self) -> None:
        run, group = self._run, self._group
        self._frame = run.open(group.body.steps, run.path, self.scope, self, enough=group.wait_for)
        if group.compensate:
            run.context.undo.scopes[run.path] = self._frame

    def stop(self) -> None:
        """Stop its steps. What undoes them is stopped only with the process."""
        if self._compensation is None:
            self._run.stop_frame(self._frame)
        elif self._run.context.interrupted:
            self._compensation.stop()

    def closed(self, frame: Frame) -> None:
        """End the group with its steps."""
        run, group = self._run, self._group
        stopped = run.node.stopped
        failed = frame.failure is not None or frame.succeeded < (group.wait_for or 0)
        if group.compensate and (stopped or failed) and self._is_to_be_undone():
            late = StepFailure.of(step_timeout(run.node), run.node) if stopped == "timeout" else None
            failure = late if stopped else self._failure(frame)
            self._record_compensating(failure)
            self._compensate(failure)
            return
        run.context.undo.scopes.pop(run.path, None)
        if run.end_if_stopped():
            return
        if failed:
            run.fail(self._failure(frame))
            return
        values = {step.id: frame.scope.value(step.id) for step in group.body.steps if not step.is_auto}
        if group.parallel:
            run.succeed(StepSucceededPayload(output=values))
        else:
            run.succeed(StepSucceededPayload(output=values[group.body.steps[-1].id], values=values))

    def _is_to_be_undone(self) -> bool:
        """Whether something in the group can be undone now, and is not undone by what contains the group."""
        undo, path = self._run.context.undo, self._run.path
        if self._run.context.interrupted or undo.last(path) is None:
            return False
        return not (self._run.node.stopped == "cancelled" and undo.is_undone_around(path))

    def _record_compensating(self, failure: StepFailure | None) -> None:
        context, path = self._run.context, self._run.path
        said = RunCompensatingPayload(within=path, state="cancelled", reason=self._run.node.frame.reason)
        if failure is not None:
            names = sorted(failure.names)
            said = RunCompensatingPayload(within=path, state="failed", error=dict(failure.data), names=names)
        context.log.record_payload(context.scrubbed(said))

    def _compensate(self, failure: StepFailure | None) -> None:
        """Undo the steps; then the group ends with a failure, or as it was stopped, or begins again."""
        run = self._run
        if run.node.timer is not None:
            run.node.timer.cancel()
            run.node.timer = None
        self._compensation = Compensation(
            run.parts.control,
            run.context,
            run.path,
            run.node.frame.pipeline,
            lambda second: self._compensated(failure, second),
        )
        self._compensation.open()

    def _compensated(self, failure: StepFailure | None, second: StepFailure | None) -> None:
        run = self._run
        forgotten = self._compensation.forgotten if self._compensation is not None else []
        self._compensation = None
        run.context.undo.scopes.pop(run.path, None)
        if run.context.interrupted:
            run.node.stopped = run.node.stopped or "cancelled"
            run.cancel()
        elif second is not None:
            run.fail_compensation(second)
        elif run.end_if_stopped():
            return
        elif failure is not None:
            run.fail(failure.without_error())
        else:
            # An earlier owner of the run stopped the group and began to undo it; now it begins again.
            run.context.recorded = run.context.recorded.without(forgotten)
            self._open_steps()

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
