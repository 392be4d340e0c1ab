"""The fold from events to a run's status: the same in its owner, another process, the command and a server.

Only the sets of steps that can leave their state again are kept by name. Those that succeeded or were skipped are
counted, so the state of a run of a million steps stays as small as what is going on in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from orchestrator.journal.events import Event, RunState, StepState
from orchestrator.journal.status import ActiveStep, RunStatus, ended_steps

STEP_STATES: tuple[StepState, ...] = (
    "pending",
    "ready",
    "running",
    "waiting",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
)


@dataclass(slots=True)
class ActiveState:
    """A step at work in the fold; `since` is when its attempt or its waiting began."""

    state: StepState
    attempt: int
    since: float
    fraction: float | None = None
    message: str = ""
    waiting_on: str = ""
    waiting_until: float | None = None


@dataclass(slots=True)
class RunFold:
    """What is known of a run after `last_seq` events. Changed in place by `fold`; JSON data by `to_dict`.

    The dicts with None values are ordered sets of paths: `failed` ended the run, `handled` did not. `spent` is the
    time of closed stretches of work, `since` the start of the open one.
    """

    run_id: str = ""
    pipeline: str = ""
    name: str = ""
    state: RunState = "running"
    total: int = 0
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    spent: float = 0.0
    since: float | None = None
    last_seq: int = 0
    last_at: float = 0.0
    error: Mapping[str, Any] | None = None
    paused_by: str = ""
    reason: str = ""
    succeeded: int = 0
    skipped: int = 0
    ready: dict[str, None] = field(default_factory=dict)
    active: dict[str, ActiveState] = field(default_factory=dict)
    failed: dict[str, None] = field(default_factory=dict)
    handled: dict[str, None] = field(default_factory=dict)
    cancelled: dict[str, None] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many paths it holds: what writing it down costs."""
        return len(self.ready) + len(self.active) + len(self.failed) + len(self.handled) + len(self.cancelled)

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return {
            "run_id": self.run_id,
            "pipeline": self.pipeline,
            "name": self.name,
            "state": self.state,
            "total": self.total,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "spent": self.spent,
            "since": self.since,
            "last_seq": self.last_seq,
            "last_at": self.last_at,
            "error": self.error,
            "paused_by": self.paused_by,
            "reason": self.reason,
            "succeeded": self.succeeded,
            "skipped": self.skipped,
            "ready": list(self.ready),
            "active": {path: asdict(step) for path, step in self.active.items()},
            "failed": list(self.failed),
            "handled": list(self.handled),
            "cancelled": list(self.cancelled),
            "metadata": self.metadata,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunFold:
        """Build the state that `to_dict` described."""
        fields = dict(data)
        for name in ("ready", "failed", "handled", "cancelled"):
            fields[name] = dict.fromkeys(fields.get(name, ()))
        fields["active"] = {path: ActiveState(**step) for path, step in fields.get("active", {}).items()}
        return cls(**fields)


def fold(state: RunFold, event: Event) -> RunFold:
    """Bring `state` up to `event`, in place, and return it. Unknown types change nothing but `last_seq`."""
    change = _CHANGES.get(event.type)
    if change is not None:
        change(state, event)
        if state.state == "paused" and not _is_working(state):
            _stop_clock(state, event.at)
    state.last_seq = event.seq
    state.last_at = event.at
    return state


def fold_all(events: Iterable[Event], state: RunFold | None = None) -> RunFold:
    """Fold many events, from the beginning or from `state`."""
    state = state or RunFold()
    for event in events:
        fold(state, event)
    return state


def status_of(state: RunFold, now: float, *, interrupted: bool = False, owner: str | None = None) -> RunStatus:
    """Say where the run stands at the time `now`.

    Whether its owner still lives is not in the events: `interrupted` says that it does not, `owner` names it.
    """
    if interrupted:
        now = state.last_at
    active = tuple(_active_step(path, step, now) for path, step in state.active.items())
    counts = _counts(state)
    fractions = sum(step.fraction or 0.0 for step in active if step.state == "running")
    if state.state == "succeeded":
        progress = 1.0
    else:
        progress = min(1.0, (ended_steps(counts) + fractions) / state.total) if state.total else 0.0
    open_stretch = max(0.0, now - state.since) if state.since is not None else 0.0
    return RunStatus(
        run_id=state.run_id,
        pipeline=state.pipeline,
        state="interrupted" if interrupted else state.state,
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
        waiting_on=_waiting_on(state, interrupted=interrupted),
        owner=owner,
        last_seq=state.last_seq,
        name=state.name,
        metadata=state.metadata,
    )


def _counts(state: RunFold) -> dict[StepState, int]:
    counts: dict[StepState, int] = dict.fromkeys(STEP_STATES, 0)
    for step in state.active.values():
        counts[step.state] += 1
    counts["ready"] = len(state.ready)
    counts["succeeded"] = state.succeeded
    counts["skipped"] = state.skipped
    counts["failed"] = len(state.failed) + len(state.handled)
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
        fraction=step.fraction,
        message=step.message,
        waiting_on=step.waiting_on,
        waiting_until=step.waiting_until,
    )


