"""When the steps of one level of a run worked, and what they waited for: a place, a retry, a rate limit, a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.history.step_page import StepRow
from orchestrator.history.step_results import LOOPS
from orchestrator.journal.payload import StepEndPayload
from orchestrator.journal.records import RunFilter
from orchestrator.journal.run_payloads import RunCancelledPayload
from orchestrator.journal.step_payloads import (
    StepRequeuedPayload,
    StepRunningPayload,
    StepStartedPayload,
    StepSucceededPayload,
    StepWaitingPayload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.journal import Event, RunStatus, Store
    from orchestrator.journal.events import EventType

SegmentKind = Literal["attempt", "steps", "place", "retry", "limit", "person", "time", "handler"]
"""What a step does in a segment: it works, its inner steps do, or what it waits for."""

BANDS: Final = 120
"""Into how many parts the time of a loop is divided to show how many items ended in each."""

EARLIER_RUNS: Final = 20
"""How many earlier runs the estimate is made from."""

STEP_EVENTS: Final[tuple[EventType, ...]] = (
    "step.started",
    "step.waiting",
    "step.running",
    "step.succeeded",
    "step.failed",
    "step.skipped",
    "step.cancelled",
    "step.requeued",
)
"""The events that segments are made of, with those of the run."""

_SHORTEST_WAIT: Final = 0.05
_WAITS: Final[Mapping[str, SegmentKind]] = {"retry": "retry", "human": "person", "time": "time", "handler": "handler"}


class Segment(Struct, frozen=True):
    """A time in which a step did one thing, in seconds since the epoch; `end` is None while it does.

    `outcome` is how an attempt ended, `text` what is waited for, in words. `forgotten`: its result was dropped later.
    """

    kind: SegmentKind
    begin: float
    end: float | None = None
    attempt: int = 0
    outcome: str = ""
    text: str = ""
    forgotten: bool = False


class Band(Struct, frozen=True):
    """How many items of a loop ended in each of equal parts of the time from `begin` to `end`, and how many failed."""

    begin: float
    end: float
    ended: Sequence[int]
    failed: Sequence[int]


class TimelineRow(Struct, frozen=True):
    """One step. `critical`: a faster one would have ended this level earlier."""

    row: StepRow
    segments: tuple[Segment, ...]
    critical: bool = False
    band: Band | None = None


class RunEstimate(Struct, frozen=True):
    """How long the last successful `runs` of the pipeline took, as their median: seconds of working time."""

    seconds: float
    runs: int


def timeline_of(store: Store, status: RunStatus, rows: Sequence[StepRow], began: float) -> list[TimelineRow]:
    """Return the timeline of one level of a run, which began at a time, from the rows of its steps."""
    paths = {row.path for row in rows}
    found = _Segments(lambda seq: last_before(store, status.run_id, seq))
    for event in _events(store, status.run_id, paths):
        found.take(event)
    critical = critical_path(rows)
    timeline = []
    for row in rows:
        segments = found.segments.get(row.path, [])
        wait = _wait_for_place(row, rows, segments, began, status)
        band = _band(store, status, row) if row.kind in LOOPS else None
        timeline.append(TimelineRow(row, (*wait, *segments), row.path in critical, band))
    return timeline


def last_before(store: Store, run_id: str, seq: int) -> float:
    """Return the time of the event before the one with this number: an owner that was killed worked until then."""
    return store.events(run_id, max(0, seq - 2), 1)[0].at


def worked_until(store: Store, status: RunStatus) -> float | None:
    """Return when a run was last executed; None while a process executes it, or while it waits for a person."""
    if status.state == "interrupted":
        return last_before(store, status.run_id, status.last_seq + 1)
    return status.ended_at


def critical_path(rows: Sequence[StepRow]) -> set[str]:
    """Return the paths of the steps that determined when the level ended, or that determine it now.

    From the step that ended last backwards: of all steps that one depends on, the one that ended last.
    """
    by_path = {row.path: row for row in rows if row.head.started_at is not None or row.head.ended_at is not None}
    ends = {path: row.head.ended_at or float("inf") for path, row in by_path.items()}
    found: set[str] = set()
    path = max(ends, key=ends.__getitem__, default=None)
    while path is not None and path not in found:
        found.add(path)
        before = [other for other in by_path[path].depends_on if other in ends]
        path = max(before, key=ends.__getitem__, default=None)
    return found


def estimate(store: Store, status: RunStatus) -> RunEstimate | None:
    """Return how long earlier runs of the same pipeline took; None if none has succeeded."""
    wanted = RunFilter("succeeded", pipeline=status.pipeline)
    earlier = [run.elapsed for run in store.list(limit=EARLIER_RUNS, wanted=wanted) if run.run_id != status.run_id]
    return RunEstimate(median(earlier), len(earlier)) if earlier else None


class _Segments:
    """Folds the events of steps to their segments."""

    def __init__(self, last_before: Callable[[int], float]) -> None:
        self.segments: dict[str, list[Segment]] = {}
        self._last_before = last_before

    def take(self, event: Event) -> None:
        if event.type in ("run.revised", "step.undone"):
            for path, before in self.segments.items():
                if any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in _forgotten(event)):
                    self.segments[path] = [replace(each, forgotten=True) for each in before]
        elif event.type == "run.started" or (isinstance(event.payload, RunCancelledPayload) and event.payload.idle):
            working = [path for path, known in self.segments.items() if known and known[-1].end is None]
            if working:
                last = self._last_before(event.seq)
                for path in working:
                    self._close(path, max(last, self.segments[path][-1].begin), "interrupted")
        elif event.path:
            self._own(event)

    def _own(self, event: Event) -> None:
        path, payload = event.path, event.payload
        known = self.segments.setdefault(path, [])
        match payload:
            case StepStartedPayload():
                self._close(path, event.at, "")
                known.append(Segment("steps" if payload.kind else "attempt", event.at, attempt=event.attempt))
            case StepWaitingPayload():
                failed = payload.reason in ("retry", "handler")
                self._close(path, event.at, "failed" if failed else "")
                kind = _WAITS.get(payload.reason or "", "limit")
                known.append(Segment(kind, event.at, attempt=event.attempt, text=payload.reason or ""))
            case StepRunningPayload():
                self._close(path, event.at, "")
                known.append(Segment("attempt", event.at, attempt=event.attempt))
            case StepRequeuedPayload():
                self._close(path, event.at, "paused")
            case StepEndPayload():
                duration = payload.duration if isinstance(payload, StepSucceededPayload) else None
                if not known and duration:  # an item: only its end is recorded
                    known.append(Segment("steps", event.at - duration))
                self._close(path, event.at, event.type.removeprefix("step."))
            case _:
                pass

    def _close(self, path: str, at: float, outcome: str) -> None:
        known = self.segments[path]
        if known and known[-1].end is None:
            known[-1] = replace(known[-1], end=at, outcome=outcome)


def _forgotten(event: Event) -> Iterable[str]:
    return event.data.get("forget") or ()


def _events(store: Store, run_id: str, paths: set[str]) -> Iterator[Event]:
    """Yield the events of the run and of some of its steps."""
    types: tuple[EventType, ...] = (
        *STEP_EVENTS,
        "step.undone",
        "run.started",
        "run.revised",
        "run.failed",
        "run.cancelled",
    )
    after = 0
    while batch := store.events(run_id, after, 1_000, paths=["", *paths], types=types):
        yield from batch
        if len(batch) < 1_000:
            return
        after = batch[-1].seq


def _wait_for_place(
    row: StepRow, rows: Sequence[StepRow], segments: Sequence[Segment], began: float, status: RunStatus
) -> tuple[Segment, ...]:
    """Return the time from when a step could start to when it did, or to now."""
    current = [each for each in segments if not each.forgotten]
    if row.kind in LOOPS or row.path.endswith("]") or len(current) != len(segments) or not (began and rows):
        return ()
    ends = {other.path: other.head for other in rows}
    before = [ends[path] for path in row.depends_on if path in ends]
    if any(other.state not in ("succeeded", "skipped", "failed") for other in before):
        return ()
    ready = max((other.ended_at or began for other in before), default=began)
    if current:
        first = current[0].begin
        return (Segment("place", ready, first),) if first - ready > _SHORTEST_WAIT else ()
    if row.head.state == "pending" and status.state == "running":
        return (Segment("place", ready),)
    return ()


def _band(store: Store, status: RunStatus, row: StepRow) -> Band | None:
    begin = row.head.started_at
    if begin is None:
        return None
    times = [(at, type) for at, type in store.item_ends(status.run_id, row.path) if at >= begin]
    if not times:
        return None
    end = max(row.head.ended_at or 0.0, times[-1][0])
    width = max(end - begin, 1e-6) / BANDS
    ended, failed = [0] * BANDS, [0] * BANDS
    for at, type in times:
        number = min(BANDS - 1, int((at - begin) / width))
        ended[number] += 1
        failed[number] += type == "step.failed"
    return Band(begin, end, ended, failed)


def timeline_data(row: TimelineRow) -> dict[str, Any]:
    """Return a row as JSON data: its path, segments and band."""
    band = row.band
    return {
        "path": row.row.path,
        "segments": [
            {
                "kind": each.kind,
                "begin": each.begin,
                "end": each.end,
                "attempt": each.attempt,
                "outcome": each.outcome,
                "text": each.text,
                "forgotten": each.forgotten,
            }
            for each in row.segments
        ],
        "critical": row.critical,
        "band": None
        if band is None
        else {"begin": band.begin, "end": band.end, "ended": list(band.ended), "failed": list(band.failed)},
    }
