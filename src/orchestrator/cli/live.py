"""Following a run: a live table of its steps on a terminal, or a line for each event of interest elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from orchestrator.cli.board import ACTIVE, MARKS, Board, Row, line_for, waiting_text
from orchestrator.cli.output import is_terminal, printable, say, seconds, use_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType

    from orchestrator.api import Run
    from orchestrator.journal.events import Event
    from orchestrator.journal.status import RunStatus

POLL: Final = 0.1
"""Seconds between two looks at the journal: a step's change shows within this time."""

BAR_WIDTH: Final = 24

_COUNTED: Final = ("running", "waiting", "failed", "skipped", "cancelled")


class View(Protocol):
    """Something that shows a board."""

    def show(self, event: Event) -> None:
        """Tell of one event, after the board took it in."""


class Lines:
    """One line on stderr for each event of interest."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def show(self, event: Event) -> None:
        """Print the event's line, if it has one."""
        line = line_for(event, self._board.rows.get(event.path))
        if line:
            say(*line)


class Silence:
    """Shows nothing (`--quiet`)."""

    def show(self, event: Event) -> None:
        """Do nothing."""


class Table:
    """The live table. A run with more steps than the screen has lines shows the active ones and counts."""

    def __init__(self, board: Board, title: str, console: Console) -> None:
        self._board = board
        self._title = title
        self._console = console

    def show(self, event: Event) -> None:
        """Print warnings and log lines above the table; the rest is in it."""
        if event.type in ("step.warning", "step.log", "run.warning"):
            line = line_for(event, None)
            if line:
                self._console.print(line[0], style=line[1] or None, markup=False, highlight=False)

    def __rich__(self) -> RenderableType:
        """Draw the board as it is now."""
        from rich.console import Group
        from rich.table import Table as Grid
        from rich.text import Text

        now = time.time()
        rows = list(self._board.rows.values())
        room = max(3, self._console.height - 4)
        shown = rows if len(rows) <= room else [row for row in rows if row.state in ACTIVE][:room]
        grid = Grid.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(16, self._console.width // 3))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, justify="right")
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)  # the only one that gives way
        for row in shown:
            grid.add_row(*_cells(row, now))
        return Group(Text(self._summary(now), no_wrap=True, overflow="ellipsis"), grid)

    def _summary(self, now: float) -> str:
        status = self._board.status(now)
        parts = [f"{status.done} of {status.total} steps", seconds(status.elapsed)]
        parts += [f"{status.counts[state]} {state}" for state in _COUNTED if status.counts[state]]
        filled = round(status.progress * BAR_WIDTH)
        return f"{self._title}  {'━' * filled}{'╌' * (BAR_WIDTH - filled)}  " + ", ".join(parts)


def _cells(row: Row, now: float) -> tuple[Any, ...]:
    from rich.text import Text

    mark, style = MARKS[row.state]
    state = row.state + (f" (attempt {row.attempt})" if row.attempt > 1 else "")
    message = waiting_text(row.waiting, now) if row.waiting and row.state == "waiting" else row.message
    done = f"{row.fraction:.0%} " if row.fraction is not None and row.state == "running" else ""
    return (
        Text(mark, style),
        Text(printable(row.path), "bold" if row.state == "running" else ""),
        Text(state, style),
        Text(seconds(row.elapsed(now))),
        Text(done + printable(message), "red" if row.state == "failed" else "dim"),
    )


@contextmanager
def view_of(board: Board, title: str, *, quiet: bool) -> Iterator[View]:
    """Choose how to show a run: nothing, the live table on a terminal, or lines."""
    if quiet:
        yield Silence()
    elif not is_terminal(sys.stderr):
        yield Lines(board)
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, no_color=not use_colour(sys.stderr), highlight=False)
        table = Table(board, title, console)
        with Live(table, console=console, refresh_per_second=10, redirect_stdout=False, redirect_stderr=False):
            yield table


def follow(
    run: Run,
    board: Board,
    view: View,
    *,
    since: int = 0,
    between: Callable[[], None] = lambda: None,
    leave: Callable[[RunStatus], bool] = lambda status: False,
) -> RunStatus:
    """Show a run until it has ended, is paused, waits for answers, or has lost its owner; return its last status.

    Events up to `since` are history: they fill the board, but are not shown and do not end the following. `between`
    is called between two looks at the journal; when `leave` says so of the status, the following ends early.
    """
    while True:
        status = _settled(run)
        for event in run.events(after=board.seq, follow=False):
            board.apply(event)
            if event.seq > since:
                view.show(event)
        if status is not None and (status.last_seq > since or status.state == "interrupted"):
            return status
        between()
        if leave(seen := board.status(time.time())):
            return seen


def _settled(run: Run) -> RunStatus | None:
    try:
        return run.wait(timeout=POLL)
    except TimeoutError:
        return None
