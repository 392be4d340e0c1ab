"""Following a run: a live table of its steps on a terminal, or a line for each event of interest elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from orchestrator.cli.active import Nested, bar, doing, nested, progress_text
from orchestrator.cli.board import ACTIVE, MARKS, Board, Row, line_for, waiting_text
from orchestrator.cli.output import is_terminal, printable, say, seconds, use_colour
from orchestrator.cli.questions import answer_command, open_questions
from orchestrator.runtime.partials import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType
    from rich.text import Text

    from orchestrator.api import Run
    from orchestrator.journal.events import Event
    from orchestrator.journal.status import RunStatus

POLL: Final = 0.1
"""Seconds between two looks at the journal: a step's change shows within this time."""

BAR_WIDTH: Final = 24

MOST_QUESTIONS: Final = 5

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
        line = line_for(event, self._board)
        if line:
            say(*line)


class Silence:
    """Shows nothing (`--quiet`)."""

    def show(self, event: Event) -> None:
        """Do nothing."""


class Table:
    """The live table: the top-level steps, below each what is at work within it, and last the questions.

    It is never higher than the screen. If there is more, the steps that are at work come first.
    """

    def __init__(self, board: Board, title: str, store: str | None, console: Console) -> None:
        self._board = board
        self._title = title
        self._store = store
        self._console = console

    def show(self, event: Event) -> None:
        """Print warnings and log lines above the table; the rest is in it."""
        if event.type in ("step.warning", "step.log", "run.warning"):
            line = line_for(event, self._board)
            if line:
                self._console.print(line[0], style=line[1] or None, markup=False, highlight=False)

    def __rich__(self) -> RenderableType:
        """Draw the board as it is now."""
        from rich.console import Group
        from rich.table import Table as Grid
        from rich.text import Text

        now = time.time()
        status = self._board.status(now)
        asked = self._questions(status)
        heard = self._heard()
        room = max(3, self._console.height - 4 - len(asked) - len(heard))
        grid = Grid.grid(padding=(0, 1), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(16, self._console.width // 3))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, justify="right")
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)  # the only one that gives way
        for cells in self._rows(status, room, now):
            grid.add_row(*cells)
        words = [Text(line, no_wrap=True, overflow="ellipsis") for line in asked]
        return Group(Text(self._summary(status), no_wrap=True, overflow="ellipsis"), grid, *heard, *words)

    def _rows(self, status: RunStatus, room: int, now: float) -> Iterator[tuple[Any, ...]]:
        rows = list(self._board.rows.values())
        inner = sum(1 for step in status.active if step.path not in self._board.rows)
        if len(rows) + inner > room:
            rows = [row for row in rows if row.state in ACTIVE]
        tree, left_out = nested(status.active, room - sum(1 for row in rows if row.path not in self._board.run.active))
        below: dict[str, list[Nested]] = {}
        top = ""
        for one in tree:
            top = one.step.path if one.depth == 0 else top
            below.setdefault(top, []).append(one)
        for row in rows:
            found = below.pop(row.path, [])
            if row.path in self._board.run.active and not found:
                continue  # there was no room for it
            yield _cells(row, found[0] if found else None, now)
            yield from (_inner_cells(one, now) for one in found[1:])
        for found in below.values():  # of what stands beside the steps
            yield from (_inner_cells(one, now) for one in found)
        if left_out:
            yield ("", f"… {left_out} more", "", "", "")

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
            f"? {printable(step.path)}: {answer_command(status.run_id, step.path, step.question or {}, self._store)}"
            for step in questions[:MOST_QUESTIONS]
        ]
        return lines + ([f"… {len(questions) - len(lines)} more questions"] if len(questions) > len(lines) else [])

    def _summary(self, status: RunStatus) -> str:
        parts = [f"{status.done} of {status.total} steps", seconds(status.elapsed)]
        parts += [f"{status.counts[state]} {state}" for state in _COUNTED if status.counts[state]]
        parts += [status.state] if status.state in ("paused", "waiting") else []
        parts += [str(status.spending)] if status.spending else []
        return f"{self._title}  {bar(status.progress, BAR_WIDTH)}  " + ", ".join(parts)


def _cells(row: Row, found: Nested | None, now: float) -> tuple[Any, ...]:
    from rich.text import Text

    mark, style = MARKS[row.state]
    state = row.state + (f" (attempt {row.attempt})" if row.attempt > 1 else "")
    message = waiting_text(row.waiting, now) if row.waiting and row.state == "waiting" else row.message
    done = progress_text(found.step) if found is not None and row.state == "running" else ""
    return (
        Text(mark, style),
        Text(printable(row.path), "bold" if row.state == "running" else ""),
        Text(state, style),
        Text(seconds(row.elapsed(now))),
        Text(f"{done} {printable(message)}".strip(), "red" if row.state == "failed" else "dim"),
    )


def _inner_cells(one: Nested, now: float) -> tuple[Any, ...]:
    from rich.text import Text

    step = one.step
    mark, style = MARKS[step.state]
    return (
        Text(mark, style),
        Text("  " * one.depth + printable(one.label)),
        Text(step.state + (f" (attempt {step.attempt})" if step.attempt > 1 else ""), style),
        Text(seconds(step.elapsed)),
        Text(f"{progress_text(step)} {doing(step, now)}".strip(), "dim"),
    )


@contextmanager
def view_of(board: Board, title: str, *, quiet: bool, store: str | None = None) -> Iterator[View]:
    """Choose how to show a run: nothing, the live table on a terminal, or lines."""
    if quiet:
        yield Silence()
    elif not is_terminal(sys.stderr):
        yield Lines(board)
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, no_color=not use_colour(sys.stderr), highlight=False)
        table = Table(board, title, store, console)
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
    with closing(run._follower.hearing()) as hearing:
        while True:
            status = _settled(run)
            heard = hearing.take()
            events = run.events(after=board.seq, follow=False)
            for event in in_order(list(events), heard) if heard else events:
                if not event.seq:
                    board.hear(event)
                    continue
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
