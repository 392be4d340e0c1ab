"""What a run's steps are doing, gathered from its events: what the live table and the plain lines show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from orchestrator.cli.terminal.output import printable, seconds
from orchestrator.cli.terminal.progress_tree import waiting_words
from orchestrator.journal.audience import question_in_words
from orchestrator.journal.events import Event, StepState
from orchestrator.journal.payload import Handling, StepEndPayload
from orchestrator.journal.run_payloads import RunCompensatingPayload, RunQueuedPayload, RunWarningPayload
from orchestrator.journal.state.fold import fold
from orchestrator.journal.state.folded_status import status_of
from orchestrator.journal.state.run_state import RunFold
from orchestrator.journal.state.status import QueuedRun
from orchestrator.journal.state.step_history import StepHistory, StepRecord
from orchestrator.journal.step_payloads import (
    StepAnsweredPayload,
    StepCancelledPayload,
    StepFailedPayload,
    StepLogPayload,
    StepPartialPayload,
    StepSkippedPayload,
    StepSucceededPayload,
    StepUndonePayload,
    StepWaitingPayload,
    StepWarningPayload,
)
from orchestrator.paths import is_top_level, item_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.journal.state.status import RunStatus


ACTIVE = ("running", "waiting")
ENDED = ("succeeded", "failed", "skipped", "cancelled")

_HANDLER = re.compile(r"(on_error|error_handlers)\[\d+\]")
"""The numbers of handlers, which are not items of a loop."""

TOLD_FROM = 1.0
"""Seconds: of a step that waits to be allowed a call of a model, shorter waits are not told."""

_TOLD = ("retry", "handler", "human", "time")
"""What is waited for between attempts, or by steps that do nothing else."""

MOST_HEARD = 1_000
"""Characters of an answer that are remembered while it is given: more than a line of a terminal has."""

TENTHS_FROM = 20
"""Loops of at least so many items report their progress."""

MARKS = {
    "pending": ("·", "dim"),
    "running": ("▸", "cyan"),
    "waiting": ("…", "yellow"),
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
    "cancelled": ("✗", "yellow"),
}


class Row(Struct, frozen=True):
    """One step, as it is now. Times in seconds since the epoch; `waiting` is the event that tells what it waits for."""

    path: str
    state: StepState = "pending"
    attempt: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    message: str = ""
    waiting: Event | None = None

    def elapsed(self, now: float) -> float | None:
        """Seconds from the first start to the end, or to `now`."""
        return None if self.started_at is None else max(0.0, (self.ended_at or now) - self.started_at)


class Board(Struct):
    """What a run's events have told so far: the status of the run, and the records of its top-level steps.

    Both are the folds that `status` and results are read from, so that all of them agree. `planned` are the top-level
    steps in the plan's order; those of another plan join at the end.
    """

    planned: tuple[str, ...] = ()
    run: RunFold = field(default_factory=RunFold)
    history: StepHistory = field(default_factory=StepHistory)
    heard: tuple[str, str] | None = None
    """Which step is being given an answer, and its last words."""
    _latest: dict[str, Event] = field(default_factory=dict)
    """The last event of each top-level step that told an end, or a wait."""

    @classmethod
    def of(cls, paths: Iterable[str]) -> Board:
        """Start with the steps of a plan, all pending."""
        planned = tuple(paths)
        return cls(planned, RunFold(total=len(planned)))

    @property
    def seq(self) -> int:
        """The newest event that was taken in."""
        return self.run.last_seq

    @property
    def rows(self) -> dict[str, Row]:
        """The top-level steps, by path."""
        return {path: self.row(path) for path in dict.fromkeys((*self.planned, *self.history.records))}

    def row(self, path: str) -> Row:
        """Return a top-level step."""
        record = self.history.records.get(path) or StepRecord(path)
        active, latest = self.run.active.get(path), self._latest.get(path)
        started, message = record.started_at, ""
        if started is None and active is not None:  # a question and a pause have no attempt
            started = active.since
        elif started is None and record.ended_at is not None and (record.question or record.until):
            started = record.ended_at - record.duration
        if active is not None:
            message = active.message
        elif latest is not None and record.state in ENDED:
            message = ended_text(latest)
        waiting = latest if record.state == "waiting" else None
        return Row(path, record.state, record.attempts, started, record.ended_at, message, waiting)

    def status(self, now: float) -> RunStatus:
        """Return the status at the time `now`."""
        return status_of(self.run, now)

    def hear(self, event: Event) -> None:
        """Take in a piece of an answer."""
        path, before = self.heard or ("", "")
        text = StepPartialPayload.from_data(event.data).text
        self.heard = (event.path, ((before if path == event.path else "") + text)[-MOST_HEARD:])

    def apply(self, event: Event) -> None:
        """Take one event in; they come in order of `seq`."""
        if self.heard is not None and event.path == self.heard[0] and event.type not in ("step.progress", "step.log"):
            self.heard = None
        fold(self.run, event)
        if not event.path or is_top_level(event.path) or event.type == "step.undone":
            self.history.take(event)
            if event.type.removeprefix("step.") in (*ENDED, "waiting"):
                self._latest[event.path] = event


def error_text(error: Any) -> str:
    """Return the first line of a recorded error, with the first of the details that it announces by a colon."""
    if not isinstance(error, dict):
        return str(error or "")
    first, *details = str(error.get("message") or "").split("\n")
    detail = next((line.strip() for line in details if line.strip()), "")
    return f"{first} {detail}".rstrip() if first.endswith(":") else first


def waiting_text(event: Event, now: float) -> str:
    """Describe what a waiting step waits for, and for how long."""
    waits = StepWaitingPayload.from_data(event.data)
    if waits.question is not None:
        return question_in_words(waits.question)
    cause = error_text(waits.error)
    words = waiting_words(waits.reason or "", waits.until, now)
    return words + (f": {cause}" if cause else "")


def ended_text(event: Event) -> str:
    """Describe how a step ended, in addition to its state."""
    match event.payload:
        case StepFailedPayload() as end:
            return error_text(end.error) + _HANDLED.get(end.handled, "").format(target=end.target)
        case StepSkippedPayload() as end:
            if end.reason == "end" and end.by:
                return f"`{end.by}` ended the pipeline"
            return f"jump from `{end.by}`" if end.reason == "jump" and end.by else "condition is false"
        case StepSucceededPayload() as end if end.cached is not None:
            return f"taken from the cache, where run {end.cached.get('run_id')} put it"
        case StepSucceededPayload() as end if end.items is not None and end.items.get("failed"):
            return f"{end.items['failed']} of {end.items.get('count')} failed"
        case StepCancelledPayload() as end:
            return end.reason or ""
    return ""


_HANDLED: Final[Mapping[Handling, str]] = {
    "continue": " (the run continues)",
    "value": " (its fallback value is used)",
    "jump": " (the run continues at `{target}`)",
}


def line_for(event: Event, board: Board) -> tuple[str, str] | None:
    """Return the line and the style for an event without a live table, or None if it is not shown.

    Of events in the items of a loop only failures and questions are shown, and the progress of the loop.
    """
    match event.payload:
        case RunWarningPayload() as warning:
            return f"! {printable(warning.message)}", "yellow"
        case RunQueuedPayload() as queued if queued.runs:
            waits = QueuedRun(queued.key, queued.max, tuple(queued.runs), queued.ahead)
            return printable(f"… waits for {waits.in_words}"), "yellow"
        case RunCompensatingPayload() as begins:
            what = "undoing what was done" + (f" in {begins.within}" if begins.within else "")
            why = error_text(begins.error) if begins.error is not None else begins.reason
            return printable(f"! {what}" + (f": {why}" if why else "")), "yellow"
        case StepUndonePayload():
            return printable(f"↶ {event.path} was undone"), "yellow"
        case StepEndPayload() as end:
            if isinstance(end, StepFailedPayload) or "[" not in _HANDLER.sub("", event.path):
                return _end_line(event, end, board.row(event.path) if is_top_level(event.path) else None)
            return _loop_line(event, board.run)
        case StepWaitingPayload() as waits:
            is_short = waits.until is not None and waits.until - event.at < TOLD_FROM
            if waits.reason not in _TOLD and ("[" in event.path or is_short):
                return None
            text = waiting_text(event, event.at)
            asks = waits.question is not None
            return printable(f"? {event.path} {text}" if asks else f"… {event.path} waits, {text}"), "yellow"
        case StepAnsweredPayload() as answer:
            return printable(f"! {event.path} was answered by {answer.by or 'a user'}"), ""
        case StepWarningPayload() as warning:
            return printable(f"! {event.path}: {warning.message}"), "yellow"
        case StepLogPayload() as log if log.level != "debug":
            return printable(f"  {event.path}: {log.message}"), ""
    return None


def _end_line(event: Event, end: StepEndPayload, row: Row | None) -> tuple[str, str]:
    kind = event.type.removeprefix("step.")
    mark, style = MARKS[kind]
    took = ""
    if isinstance(end, StepSucceededPayload | StepFailedPayload):
        took = seconds(row.elapsed(event.at) if row is not None else end.duration)
    attempts = f" after {event.attempt} attempts" if event.attempt > 1 else ""
    detail = ended_text(event)
    if isinstance(end, StepFailedPayload) and end.handled != "fail":
        style = "yellow"
    text = f"{mark} {event.path} {kind}" + (f" in {took}" if took else "") + attempts
    return printable(text + (f": {detail}" if detail else "")), style


def _loop_line(event: Event, run: RunFold) -> tuple[str, str] | None:
    """Report every tenth of a long top-level loop."""
    item = item_of(event.path)
    loop = run.active.get(item[0]) if item is not None else None
    if item is None or loop is None or loop.of is None or loop.of < TENTHS_FROM or "[" in item[0]:
        return None
    if loop.done * 10 // loop.of == (loop.done - 1) * 10 // loop.of or loop.done == loop.of:
        return None
    failed = f", {loop.failed} failed" if loop.failed else ""
    return printable(f"▸ {item[0]} {loop.done} of {loop.of}{failed}"), ""
