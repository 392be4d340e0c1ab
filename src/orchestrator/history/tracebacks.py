"""Where the tools of a run failed: the tracebacks that are recorded, without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.history.event_log import ResultSource

_EVENTS_AT_ONCE: Final = 500


class RecordedTraceback(Exception):
    """Stands for an exception of a tool whose traceback is only known as text: from the record, or without secrets."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


class Traceback(Struct, frozen=True):
    """Where an attempt of a step failed, as text; `at` in seconds since the epoch."""

    step: str
    attempt: int
    at: float
    text: str


def tracebacks(store: ResultSource, run_id: str, step: str | None = None) -> list[Traceback]:
    """Return the tracebacks that are recorded of a run, or of one of its steps, in order."""
    found: list[Traceback] = []
    after = 0
    while batch := store.events(
        run_id, after=after, limit=_EVENTS_AT_ONCE, resolve=True, paths=None if step is None else (step,)
    ):
        found += [
            Traceback(event.path, event.attempt, event.at, str(event.data["traceback"]))
            for event in batch
            if event.type in ("step.failed", "step.waiting") and "traceback" in event.data
        ]
        after = batch[-1].seq
    return found


def recorded_cause(store: ResultSource, run_id: str, error: Mapping[str, Any]) -> RecordedTraceback | None:
    """Return what the tool raised for which a run failed with this error, as it is recorded."""
    if error.get("code") != StepError.default_code:
        return None
    found = tracebacks(store, run_id, str(error.get("step")))
    return RecordedTraceback(found[-1].text) if found else None