def _waiting_on(state: RunFold, *, interrupted: bool) -> tuple[str, ...]:
    words = [f"{path}: {step.waiting_on}" for path, step in state.active.items() if step.state == "waiting"]
    if interrupted:
        words.append("somebody to resume it: its process has ended")
    elif state.state == "paused":
        words.append(
            f"somebody to resume it: paused by {state.paused_by}" if state.paused_by else "somebody to resume it"
        )
    return tuple(words)


def _leave(state: RunFold, path: str) -> ActiveState | None:
    """Take a step out of whichever set holds it."""
    step = state.active.pop(path, None)
    if step is None:
        for paths in (state.ready, state.failed, state.handled, state.cancelled):
            paths.pop(path, None)
    return step


def _is_working(state: RunFold) -> bool:
    return any(step.state == "running" for step in state.active.values())


def _stop_clock(state: RunFold, at: float) -> None:
    if state.since is not None:
        state.spent += max(0.0, at - state.since)
        state.since = None


def _run_created(state: RunFold, event: Event) -> None:
    data = event.data
    state.run_id = event.run_id
    state.pipeline = data.get("pipeline", "")
    state.name = data.get("name", "")
    state.total = data.get("steps", 0)
    state.created_at = event.at
    state.metadata = data.get("metadata", {})


def _run_started(state: RunFold, event: Event) -> None:
    state.state = "running"
    state.error = None
    state.reason = ""
    state.ended_at = None
    if state.started_at is None:
        state.started_at = event.at
    _stop_clock(state, state.last_at)  # after a crash, the last owner's stretch ends with its last event
    state.since = event.at
    if event.data.get("resumed"):
        # What the last owner left unfinished is pending again; a failure that the run went on after stays one.
        for unfinished in (state.active, state.ready, state.failed, state.cancelled):
            unfinished.clear()


def _run_paused(state: RunFold, event: Event) -> None:
    state.state = "paused"
    state.paused_by = str(event.data.get("by") or "")


def _run_resumed(state: RunFold, event: Event) -> None:
    state.state = "running"
    if state.since is None:
        state.since = event.at


def _run_ended(state: RunFold, event: Event) -> None:
    if event.type == "run.succeeded":
        state.state = "succeeded"
    elif event.type == "run.failed":
        state.state = "failed"
        state.error = event.data.get("error")
    else:
        state.state = "cancelled"
        state.reason = str(event.data.get("reason") or "")
    state.ended_at = event.at
    _stop_clock(state, event.at)


def _step_ready(state: RunFold, event: Event) -> None:
    _leave(state, event.path)
    state.ready[event.path] = None


def _step_started(state: RunFold, event: Event) -> None:
    _leave(state, event.path)
    state.active[event.path] = ActiveState("running", event.attempt, event.at)


def _step_progress(state: RunFold, event: Event) -> None:
    step = state.active.get(event.path)
    if step is None:
        return
    fraction = event.data.get("fraction")
    if fraction is not None:
        step.fraction = min(1.0, max(0.0, fraction))
    step.message = event.data.get("message") or step.message


def _step_waiting(state: RunFold, event: Event) -> None:
    data = event.data
    step = _leave(state, event.path)
    state.active[event.path] = ActiveState(
        "waiting",
        event.attempt or (step.attempt if step else 0),
        event.at,
        waiting_on=data.get("reason") or "",
        waiting_until=data.get("until"),
    )


def _step_succeeded(state: RunFold, event: Event) -> None:
    _leave(state, event.path)
    state.succeeded += 1


def _step_failed(state: RunFold, event: Event) -> None:
    _leave(state, event.path)
    paths = state.failed if event.data.get("handled", "fail") == "fail" else state.handled
    paths[event.path] = None


def _step_skipped(state: RunFold, event: Event) -> None:
    _leave(state, event.path)
    state.skipped += 1


def _step_cancelled(state: RunFold, event: Event) -> None:
    _leave(state, event.path)
    state.cancelled[event.path] = None


_CHANGES: dict[str, Callable[[RunFold, Event], None]] = {
    "run.created": _run_created,
    "run.started": _run_started,
    "run.paused": _run_paused,
    "run.resumed": _run_resumed,
    "run.succeeded": _run_ended,
    "run.failed": _run_ended,
    "run.cancelled": _run_ended,
    "step.ready": _step_ready,
    "step.started": _step_started,
    "step.progress": _step_progress,
    "step.waiting": _step_waiting,
    "step.succeeded": _step_succeeded,
    "step.failed": _step_failed,
    "step.skipped": _step_skipped,
    "step.cancelled": _step_cancelled,
}
