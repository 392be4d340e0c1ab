"""What each type of event records.

Times are seconds since the epoch, durations seconds, money USD; paths are those of `orchestrator.paths`. In a stored
event, a large value may be a reference to a blob: `{"$blob": sha256, "size": characters}`. An object with such
references is `{"$parts": {name: value}}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.journal.run_payloads import (
    RunCancelledPayload,
    RunCompensatedPayload,
    RunCompensatingPayload,
    RunCreatedPayload,
    RunFailedPayload,
    RunNoticePayload,
    RunNotifiedPayload,
    RunPausedPayload,
    RunQueuedPayload,
    RunResumedPayload,
    RunRevisedPayload,
    RunStartedPayload,
    RunSucceededPayload,
    RunWarningPayload,
)
from orchestrator.journal.step_payloads import (
    StepAnsweredPayload,
    StepCancelledPayload,
    StepFailedPayload,
    StepFilePayload,
    StepLogPayload,
    StepModelPayload,
    StepPartialPayload,
    StepProgressPayload,
    StepRequeuedPayload,
    StepRunningPayload,
    StepSkippedPayload,
    StepStartedPayload,
    StepSucceededPayload,
    StepUndonePayload,
    StepWaitingPayload,
    StepWarningPayload,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.journal.payload import Payload

PAYLOADS: Final[Mapping[str, type[Payload]]] = {
    each.type: each
    for each in (
        RunCreatedPayload,
        RunRevisedPayload,
        RunStartedPayload,
        RunPausedPayload,
        RunResumedPayload,
        RunSucceededPayload,
        RunFailedPayload,
        RunCancelledPayload,
        RunWarningPayload,
        RunNoticePayload,
        RunNotifiedPayload,
        RunCompensatingPayload,
        RunCompensatedPayload,
        RunQueuedPayload,
        StepStartedPayload,
        StepProgressPayload,
        StepLogPayload,
        StepFilePayload,
        StepWarningPayload,
        StepModelPayload,
        StepPartialPayload,
        StepWaitingPayload,
        StepRunningPayload,
        StepAnsweredPayload,
        StepSucceededPayload,
        StepFailedPayload,
        StepSkippedPayload,
        StepCancelledPayload,
        StepRequeuedPayload,
        StepUndonePayload,
    )
}
"""The class of each type of event."""
