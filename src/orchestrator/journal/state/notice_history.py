"""Which notices a run has recorded: those that are still to be sent, and the occasions that need no further one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.journal.payload import RunEndPayload, StepEndPayload
from orchestrator.journal.run_payloads import RunNoticePayload, RunNotifiedPayload, RunRevisedPayload
from orchestrator.journal.step_payloads import StepAnsweredPayload
from orchestrator.paths import is_at_or_below

if TYPE_CHECKING:
    from orchestrator.journal.events import Event


class NoticeHistory(Struct):
    """The notices of a run, over all owners.

    `count` is how many were recorded, `pending` has those that are to be sent, by their ids, with the time when each
    was recorded. A notice was recorded about the open questions of the steps `asked`, the last after so many reminders
    and escalations, about the limits `budgets`, and if it has `failed`, about the failure that is about to end the run.
    """

    count: int = 0
    pending: dict[str, tuple[RunNoticePayload, float]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    failed: bool = False
    budgets: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        """Apply an event of the run."""
        match event.payload:
            case RunNoticePayload() as notice:
                self.record(notice, event.at)
            case RunNotifiedPayload() as notified:
                self.pending.pop(notified.notice, None)
            case RunRevisedPayload() as revised:
                kept = (path for path in self.asked if not any(is_at_or_below(path, other) for other in revised.forget))
                self.asked = {path: self.asked[path] for path in kept}
            case RunEndPayload():
                self.failed = False  # the next failure is another one
            case StepAnsweredPayload() | StepEndPayload():
                self.asked.pop(event.path, None)

    def record(self, notice: RunNoticePayload, at: float) -> None:
        """Take a notice that is recorded at the time `at`."""
        self.count += 1
        self.pending[notice.notice] = (notice, at)
        match notice.occasion:
            case "failed":
                self.failed = True
            case "waiting":
                times = notice.reminders or [0] * len(notice.about)
                self.asked.update(zip(notice.about, times, strict=False))
            case "budget":
                self.budgets.update(notice.about)
