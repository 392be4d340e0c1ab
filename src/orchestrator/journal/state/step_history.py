"""The record of each step of a run, folded from the run's events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from orchestrator.journal.audience import is_same_question
from orchestrator.journal.events import StepState
from orchestrator.journal.run_payloads import RunRevisedPayload, RunStartedPayload
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.journal.step_payloads import (
    StepAnsweredPayload,
    StepCancelledPayload,
    StepFailedPayload,
    StepModelPayload,
    StepRequeuedPayload,
    StepRunningPayload,
    StepSkippedPayload,
    StepStartedPayload,
    StepSucceededPayload,
    StepUndonePayload,
    StepWaitingPayload,
    StepWarningPayload,
)
from orchestrator.paths import (
    ancestors,
    handled_step,
    is_at_or_below,
    is_in_end_block,
    is_in_handler,
    is_in_undo,
    parent_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.journal.events import Event


UNDONE: Final = "undone"
"""The reason of a pending step that had succeeded and was undone."""


class StepRecord(Struct):
    """The state of one step. Times in seconds since the epoch, of the first start and the last end.

    `duration` is that of the last attempt, in seconds. `reason` is why it was skipped or cancelled, or what it waits
    for; `handled` how its failure was handled (as in `step.failed`), in which case `output` is the value that the run
    continued with. `warnings` are messages, in order. `seq` is the number of the event that ended it, 0 before.

    Of a composite step: `kind` and `case` as in `step.started`; as in `step.succeeded`, `items` counts
    those of a loop, `accumulators` are those after a round (its event's `state`), `values` those of a group's steps. Of
    a step that waits: `until` and `question` as in `step.waiting`, and once it is `answered`, the `answer`. `cache` is
    its cache key, `cached` where its result was taken from, `run` the run that it is about to start, `limits` the
    numbers that were computed for it when it began. `spending` is the usage and cost of all model calls that it and the
    steps inside it made in this run.
    """

    path: str
    state: StepState = "pending"
    attempts: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    duration: float = 0.0
    output: Any = None
    error: Mapping[str, Any] | None = None
    reason: str = ""
    handled: str = ""
    target: str | None = None
    warnings: list[str] = field(default_factory=list)
    attempt_started_at: float | None = None
    seq: int = 0
    kind: str = ""
    case: str | None = None
    items: Mapping[str, int] | None = None
    accumulators: Mapping[str, Any] | None = None
    values: Mapping[str, Any] | None = None
    until: float | None = None
    question: Mapping[str, Any] | None = None
    answered: bool = False
    answer: Any = None
    cache: Mapping[str, Any] | None = None
    cached: Mapping[str, Any] | None = None
    run: str | None = None
    limits: Mapping[str, Any] | None = None
    spending: Spending = NOTHING

    @property
    def settled(self) -> bool:
        """Whether a resumed run keeps the step as it is: it succeeded, was skipped, or its failure was handled.

        A step that was skipped because another one had ended the pipeline is not kept: that one decides again.
        """
        if self.state == "skipped":
            return self.reason != "end"
        return self.state == "succeeded" or (self.state == "failed" and self.handled not in ("", "fail"))

    @property
    def failed_attempts(self) -> int:
        """How many attempts of an unfinished tool call have failed: the last may be in progress."""
        if self.state == "waiting" and self.reason == "retry":
            return self.attempts
        return max(0, self.attempts - 1)

    @property
    def outlives_owner(self) -> bool:
        """Whether it waits for a person or a time, which continues when the process has ended."""
        return self.state == "waiting" and self.reason in ("human", "time")


def step_records(events: Iterable[Event]) -> dict[str, StepRecord]:
    """Fold events, with large values resolved, to a record for each step that they name, in order of first mention.

    A step that was stopped or interrupted is pending, with its warnings. A step that was forgotten is missing until it
    runs again, and so is a step of an error handler whose step is attempted again.
    """
    history = StepHistory()
    for event in events:
        history.take(event)
    for path, spending in history.spent.items():
        if path in history.records:
            history.records[path].spending = spending
    return history.records


class StepHistory:
    """The records of steps as events come in, by path; `spent` is what each step, also one without a record, spent."""

    def __init__(self) -> None:
        self.records: dict[str, StepRecord] = {}
        self.spent: dict[str, Spending] = {}
        self._with_handlers: set[str] = set()
        self._undone: set[str] = set()

    def take(self, event: Event) -> None:
        """Apply the next event."""
        records = self.records
        if event.type == "step.model":
            call = StepModelPayload.from_data(event.data).spending
            for path in ancestors(event.path):
                self.spent[path] = self.spent.get(path, NOTHING) + call
        elif event.type == "run.started":
            if RunStartedPayload.from_data(event.data).resumed:
                _begin_again(records)
        elif event.type == "run.revised":
            _revise(records, RunRevisedPayload.from_data(event.data).forget)
        elif event.type == "step.undone":
            _undo(records, event.path, StepUndonePayload.from_data(event.data).forget)
            self._undone.add(event.path)
        elif event.path:
            record = records.get(event.path)
            if record is None:
                record = records[event.path] = StepRecord(event.path)
                if (owner := handled_step(event.path)) is not None:
                    self._with_handlers.add(owner)
            if event.type == "step.started" and event.path in self._with_handlers:
                _forget_below(f"{event.path}.on_error", records)
            if event.path in self._undone:
                self._undone.discard(event.path)
                _forget_below(f"{event.path}.undo", records)
            apply(record, event)


def _revise(records: dict[str, StepRecord], forget: Sequence[str]) -> None:
    """Forget what is recorded at these paths and below, and the ends of what contains them."""
    for path, last in list(records.items()):
        if any(is_at_or_below(path, other) for other in forget):
            del records[path]
        elif any(is_at_or_below(other, path) for other in forget):
            records[path] = StepRecord(path, warnings=last.warnings)


def _begin_again(records: dict[str, StepRecord]) -> None:
    """Reset what the last owner left unfinished, because the run was resumed."""
    for path, last in list(records.items()):
        in_handler = is_in_handler(path)
        continues = in_handler or is_in_end_block(path) or not (last.settled or last.outlives_owner)
        if not continues or last.reason == UNDONE or _is_over(path, records):
            continue
        if in_handler:  # the step is attempted again, and may not fail again
            del records[path]
        else:
            records[path] = StepRecord(path, warnings=last.warnings)


def _undo(records: dict[str, StepRecord], path: str, forget: Sequence[str]) -> None:
    """Have a step that was undone be pending, and keep what its `undo` did, and those of what depends on it."""
    kept = {inner: record for inner, record in records.items() if is_in_undo(inner) or record.reason == UNDONE}
    last = records.get(path)
    _revise(records, forget)
    if last is not None:
        records[path] = StepRecord(path, reason=UNDONE, warnings=last.warnings)
    records.update(kept)


def _forget_below(below: str, records: dict[str, StepRecord]) -> None:
    """Forget the steps of a step's error handlers, or of its `undo`, as it is attempted again."""
    for inner in [other for other in records if is_at_or_below(other, below)]:
        del records[inner]


def _is_over(path: str, records: Mapping[str, StepRecord]) -> bool:
    """Whether something that contains the step is settled, so that the step never continues."""
    while path := parent_of(path):
        around = records.get(path)
        if around is not None and around.settled:
            return True
    return False


def apply(record: StepRecord, event: Event) -> None:
    """Apply one of the step's own events to its record."""
    payload = event.payload
    match payload:
        case StepStartedPayload():
            record.state = "running"
            record.attempts = max(event.attempt, record.attempts)
            record.started_at = event.at if record.started_at is None else record.started_at
            record.attempt_started_at = event.at
            record.ended_at = None
            record.reason = ""
            record.kind = payload.kind or ""
            record.case = payload.case
            record.run = payload.run
            record.limits = payload.limits
            record.until = record.question = record.answer = record.cached = None
            record.answered = False
        case StepWaitingPayload():
            record.state = "waiting"
            record.reason = payload.reason or ""
            record.error = payload.error or record.error
            record.until = payload.until
            if not is_same_question(payload.question, record.question):
                record.answered, record.answer = False, None
            record.question = payload.question
        case StepRunningPayload():
            record.state, record.reason, record.until = "running", "", None
        case StepAnsweredPayload():
            record.answered, record.answer = True, payload.value
        case StepRequeuedPayload():
            record.state = "pending"
            record.reason = payload.reason or ""
        case StepWarningPayload():
            record.warnings.append(payload.message)
        case StepSucceededPayload():
            _end(record, event, "succeeded", duration=payload.duration)
            record.output = payload.output
            record.error = None
            record.items = payload.items
            record.accumulators = payload.state
            record.values = payload.values
            record.cache = payload.cache
            record.cached = payload.cached
        case StepFailedPayload():
            _end(record, event, "failed", duration=payload.duration)
            record.cache = payload.cache
            record.error = payload.error
            record.handled = payload.handled
            record.output = payload.value
            record.target = payload.target
            record.items = payload.items
        case StepSkippedPayload():
            _end(record, event, "skipped", payload.reason)
        case StepCancelledPayload():
            _end(record, event, "cancelled", payload.reason)


def _end(
    record: StepRecord, event: Event, state: StepState, reason: str | None = None, duration: float | None = None
) -> None:
    record.state = state
    record.seq = event.seq
    record.attempts = max(event.attempt, record.attempts)
    record.ended_at = event.at
    record.reason = reason or ""
    if duration is None:
        duration = event.at - record.attempt_started_at if record.attempt_started_at is not None else 0.0
    record.duration = duration
