"""Following a run: a live table of its steps on a terminal, or a line for each event of interest elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from orchestrator.cli.terminal.output import is_terminal, printable, say, seconds, use_colour
from orchestrator.cli.terminal.progress import ACTIVE, MARKS, Board, Row, line_for, waiting_text
from orchestrator.cli.terminal.progress_tree import BAR_WIDTH as PROGRESS_WIDTH
from orchestrator.cli.terminal.progress_tree import Nested, bar, doing, nested, progress_text
from orchestrator.cli.terminal.prompts import answer_command, open_questions
from orchestrator.journal.state.status import ActiveStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType
    from rich.text import Text

    from orchestrator.api.interfaces import AnyRun
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.journal.events import Event
    from orchestrator.journal.state.status import RunStatus

POLL: Final = 0.1
"""Seconds between two reads of the journal: changes show within this time."""

BAR_WIDTH: Final = 24

NARROW: Final = 80
"""Columns below which the table omits the names of states, as the marks show them, and draws short bars."""

NARROW_BAR_WIDTH: Final = 6

MOST_TITLE: Final = 12
"""Characters of the title that are shown where there is no room for more."""

MOST_QUESTIONS: Final = 5

_COUNTED: Final = ("running", "waiting", "skipped", "cancelled")


class View(Protocol):
    """Something that shows a board."""

    def show(self, event: Event) -> None:
        """Show one event, after the board took it in."""

    def clear(self) -> None:
        """Leave nothing on the screen that would be out of date in a moment."""


class EventLines:
    """One line on stderr for each event of interest."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def show(self, event: Event) -> None:
        """Print the event's line, if it has one."""
        line = line_for(event, self._board)
        if line:
            say(*line)

    def clear(self) -> None:
        """Keep the lines: they are history."""


class Silence:
    """Shows nothing (`--quiet`)."""

    def show(self, event: Event) -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""


