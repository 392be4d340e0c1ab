"""A `switch`: the steps of the branch that its subject selects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.journal.step_payloads import StepStartedPayload, StepSucceededPayload

if TYPE_CHECKING:
    from orchestrator.plan.steps import Block, Switch
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.step_run import StepRun


class SwitchRun:
    """A switch: the frame of the case that was chosen."""

    def __init__(self, run: StepRun, switch: Switch) -> None:
        self._run = run
        self._switch = switch
        self._frame: Frame | None = None
        self._case: Any = None
        self._body: Block | None = None

    def open(self) -> None:
        """Choose a case and begin with its steps."""
        run = self._run
        subject = self._switch.subject.evaluate(run.scope.scope)
        self._case, self._body = _chosen(self._switch, subject)
        count = 0 if self._body is None else len(self._body.steps)
        run.record(StepStartedPayload(kind="switch", done=0, failed=0, case=self._case, of=count))
        if self._body is None:
            run.succeed(StepSucceededPayload(output=None, case=None))
            return
        self._frame = run.open(self._body.steps, run.path, run.scope.child({}), self)

    def stop(self) -> None:
        """Stop the steps of the case."""
        self._run.stop_frame(self._frame)

    def closed(self, frame: Frame) -> None:
        """End with the steps of the case."""
        run = self._run
        if run.ends_with(frame):
            return
        output = frame.scope.value(list(frame.nodes)[-1])
        run.succeed(StepSucceededPayload(output=output, case=self._case))


def _chosen(switch: Switch, subject: Any) -> tuple[str | None, Block | None]:
    for key, body in switch.cases:
        if key.equals(subject):
            return key.text, body
    return ("default", switch.default) if switch.default is not None else (None, None)
