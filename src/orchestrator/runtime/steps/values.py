"""Steps that compute a value, that fail on purpose, and that end their pipeline, without an attempt or a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.journal.step_payloads import StepSucceededPayload

if TYPE_CHECKING:
    from orchestrator.plan.values import Computation, End, Failure
    from orchestrator.runtime.run.step_run import StepRun


class ComputedValue:
    """A computation, which ends as soon as it begins."""

    def __init__(self, run: StepRun, work: Computation) -> None:
        self._run = run
        self._work = work

    def open(self) -> None:
        """Compute the value."""
        self._run.node.attempt = 0
        self._run.succeed(StepSucceededPayload(output=self._work.value.evaluate(self._run.scope.scope)))

    def stop(self) -> None:
        """End a check of the value that is being stopped."""


class EarlyEnd:
    """The end of the pipeline that contains the step, as soon as the step begins."""

    def __init__(self, run: StepRun, work: End) -> None:
        self._run = run
        self._work = work

    def open(self) -> None:
        """Compute the outputs, and have the pipeline end with them."""
        run = self._run
        run.node.attempt = 0
        outputs = {name: value.evaluate(run.scope.scope) for name, value in self._work.outputs.items()}
        run.succeed(StepSucceededPayload(output=outputs, ends=run.node.frame.pipeline.path))

    def stop(self) -> None:
        """End a check of the outputs that is being stopped."""


def fail_on_purpose(run: StepRun, work: Failure) -> NoReturn:
    """Fail the step, which is not retried.

    Raises:
        EvaluationError: The message cannot be evaluated.
        StepError: ORC719, with the message.
    """
    run.node.attempt = 0
    raise StepError(
        to_text(work.message.evaluate(run.scope.scope)),
        code=codes.FAILED_ON_PURPOSE,
        retryable=False,
        raised=(work.code,) if work.code else (),
    )
