"""The fold from events to a run's status: the same in its owner, another process, the command and a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.journal.events import ENDS, Event, RunState, StepState
from orchestrator.journal.payloads import (
    Payload,
    RunCancelledPayload,
    RunCreatedPayload,
    RunEndPayload,
    RunFailedPayload,
    RunPausedPayload,
    RunResumedPayload,
    RunRevisedPayload,
    RunStartedPayload,
    RunSucceededPayload,
    RunWarningPayload,
    StepAnsweredPayload,
    StepCancelledPayload,
    StepEndPayload,
    StepFailedPayload,
    StepModelPayload,
    StepProgressPayload,
    StepRequeuedPayload,
    StepRunningPayload,
    StepSkippedPayload,
    StepStartedPayload,
    StepSucceededPayload,
    StepWaitingPayload,
)
from orchestrator.journal.state.run_state import FAILURES, WARNINGS, ActiveState, RunFold
from orchestrator.journal.state.status import ActiveStep, RunStatus, ended_steps
from orchestrator.paths import is_at_or_below, is_in_end_block, is_in_handler, is_top_level, parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STEP_STATES: tuple[StepState, ...] = (
    "pending",
    "running",
    "waiting",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
)

_WAITS = {"human": "an answer", "time": "its scheduled time", "handler": "its error handler", "judge": "its judge"}


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


def status_of(
    state: RunFold, now: float, *, interrupted: bool = False, moving: bool = False, owner: str | None = None
) -> RunStatus:
    """Return the status of the run at the time `now`.

    Some facts are not in the events. `interrupted`: the owner's process has ended; `owner` names it. `moving`: a step
    has just ended, and another may start in a moment, so the run is not reported as waiting.
    """
    stands = _run_state(state, interrupted=interrupted, moving=moving)
    if stands == "interrupted":
        now = state.last_at
    ended = f"run.{stands}" in ENDS
    active = () if ended else tuple(_active_step(path, step, now) for path, step in state.active.items())
    counts = _counts(state, active)
    fractions = sum(step.fraction or 0.0 for step in active if step.state == "running" and is_top_level(step.path))
    if stands == "succeeded":
        progress = 1.0
    else:
        progress = min(1.0, (ended_steps(counts) + fractions) / state.total) if state.total else 0.0
    open_stretch = max(0.0, now - state.since) if state.since is not None else 0.0
    return RunStatus(
        run_id=state.run_id,
        pipeline=state.pipeline,
        state=stands,
        progress=progress,
        counts=counts,
        active=active,
        total=state.total,
        created_at=state.created_at,
        started_at=state.started_at,
        ended_at=state.ended_at,
        elapsed=state.spent + open_stretch,
        error=state.error,
        reason=state.reason,
        failures=tuple(state.handled),
        waiting_on=_waiting_on(state, stands),
        owner=owner,
        last_seq=state.last_seq,
        name=state.name,
        metadata=state.metadata,
        spending=state.spending,
        budget=state.budget,
        warnings=tuple(state.warnings),
    )


def _run_state(state: RunFold, *, interrupted: bool, moving: bool) -> RunState:
    if state.state != "running":
        return state.state
    if state.needs_person and (interrupted or not moving):
        return "waiting"
    return "interrupted" if interrupted else "running"


def _counts(state: RunFold, active: Iterable[ActiveStep]) -> dict[StepState, int]:
    """Count the top-level steps by their states."""
    counts: dict[StepState, int] = dict.fromkeys(STEP_STATES, 0)
    for step in active:
        if is_top_level(step.path):
            counts[step.state] += 1
    counts["succeeded"] = state.succeeded
    counts["skipped"] = state.skipped
    counts["failed"] = len(state.failed) + state.continued
    counts["cancelled"] = len(state.cancelled)
    counts["pending"] = max(0, state.total - sum(counts.values()))
    return counts


def _active_step(path: str, step: ActiveState, now: float) -> ActiveStep:
    return ActiveStep(
        path=path,
        state=step.state,
        attempt=step.attempt,
        started_at=step.since,
        elapsed=max(0.0, now - step.since),
        fraction=min(1.0, step.done / step.of) if step.of else step.fraction,
        message=step.message,
        waiting_on=step.waiting_on,
        waiting_until=step.waiting_until,
        kind=step.kind,
        of=step.of,
        done=step.done,
        failed=step.failed,
        question=step.question,
        answered=step.answered,
    )


def _waiting_on(state: RunFold, stands: RunState) -> tuple[str, ...]:
    if f"run.{stands}" in ENDS:
        return ()
    words = [
        f"{path}: {'its owner to accept the answer' if step.answered else _WAITS.get(step.waiting_on, step.waiting_on)}"
        for path, step in state.active.items()
        if step.state == "waiting"
    ]
    if stands == "interrupted":
        words.append("a resume: its process has ended")
    elif stands == "paused":
        words.append(f"a resume: paused by {state.paused_by}" if state.paused_by else "a resume")
    return tuple(words)


# --- the working time


def _set_clock(state: RunFold, at: float) -> None:
    """Stop the clock while the run is paused and no step works, and while it waits for a person."""
    if state.state == "paused":
        if not state.is_working:
            _stop_clock(state, at)
    elif state.state == "running" and state.started_at is not None:
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
    state.metadata = created.metadata


@_on(RunRevisedPayload)
def _run_revised(state: RunFold, event: Event, revised: RunRevisedPayload) -> None:
    forget = tuple(revised.forget)

    def is_forgotten(path: str) -> bool:
        return any(is_at_or_below(path, other) or is_at_or_below(other, path) for other in forget)

    for path in list(filter(is_forgotten, state.active)):
        state.leave(path)
    for paths in (state.failed, state.handled, state.cancelled):
        for path in list(filter(is_forgotten, paths)):
            del paths[path]
    state.state = "running"  # what is forgotten remains to be done, even if no owner gets to it
    state.error = None
    state.reason = ""
    state.ended_at = None
    settled = revised.settled
    state.succeeded = settled.get("succeeded", 0)
    state.skipped = settled.get("skipped", 0)
    state.continued = settled.get("failed", 0)
    if revised.steps is not None:
        state.total = revised.steps
    if revised.source is not None:
        state.revised = event.seq


@_on(RunStartedPayload)
def _run_started(state: RunFold, event: Event, started: RunStartedPayload) -> None:
    state.state = "running"
    state.error = None
    state.reason = ""
    state.ended_at = None
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


@_on(RunPausedPayload)
def _run_paused(state: RunFold, event: Event, paused: RunPausedPayload) -> None:
    state.state = "paused"
    state.paused_by = paused.by or ""


@_on(RunResumedPayload)
def _run_resumed(state: RunFold, event: Event, _: RunResumedPayload) -> None:
    state.state = "running"
    if state.since is None:
        state.since = event.at


@_on(RunSucceededPayload, RunFailedPayload, RunCancelledPayload)
def _run_ended(state: RunFold, event: Event, end: RunEndPayload) -> None:
    match end:
        case RunSucceededPayload():
            state.state = "succeeded"
        case RunFailedPayload():
            state.state = "failed"
            state.error = end.error
        case RunCancelledPayload():
            state.state = "cancelled"
            state.reason = end.reason or ""
    state.ended_at = event.at
    _stop_clock(state, event.at)
    state.before = state.spent


@_on(RunWarningPayload)
def _run_warning(state: RunFold, event: Event, warning: RunWarningPayload) -> None:
    message = warning.message
    if len(state.warnings) < WARNINGS and message not in state.warnings:
        state.warnings.append(message)


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
    if before is not None and question is not None and question == before.question:
        step.since, step.answered = before.since, before.answered  # the next owner asks the same question
    state.enter(event.path, step)


@_on(StepRunningPayload)
def _step_running(state: RunFold, event: Event, _: StepRunningPayload) -> None:
    step = state.active.get(event.path)
    if step is not None and step.state == "waiting":
        state.enter(event.path, ActiveState("running", step.attempt, event.at))


@_on(StepAnsweredPayload)
def _step_answered(state: RunFold, event: Event, _: StepAnsweredPayload) -> None:
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