class ProgressTable:
    """The live table: the top-level steps, below each what runs within it, and last the open questions.

    It is never higher than the screen. If there is more, running, waiting and failed steps come first. `answered_here`:
    questions are prompted for in this terminal, so that the commands that answer them are omitted.
    """

    def __init__(
        self,
        board: Board,
        title: str,
        hints: Hints,
        console: Console,
        *,
        answered_here: Callable[[], bool] = lambda: False,
    ) -> None:
        self._board = board
        self._title = title
        self._hints = hints
        self._console = console
        self._answered_here = answered_here
        self.cleared = False

    def show(self, event: Event) -> None:
        """Print warnings and log lines above the table; the rest is in it."""
        if event.type in ("step.warning", "step.log", "run.warning", "run.queued"):
            line = line_for(event, self._board)
            if line:
                self._console.print(line[0], style=line[1] or None, markup=False, highlight=False)

    def clear(self) -> None:
        """Have the table erased when it ends, instead of leaving its last state in the scrollback."""
        self.cleared = True

    def __rich__(self) -> RenderableType:
        """Draw the board as it is now."""
        from rich.console import Group
        from rich.table import Table as Grid
        from rich.text import Text

        now = time.time()
        status = self._board.status(now)
        asked = [] if self._answered_here() else self._questions(status)
        heard = self._heard()
        width = self._console.width
        room = max(3, self._console.height - 4 - len(asked) - len(heard))
        narrow = width < NARROW
        grid = Grid.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(16, width // 3))
        if not narrow:
            grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, justify="right")
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)  # the only one that gives way
        for line in self._lines(status, room, now):
            grid.add_row(*line.cells(narrow=narrow))
        words = [Text(line, no_wrap=True, overflow="ellipsis") for line in asked]
        return Group(Text(self._summary(status, width), no_wrap=True, overflow="ellipsis"), grid, *heard, *words)

    def _lines(self, status: RunStatus, room: int, now: float) -> Iterator[TableLine]:
        steps = self._board.rows
        rows = list(steps.values())
        inner = sum(1 for step in status.active if step.path not in steps)
        hidden = 0
        if len(rows) + inner > room:
            failed = [row for row in rows if row.state == "failed"]
            shown = {row.path for row in failed[: max(1, room // 3)]}
            hidden = len(failed) - len(shown)
            rows = [row for row in rows if row.state in ACTIVE or row.path in shown]
        settled = sum(1 for row in rows if row.path not in self._board.run.active) + (1 if hidden else 0)
        tree, left_out = nested(status.active, max(1, room - settled))
        below: dict[str, list[Nested]] = {}
        top = ""
        for one in tree:
            top = one.step.path if one.depth == 0 else top
            below.setdefault(top, []).append(one)
        for row in rows:
            found = below.pop(row.path, [])
            if row.path in self._board.run.active and not found:
                continue  # there was no room for it
            yield _step_line(row, found[0] if found else None, now)
            yield from (_inner_line(one, now) for one in found[1:])
        for found in below.values():  # of what runs next to the steps
            yield from (_inner_line(one, now) for one in found)
        if left_out:
            yield TableLine("", "", f"… {left_out} more", "", "", "")
        if hidden:
            yield TableLine("✗", "red", f"… {hidden} more", "failed", "", "")

    def _heard(self) -> list[Text]:
        """The last words of the answer that is being given, on one line."""
        from rich.cells import cell_len
        from rich.text import Text

        if self._board.heard is None:
            return []
        path, text = self._board.heard
        begins = f"» {printable(path)}: "
        words = printable(" ".join(text.split()))
        room = self._console.width - cell_len(begins) - 1
        shown = words[-max(room, 0) :]
        while shown and cell_len(shown) > room:
            shown = shown[1:]
        return [Text(begins + ("…" if len(shown) < len(words) else "") + shown, "dim", no_wrap=True, overflow="crop")]

    def _questions(self, status: RunStatus) -> list[str]:
        """The open questions, the oldest first, with the commands that answer them."""
        questions = open_questions(status)
        lines = [
            f"? {printable(step.path)}: {answer_command(status.run_id, step.path, step.question or {}, self._hints)}"
            for step in questions[:MOST_QUESTIONS]
        ]
        return lines + ([f"… {len(questions) - len(lines)} more questions"] if len(questions) > len(lines) else [])

    def _summary(self, status: RunStatus, width: int) -> str:
        """The run in one line; what does not fit is left out whole, after the title and the bar were shortened."""
        words = f"{status.done} of {status.total} steps, {seconds(status.elapsed)}"
        more = [f"{status.counts['failed']} failed"] if status.counts["failed"] else []
        more += [status.state] if status.state in ("paused", "waiting") else []
        more += [str(status.spending)] if status.spending else []
        more += [f"{status.counts[state]} {state}" for state in _COUNTED if status.counts[state]]
        for part in more:
            if len(words) + len(part) <= width - MOST_TITLE - NARROW_BAR_WIDTH:
                words += f", {part}"
        room = width - len(words) - 4
        title = printable(self._title)
        if len(title) > room - NARROW_BAR_WIDTH:
            title = title[: max(MOST_TITLE, room - NARROW_BAR_WIDTH) - 1] + "…"
        drawn = bar(status.progress, min(BAR_WIDTH, room - len(title))) if room - len(title) >= NARROW_BAR_WIDTH else ""
        return "  ".join(filter(None, (title, drawn, words)))


class TableLine(Struct, frozen=True):
    """One line of the table: a step's mark, name, state, elapsed time, and what it reports."""

    mark: str
    style: str
    name: str
    state: str
    elapsed: str
    message: str
    attempt: int = 0
    name_style: str = ""
    message_style: str = "dim"
    progress: ActiveStep | None = None

    def cells(self, *, narrow: bool) -> list[Text]:
        """Return the cells; without the column of states on a narrow terminal."""
        from rich.text import Text

        attempt = f"(attempt {self.attempt})" if self.attempt > 1 else ""
        state = [] if narrow else [Text(f"{self.state} {attempt}".rstrip(), self.style)]
        done = progress_text(self.progress, NARROW_BAR_WIDTH if narrow else PROGRESS_WIDTH) if self.progress else ""
        said = " ".join(filter(None, (attempt if narrow else "", done, self.message)))
        return [
            Text(self.mark, self.style),
            Text(self.name, self.name_style),
            *state,
            Text(self.elapsed),
            Text(said, self.message_style),
        ]


def _step_line(row: Row, found: Nested | None, now: float) -> TableLine:
    mark, style = MARKS[row.state]
    message = waiting_text(row.waiting, now) if row.waiting and row.state == "waiting" else row.message
    return TableLine(
        mark,
        style,
        printable(row.path),
        row.state,
        seconds(row.elapsed(now)),
        printable(message),
        row.attempt,
        "bold" if row.state == "running" else "",
        "red" if row.state == "failed" else "dim",
        found.step if found is not None and row.state == "running" else None,
    )


def _inner_line(one: Nested, now: float) -> TableLine:
    step = one.step
    mark, style = MARKS[step.state]
    name = "  " * one.depth + printable(one.label)
    elapsed = seconds(step.elapsed)
    return TableLine(mark, style, name, step.state, elapsed, doing(step, now), step.attempt, progress=step)


@contextmanager
def view_of(
    board: Board,
    title: str,
    *,
    quiet: bool,
    hints: Hints,
    answered_here: Callable[[], bool] = lambda: False,
) -> Iterator[View]:
    """Choose how to show a run: nothing, the live table on a terminal, or lines."""
    if quiet:
        yield Silence()
    elif not is_terminal(sys.stderr):
        yield EventLines(board)
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, no_color=not use_colour(sys.stderr), highlight=False)
        table = ProgressTable(board, title, hints, console, answered_here=answered_here)
        with Live(table, console=console, refresh_per_second=10, redirect_stdout=False, redirect_stderr=False) as live:
            yield table
            live.transient = table.cleared


def follow(
    run: AnyRun,
    board: Board,
    view: View,
    *,
    since: int = 0,
    between: Callable[[], None] = lambda: None,
    leave: Callable[[RunStatus], bool] = lambda status: False,
) -> RunStatus:
    """Show a run until it ends, is paused, waits for answers, or has lost its owner; return its last status.

    Events up to `since` are history: they fill the board, but are not shown. `between` is called between two reads of
    the journal; if `leave` returns true for the status, return early.
    """
    with closing(run.watch()) as watch:
        while True:
            events, status = watch.look(board.seq, timeout=POLL)
            for event in events:
                if not event.seq:
                    board.hear(event)
                    continue
                board.apply(event)
                if event.seq > since:
                    view.show(event)
            if status is not None and (status.last_seq > since or status.state == "interrupted"):
                if status.state == "waiting" and leave(status):
                    view.clear()
                return status
            between()
            if leave(seen := board.status(time.time())):
                view.clear()
                return seen
