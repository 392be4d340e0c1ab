"""The fold from events to a run's status: the same in its owner, another process, the command and a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from orchestrator.journal.audience import is_same_question
from orchestrator.journal.payload import Payload, RunEndPayload, StepEndPayload
from orchestrator.journal.records import Submission
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
from orchestrator.journal.state.run_state import FAILURES, NOTICES, WARNINGS, ActiveState, RunFold
from orchestrator.journal.state.status import NoticeState, NoticeStatus, QueuedRun
from orchestrator.journal.step_payloads import (
    StepAnsweredPayload,
    StepCancelledPayload,
    StepFailedPayload,
    StepModelPayload,
    StepProgressPayload,
    StepRequeuedPayload,
    StepRunningPayload,
    StepSkippedPayload,
    StepStartedPayload,
    StepSucceededPayload,
    StepUndonePayload,
    StepWaitingPayload,
)
from orchestrator.paths import is_at_or_below, is_in_end_block, is_in_handler, is_top_level, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.journal.events import Event


def fold(state: RunFold, event: Event, payload: Payload | None = None) -> RunFold:
    """Apply an event to `state`, in place, and return it. Unknown types change only `last_seq`.

    `payload` is what the event records, if the caller has it.
    """
    if not event.seq:  # it is not recorded
        return state
    change = _CHANGES.get(event.type)
    if change is not None:
        change(state, event, event.payload if payload is None else payload)
        _set_clock(state, event.at)
    state.last_seq = event.seq
    state.last_at = event.at
    return state


def fold_all(events: Iterable[Event], state: RunFold | None = None) -> RunFold:
    """Fold many events, from the beginning or from `state`."""
    state = state or RunFold()
    for event in events:
        fold(state, event)
    return state


# --- the working time


def _set_clock(state: RunFold, at: float) -> None:
    """Stop the clock while the run is paused and no step works, and while it waits for a person."""
    if state.state == "paused":
        if not state.is_working:
            _stop_clock(state, at)
    elif state.state == "running" and state.started_at is not None and state.queued is None:
        if state.needs_person:
            _stop_clock(state, at)
        elif state.since is None:
            state.since = at


def _stop_clock(state: RunFold, at: float) -> None:
    if state.since is not None:
        state.spent += max(0.0, at - state.since)
        state.since = None


# --- what each event changes

P = TypeVar("P", bound=Payload)

_CHANGES: dict[str, Callable[[RunFold, Event, Any], None]] = {}


def _on(*types: type[P]) -> Callable[[Callable[[RunFold, Event, P], None]], Callable[[RunFold, Event, P], None]]:
    """Register what events with these payloads change."""

    def register(change: Callable[[RunFold, Event, P], None]) -> Callable[[RunFold, Event, P], None]:
        _CHANGES.update(dict.fromkeys((each.type for each in types), change))
        return change

    return register


@_on(RunCreatedPayload)
def _run_created(state: RunFold, event: Event, created: RunCreatedPayload) -> None:
    state.run_id = event.run_id
    state.pipeline = created.pipeline
    state.name = created.name
    state.total = created.steps
    state.created_at = event.at
    state.not_before = created.options.get("not_before")
    submission = Submission.of(created.options)
    state.runs_on = None if submission is None else submission.runs_on
    state.metadata = created.metadata


@_on(RunRevisedPayload)
def _run_revised(state: RunFold, event: Event, revised: RunRevisedPayload) -> None:
    _forget(state, revised.forget, (state.failed, state.handled, state.cancelled))
    if revised.reason == "retry":
        state.compensating = 0
    state.state = "running"  # what is forgotten remains to be done, even if no owner gets to it
    state.error = None
    state.reason = ""
    state.ended_at = None
    settled = revised.settled
    state.succeeded = settled.get("succeeded", 0)
    state.skipped = settled.get("skipped", 0)
    state.left_out = 0
    state.continued = settled.get("failed", 0)
    if revised.steps is not None:
        state.total = revised.steps
    if revised.source is not None:
        state.revised = event.seq


@_on(RunQueuedPayload)
def _run_queued(state: RunFold, event: Event, queued: RunQueuedPayload) -> None:
    state.state = "running"
    state.error = None
    state.reason = ""
    state.ended_at = None
    state.queued = QueuedRun(queued.key, queued.max, tuple(queued.runs), queued.ahead)
    _stop_clock(state, state.last_at)


@_on(StepUndonePayload)
def _step_undone(state: RunFold, event: Event, undone: StepUndonePayload) -> None:
    _forget(state, undone.forget, (state.handled,))
    reopened = undone.reopened
    state.succeeded = max(0, state.succeeded - reopened.get("succeeded", 0))
    state.skipped = max(0, state.skipped - reopened.get("skipped", 0))
    state.continued = max(0, state.continued - reopened.get("failed", 0))


@_on(RunCompensatingPayload)
def _run_compensating(state: RunFold, event: Event, _: RunCompensatingPayload) -> None:
    state.compensating += 1


@_on(RunCompensatedPayload)
def _run_compensated(state: RunFold, event: Event, compensated: RunCompensatedPayload) -> None:
    state.compensating = max(0, state.compensating - 1) if compensated.within else 0


def _forget(state: RunFold, forget: Iterable[str], sets: Iterable[dict[str, None]]) -> None:
    """Remove paths that are forgotten, what is below them and around them, from the active steps and from sets."""
    forget = tuple(forget)

    def is_forgotten(path: str) -> bool:
        return any(is_at_or_below(path, other) or is_at_or_below(other, path) for other in forget)

    for path in list(filter(is_forgotten, state.active)):
        state.leave(path)
    for paths in sets:
        for path in list(filter(is_forgotten, paths)):
            del paths[path]


@_on(RunStartedPayload)
def _run_started(state: RunFold, event: Event, started: RunStartedPayload) -> None:
    state.state = "running"
    state.error = None
    state.reason = ""
    state.ended_at = None
    state.queued = None
    if state.started_at is None:
        state.started_at = event.at
    state.budget = started.budget
    state.allowed = started.allowed
    _stop_clock(state, state.last_at)  # after a crash, the last owner's working time ends with its last event
    state.since = event.at
    if started.resumed:
        # Unfinished steps are pending again; failures that the run continued after remain.
        for path, step in list(state.active.items()):
            if is_in_end_block(path) or is_in_handler(path) or not step.outlives_owner:
                state.leave(path)
        for unfinished in (state.failed, state.cancelled):
            unfinished.clear()
        state.skipped -= state.left_out
        state.left_out = 0


@_on(RunPausedPayload)
def _run_paused(state: RunFold, event: Event, paused: RunPausedPayload) -> None:
    if paused.idle:
        _stop_clock(state, state.last_at)
    state.state = "paused"
    state.paused_by = paused.by or ""


@_on(RunResumedPayload)
def _run_resumed(state: RunFold, event: Event, _: RunResumedPayload) -> None:
    state.state = "running"
    if state.since is None and state.queued is None:
        state.since = event.at


@_on(RunSucceededPayload, RunFailedPayload, RunCancelledPayload)
def _run_ended(state: RunFold, event: Event, end: RunEndPayload) -> None:
    match end:
        case RunSucceededPayload():
            state.state = "succeeded"
            state.compensating = 0
        case RunFailedPayload():
            state.state = "failed"
            state.error = end.error
        case RunCancelledPayload():
            if end.idle:
                _stop_clock(state, state.last_at)
            state.state = "cancelled"
            state.reason = end.reason or ""
    state.queued = None
    state.ended_at = event.at
    _stop_clock(state, event.at)
    state.before = state.spent


@_on(RunWarningPayload)
def _run_warning(state: RunFold, event: Event, warning: RunWarningPayload) -> None:
    message = warning.message
    if len(state.warnings) < WARNINGS and message not in state.warnings:
        state.warnings.append(message)


@_on(RunNoticePayload)
def _run_notice(state: RunFold, event: Event, notice: RunNoticePayload) -> None:
    state.notices[notice.notice] = NoticeStatus(
        notice.notice, notice.occasion, notice.to, title=notice.title, at=event.at
    )
    while len(state.notices) > NOTICES:
        del state.notices[next(iter(state.notices))]


@_on(RunNotifiedPayload)
def _run_notified(state: RunFold, event: Event, notified: RunNotifiedPayload) -> None:
    notice = state.notices.get(notified.notice)
    if notice is not None:
        error = str((notified.error or {}).get("message") or "")
        ended: NoticeState = "failed" if notified.error else "sent"
        state.notices[notice.id] = replace(notice, state=ended, error=error, ended_at=event.at)


@_on(StepModelPayload)
def _step_model(state: RunFold, event: Event, call: StepModelPayload) -> None:
    state.spending += call.spending


@_on(StepStartedPayload)
def _step_started(state: RunFold, event: Event, started: StepStartedPayload) -> None:
    path = event.path
    _begin(state, path)
    step = ActiveState("running", event.attempt, event.at)
    if started.kind:
        step.kind = started.kind
        step.of = started.of
        step.done = started.done
        step.failed = started.failed
        step.message = f"run {started.run}" if started.run else ""
    elif path in state.below:
        _leave_below(state, path)
    state.enter(path, step)


@_on(StepProgressPayload)
def _step_progress(state: RunFold, event: Event, progress: StepProgressPayload) -> None:
    step = state.active.get(event.path)
    if step is None:
        return
    if progress.fraction is not None:
        step.fraction = min(1.0, max(0.0, progress.fraction))
    step.message = progress.message or step.message


@_on(StepWaitingPayload)
def _step_waiting(state: RunFold, event: Event, waiting: StepWaitingPayload) -> None:
    _begin(state, event.path)
    before = state.active.get(event.path)
    question = waiting.question
    step = ActiveState(
        "waiting",
        event.attempt or (before.attempt if before else 0),
        event.at,
        waiting_on=waiting.reason or "",
        waiting_until=waiting.until,
        question=question,
    )
    if before is not None and question is not None and is_same_question(question, before.question):
        step.since, step.answered = before.since, before.answered  # asked again, by the next owner or as a reminder
    state.enter(event.path, step)


@_on(StepRunningPayload)
def _step_running(state: RunFold, event: Event, _: StepRunningPayload) -> None:
    step = state.active.get(event.path)
    if step is not None and step.state == "waiting":
        state.enter(event.path, ActiveState("running", step.attempt, event.at))


@_on(StepAnsweredPayload)
def _step_answered(state: RunFold, event: Event, answered: StepAnsweredPayload) -> None:
    if answered.idle:
        _stop_clock(state, state.last_at)
    step = state.active.get(event.path)
    if step is not None and step.state == "waiting":
        state.leave(event.path)
        step.answered = True
        state.enter(event.path, step)


@_on(StepSucceededPayload, StepFailedPayload, StepSkippedPayload, StepCancelledPayload)
def _step_ended(
    state: RunFold,
    event: Event,
    end: StepEndPayload,
) -> None:
    path = event.path
    if path in state.below:
        _leave_below(state, path)
    state.leave(path)
    failed = isinstance(end, StepFailedPayload)
    continues = isinstance(end, StepFailedPayload) and end.handled != "fail"
    if is_top_level(path):
        _begin(state, path)
        if isinstance(end, StepSucceededPayload):
            state.succeeded += 1
        elif isinstance(end, StepSkippedPayload):
            state.skipped += 1
            state.left_out += end.reason == "end"
        elif isinstance(end, StepCancelledPayload):
            state.cancelled[path] = None
        elif continues:
            state.continued += 1
        else:
            state.failed[path] = None
    elif not isinstance(end, StepCancelledPayload):
        around = state.active.get(parent_of(path))
        if around is not None:
            around.done += 1
            around.failed += failed
    if continues and len(state.handled) < FAILURES:
        state.handled[path] = None


@_on(StepRequeuedPayload)
def _step_requeued(state: RunFold, event: Event, _: StepRequeuedPayload) -> None:
    _begin(state, event.path)
    if event.path in state.below:
        _leave_below(state, event.path)
    state.leave(event.path)


def _begin(state: RunFold, path: str) -> None:
    """Remove a step from the sets of steps that do not work."""
    if state.failed:
        state.failed.pop(path, None)
    if state.cancelled:
        state.cancelled.pop(path, None)
    if path in state.handled:
        del state.handled[path]
        state.continued -= is_top_level(path)


def _leave_below(state: RunFold, path: str) -> None:
    for inner in [other for other in state.active if other != path and is_at_or_below(other, path)]:
        state.leave(inner)
