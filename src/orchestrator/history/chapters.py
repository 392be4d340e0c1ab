"""The history of a run as chapters: each time that it was started, resumed, retried or continued with an edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.journal.payload import RunEndPayload
from orchestrator.journal.run_payloads import (
    RunCancelledPayload,
    RunFailedPayload,
    RunPausedPayload,
    RunResumedPayload,
    RunRevisedPayload,
    RunStartedPayload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.journal import Event
    from orchestrator.journal.events import EventType

ChapterKind = Literal["started", "forked", "resumed", "retried", "edited"]

RUN_EVENTS: Final[tuple[EventType, ...]] = (
    "run.revised",
    "run.started",
    "run.paused",
    "run.resumed",
    "run.succeeded",
    "run.failed",
    "run.cancelled",
)
"""The events that chapters are made of."""


class Pause(Struct, frozen=True):
    """A pause within a chapter; times in seconds since the epoch."""

    at: float
    until: float | None = None
    by: str = ""
    resumed_by: str = ""


class Chapter(Struct, frozen=True):
    """What one owner of the run did, from `at` to `until`; times in seconds since the epoch.

    `kind` is how it began, and `by` who began it. After a retry or an edit, `step` is what was retried, `again` are the
    paths whose results were dropped, and `kept` counts the top-level steps whose results were kept, by state. `state`
    is how it ended: that of the run, or `interrupted`; empty while it is open. `reason` is that of a cancellation.
    If no process executed the run when it was cancelled, `until` is when one last did.
    """

    seq: int
    at: float
    kind: ChapterKind
    by: str = ""
    step: str = ""
    again: Sequence[str] = ()
    kept: Mapping[str, int] | None = None
    until: float | None = None
    state: str = ""
    error: Mapping[str, Any] | None = None
    reason: str = ""
    ended_by: str = ""
    pauses: tuple[Pause, ...] = ()


def chapters(events: Iterable[Event], last_before: Callable[[int], float], *, forked: bool = False) -> list[Chapter]:
    """Return the chapters of a run, the oldest first, from its events of the types `RUN_EVENTS`.

    `last_before` returns the time of the last event of any type before the one with a number: an owner that was killed
    worked until then.
    """
    found: list[Chapter] = []
    revised: RunRevisedPayload | None = None
    revised_at = 0
    for event in events:
        payload = event.payload
        match payload:
            case RunRevisedPayload():
                revised, revised_at = payload, event.seq
            case RunStartedPayload():
                if found and not found[-1].state:
                    until = last_before(revised_at or event.seq)
                    found[-1] = replace(found[-1], until=until, state="interrupted")
                found.append(_begun(event, payload, revised, forked=forked and not found))
                revised, revised_at = None, 0
            case RunPausedPayload() if found:
                found[-1] = replace(found[-1], pauses=(*found[-1].pauses, Pause(event.at, by=payload.by or "")))
            case RunResumedPayload() if found and found[-1].pauses:
                *before, pause = found[-1].pauses
                ended = replace(pause, until=event.at, resumed_by=payload.by or "")
                found[-1] = replace(found[-1], pauses=(*before, ended))
            case RunEndPayload() if found:
                found[-1] = _ended(found[-1], event, payload, last_before)
            case _:
                pass
    return found


def _begun(event: Event, started: RunStartedPayload, revised: RunRevisedPayload | None, *, forked: bool) -> Chapter:
    kind: ChapterKind = "forked" if forked else "resumed" if started.resumed else "started"
    if revised is None:
        return Chapter(event.seq, event.at, kind, by=started.by or "")
    return Chapter(
        event.seq,
        event.at,
        "edited" if revised.reason == "with" else "retried",
        by=revised.by or started.by or "",
        step=revised.step or "",
        again=tuple(revised.forget),
        kept=dict(revised.settled),
    )


def _ended(chapter: Chapter, event: Event, end: RunEndPayload, last_before: Callable[[int], float]) -> Chapter:
    ended = replace(chapter, until=event.at, state=event.type.removeprefix("run."))
    if isinstance(end, RunCancelledPayload):
        until = last_before(event.seq) if end.idle else event.at
        return replace(ended, until=until, reason=end.reason or "", ended_by=end.by or "")
    return replace(ended, error=end.error) if isinstance(end, RunFailedPayload) else ended
