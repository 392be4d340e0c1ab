"""How each step of a run ended, from the run's events: for a result, and for looking at a run afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.journal.events import Event, StepState


@dataclass(slots=True)
class StepRecord:
    """Where one step stands. Times in seconds since the epoch, of the first start and the last end.

    `duration` is that of the last attempt, in seconds. `reason` says why it was skipped or cancelled, or what it waits
    for; `handled` how its failure was dealt with (as in `step.failed`), in which case `output` is the value that the
    run went on with. `warnings` are messages, in order.
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


def step_records(events: Iterable[Event]) -> dict[str, StepRecord]:
    """Fold events, with large values resolved, to a record for each step that they name, in order of first mention."""
    records: dict[str, StepRecord] = {}
    for event in events:
        if event.type == "run.started" and event.data.get("resumed"):
            for path, last in records.items():
                if not settled(last):
                    records[path] = StepRecord(path, warnings=last.warnings)
        elif event.path:
            record = records.get(event.path)
            if record is None:
                record = records[event.path] = StepRecord(event.path)
            _apply(record, event)
    return records


def settled(record: StepRecord) -> bool:
    """Whether a resumed run takes the step as it is: it succeeded, was skipped, or its failure was dealt with."""
    return record.state in ("succeeded", "skipped") or (record.state == "failed" and record.handled not in ("", "fail"))


def _apply(record: StepRecord, event: Event) -> None:
    data = event.data
    match event.type:
        case "step.ready":
            record.state = "ready"
        case "step.started":
            record.state = "running"
            record.attempts = max(event.attempt, record.attempts)
            record.started_at = event.at if record.started_at is None else record.started_at
            record.attempt_started_at = event.at
            record.ended_at = None
            record.reason = ""
        case "step.waiting":
            record.state = "waiting"
            record.reason = data.get("reason") or ""
            record.error = data.get("error") or record.error
        case "step.warning":
            record.warnings.append(data.get("message", ""))
        case "step.succeeded":
            _end(record, event, "succeeded")
            record.output = data.get("output")
            record.error = None
        case "step.failed":
            _end(record, event, "failed")
            record.error = data.get("error")
            record.handled = data.get("handled", "fail")
            record.output = data.get("value")
            record.target = data.get("target")
        case "step.skipped":
            _end(record, event, "skipped")
        case "step.cancelled":
            _end(record, event, "cancelled")


def _end(record: StepRecord, event: Event, state: StepState) -> None:
    record.state = state
    record.attempts = max(event.attempt, record.attempts)
    record.ended_at = event.at
    record.reason = event.data.get("reason") or ""
    duration = event.data.get("duration")
    if duration is None:
        duration = event.at - record.attempt_started_at if record.attempt_started_at is not None else 0.0
    record.duration = duration
