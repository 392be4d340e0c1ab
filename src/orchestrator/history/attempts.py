"""The attempts of one step: when each was made, what it waited for, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from orchestrator.journal.run_payloads import RunRevisedPayload
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
    StepWaitingPayload,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.journal import Event

MOST_ATTEMPTS: Final = 200
"""How many of the newest attempts are returned."""


class AttemptRecord(Struct):
    """One attempt. Times in seconds since the epoch; `ended_at` is None while it runs.

    `state` is how it ended (`running`, `waiting` while it has not); of one that is made again, `failed`, with `until`
    when the next one is due. `waits` are what it waited for: reasons and times. `answered_by` is who answered its
    question. `forgotten`: the run was continued without its result; `forgotten_by` is who continued it.
    """

    number: int
    started_at: float | None
    state: str = "running"
    ended_at: float | None = None
    error: Mapping[str, Any] | None = None
    traceback: str = ""
    until: float | None = None
    waits: list[tuple[str, float, float | None]] = field(default_factory=list)
    spending: Spending = NOTHING
    cached: Mapping[str, Any] | None = None
    answered_at: float | None = None
    answered_by: str = ""
    forgotten: bool = False
    forgotten_by: str = ""


def attempts_of(events: Iterable[Event]) -> list[AttemptRecord]:
    """Return the newest attempts of a step, the oldest first, from its own events and those of the run."""
    found: list[AttemptRecord] = []
    for event in events:
        if event.type in ("run.revised", "step.undone"):
            by = event.payload.by if isinstance(event.payload, RunRevisedPayload) else None
            for each in found:
                if not each.forgotten:
                    each.forgotten, each.forgotten_by = True, by or ""
        elif event.path:
            _apply(found, event)
    return found[-MOST_ATTEMPTS:]


def _apply(found: list[AttemptRecord], event: Event) -> None:
    payload = event.payload
    if isinstance(payload, StepStartedPayload):
        if found and found[-1].ended_at is None:  # its process ended
            found[-1].state, found[-1].ended_at = "interrupted", event.at
        found.append(AttemptRecord(event.attempt, event.at))
        return
    is_end = isinstance(payload, _ENDS)
    if found and found[-1].ended_at is not None and is_end and found[-1].number == event.attempt:
        found[-1].ended_at = event.at  # after its error handler
        return
    if not found or found[-1].ended_at is not None:
        if not is_end and not (isinstance(payload, StepWaitingPayload) and payload.reason != "retry"):
            return
        found.append(AttemptRecord(event.attempt, None if is_end else event.at))
    last = found[-1]
    match payload:
        case StepWaitingPayload(reason="retry" | "handler"):
            _end(last, event, "failed", payload.error)
            last.traceback, last.until = payload.traceback or "", payload.until
        case StepWaitingPayload():
            last.state, last.until = "waiting", payload.until
            last.waits.append((payload.reason or "", event.at, None))
        case StepRunningPayload():
            _close_wait(last, event.at)
            last.state, last.until = "running", None
        case StepAnsweredPayload():
            last.answered_at, last.answered_by = event.at, payload.by or ""
        case StepModelPayload():
            last.spending = last.spending + payload.spending
        case StepSucceededPayload():
            _end(last, event, "succeeded", None)
            last.cached = payload.cached
        case StepFailedPayload():
            _end(last, event, "failed", payload.error)
            last.traceback = payload.traceback or last.traceback
        case StepSkippedPayload() | StepCancelledPayload() | StepRequeuedPayload():
            _end(last, event, _STOPPED[type(payload)], None)
        case _:
            pass


_STOPPED = {StepSkippedPayload: "skipped", StepCancelledPayload: "cancelled", StepRequeuedPayload: "paused"}
_ENDS = (StepSucceededPayload, StepFailedPayload, StepSkippedPayload, StepCancelledPayload)


def _end(last: AttemptRecord, event: Event, state: str, error: Mapping[str, Any] | None) -> None:
    _close_wait(last, event.at)
    last.state, last.ended_at, last.error = state, event.at, error


def _close_wait(last: AttemptRecord, at: float) -> None:
    if last.waits and last.waits[-1][2] is None:
        reason, since, _ = last.waits[-1]
        last.waits[-1] = (reason, since, at)
