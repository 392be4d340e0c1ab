"""What the fold of a run's events knows, as the status that is shown."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.journal.events import ENDS, RunState, StepState
from orchestrator.journal.state.status import ActiveStep, QueuedRun, RunStatus, ended_steps
from orchestrator.paths import is_top_level
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.journal.state.run_state import ActiveState, RunFold

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


def status_of(
    state: RunFold,
    now: float,
    *,
    interrupted: bool = False,
    moving: bool = False,
    owner: str | None = None,
    queued: QueuedRun | None = None,
    refusal: str | None = None,
) -> RunStatus:
    """Return the status of the run at the time `now`.

    Some facts are not in the events. `interrupted`: the owner's process has ended; `owner` names it. `moving`: a step
    has just ended, and another may start in a moment, so the run is not reported as waiting. `queued` is what a run
    waits for now, if that is known; else what it waited for at first is returned. `refusal` is why a worker did not
    take a submitted run.
    """
    stands = _run_state(state, interrupted=interrupted, moving=moving)
    if interrupted and stands in ("interrupted", "queued"):
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
        not_before=state.not_before if state.awaits_time else None,
        runs_on=state.runs_on,
        queued=None if stands == "interrupted" or state.queued is None else queued or state.queued,
        started_at=state.started_at,
        ended_at=state.ended_at,
        elapsed=state.spent + open_stretch,
        error=state.error,
        reason=state.reason,
        failures=tuple(state.handled),
        waiting_on=_waiting_on(state, stands, queued or state.queued, owned=not interrupted, refusal=refusal),
        owner=owner,
        last_seq=state.last_seq,
        name=state.name,
        metadata=state.metadata,
        spending=state.spending,
        budget=state.budget,
        warnings=tuple(state.warnings),
        notices=tuple(state.notices.values()),
        compensating=state.compensating > 0,
    )


def _run_state(state: RunFold, *, interrupted: bool, moving: bool) -> RunState:
    if state.state != "running":
        return state.state
    if state.needs_person and (interrupted or not moving):
        return "waiting"
    if interrupted:
        return "interrupted" if state.runs_on is None else "queued"
    return "queued" if state.is_held else "running"


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


def _waiting_on(
    state: RunFold, stands: RunState, queued: QueuedRun | None, *, owned: bool, refusal: str | None
) -> tuple[str, ...]:
    if f"run.{stands}" in ENDS:
        return ()
    words = [
        f"{path}: {'its owner to accept the answer' if step.answered else _WAITS.get(step.waiting_on, step.waiting_on)}"
        for path, step in state.active.items()
        if step.state == "waiting"
    ]
    if state.not_before is not None and state.awaits_time and (owned or state.not_before > time.time()):
        moment = datetime.fromtimestamp(state.not_before, UTC).isoformat(timespec="seconds")
        words.append(f"its start, not before {moment}")
    if state.queued is not None and queued is not None and stands == "queued":
        words.append(queued.in_words)
    if stands == "queued" and not owned and not words:
        words.append(_worker_in_words(state.runs_on or (), refusal))
    if stands == "interrupted":
        words.append("a resume: its process has ended")
    elif stands == "paused":
        words.append(f"a resume: paused by {state.paused_by}" if state.paused_by else "a resume")
    return tuple(words)


def _worker_in_words(labels: tuple[str, ...], refusal: str | None) -> str:
    """Return which worker a submitted run waits for."""
    which = f" with the label{'s' if len(labels) > 1 else ''} {quoted_list(labels)}" if labels else ""
    return f"a worker{which}" if refusal is None else f"another worker{which}: {refusal}"
