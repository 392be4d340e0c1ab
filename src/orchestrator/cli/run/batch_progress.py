"""How far a batch is, and how it ended: counted, shown and written row by row."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from orchestrator.cli.run.batch_rows import Rows
from orchestrator.cli.terminal.live import BAR_WIDTH
from orchestrator.cli.terminal.output import (
    DONE,
    FAILED,
    INTERRUPTED,
    PAUSED,
    emit_json,
    is_terminal,
    printable,
    say,
    seconds,
    use_colour,
)
from orchestrator.errors import BudgetExceeded, InputError
from orchestrator.models.budget import Spent, usd
from orchestrator.text.content import open_private
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.text import Text

    from orchestrator.runtime.host.batches import RowResult

TELL_SECONDS: Final = 5.0
"""Seconds between two progress lines of a batch without a terminal."""

_WAITING: Final = ("paused", "waiting")


class Tally(Struct):
    """The rows of a batch that have ended, counted by how they did."""

    batch: str
    rows: Rows
    counts: Counter[str] = field(default_factory=Counter)
    pending: int = 0
    """How many rows were never started."""
    left: int | None = None
    """How many rows are left after an interruption, as far as that is known."""
    spent: Spent = field(default_factory=Spent)
    """What the batch has taken of models, over all its runs."""
    used_up: bool = False
    """Whether the budget of the batch was used up."""
    began: float = field(default_factory=time.monotonic)
    begun: bool = False
    stopping: str = ""

    def add(self, result: RowResult) -> None:
        """Count a row; one that was never started is not a failure."""
        if result.state == "pending":
            self.pending += 1
            self.used_up = True
            return
        error = result.error or {}
        if error.get("code") == BudgetExceeded.default_code and f"batch {self.batch}" in str(error.get("message")):
            self.used_up = True
        self.counts[result.state] += 1
        usage = result.spending.usage
        self.spent += Spent(result.spending.known_cost, usage.input + usage.output, usage.requests)
        self.begun = self.begun or result.run_id is not None

    @property
    def total(self) -> int:
        """The number of rows that were started, or cannot be."""
        return self.counts.total()

    @property
    def good(self) -> int:
        """How many of them succeeded."""
        return self.counts["succeeded"]

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON data."""
        data: dict[str, Any] = {"batch": self.batch, "rows": self.total, **dict(sorted(self.counts.items()))}
        if self.pending:
            data["pending"] = self.pending
        if self.left is not None:
            data["left"] = self.left
        if self.spent.requests:
            data |= {"usd": self.spent.usd, "tokens": self.spent.tokens, "requests": self.spent.requests}
        return data

    def summary(self) -> str:
        """Return the counts in words."""
        took = time.monotonic() - self.began
        states = sorted(self.counts.items(), key=lambda item: (item[0] != "succeeded", item))
        counted = ", ".join(f"{count:,} {state}" for state, count in states) or "none has ended"
        rows = plural(self.total, "row")
        more = f"; {self.pending:,} not started" if self.pending else ""
        if self.spent.requests:
            more += f"; {self.spent.tokens:,} tokens, {usd(self.spent.usd)}"
        return f"{rows}: {counted}{more}; {seconds(took)}, {self.total / max(took, 0.001):.3g} rows/s"

    def tell_end(self, command: str, *, interrupted: bool) -> None:
        """Report how the batch ended, and the command that resumes it."""
        whole = self.good == self.total and not interrupted and not self.pending
        stopped = ""
        if interrupted:
            stopped = "interrupted, " + (f"{self.left:,} left; " if self.left is not None else "")
        say(f"batch {self.batch}: {stopped}{self.summary()}", "green" if whole else "yellow")
        if self.used_up:
            say("  its budget is used up; the command names a larger one")
        if not whole and self.begun:
            say(f"  continue with: {command}")

    def exit_code(self, *, interrupted: bool) -> int:
        """Return the exit code."""
        if interrupted:
            return INTERRUPTED
        waiting = sum(self.counts[state] for state in _WAITING)
        if self.pending or self.good + waiting < self.total:
            return FAILED
        return PAUSED if waiting else DONE

    def __rich__(self) -> Text:
        """Draw how far the batch is."""
        from rich.text import Text

        read = self.rows.read
        bar = ""
        if read is not None:
            filled = round(read * BAR_WIDTH)
            bar = f"  {'━' * filled}{'╌' * (BAR_WIDTH - filled)}"
        asked = f"{self.stopping}  " if self.stopping else ""
        return Text(f"{asked}batch {self.batch}  {self.summary()}{bar}", no_wrap=True, overflow="ellipsis")


@contextmanager
def progress_shown(tally: Tally, *, quiet: bool) -> Iterator[Callable[[RowResult], None]]:
    """Show how far a batch is, and each row that did not succeed."""
    if quiet:
        yield lambda result: None
    elif not is_terminal(sys.stderr):
        told = time.monotonic()

        def tell(result: RowResult) -> None:
            nonlocal told
            if not result.ok:
                say(*_line(result))
            if time.monotonic() - told >= TELL_SECONDS:
                told = time.monotonic()
                say(f"… {tally.summary()}")

        yield tell
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, no_color=not use_colour(sys.stderr), highlight=False)
        with Live(tally, console=console, refresh_per_second=5, redirect_stdout=False, redirect_stderr=False):

            def draw(result: RowResult) -> None:
                if not result.ok:
                    text, style = _line(result)
                    console.print(text, style=style, markup=False, highlight=False)

            yield draw


def _line(result: RowResult) -> tuple[str, str]:
    error = result.error or {}
    message = f": {error.get('message') or error.get('code')}" if error else ""
    run = f" (run {result.run_id})" if result.run_id else ""
    mark, style = ("…", "yellow") if result.state in _WAITING else ("✗", "red")
    return printable(f"{mark} row {result.row} {result.state}{run}{message}"), style


@contextmanager
def sink(out: Path | None, *, instead_of: Path) -> Iterator[Callable[[RowResult], None]]:
    """Write each result as a line: to stdout, or to a file, of which earlier content goes with the first result.

    Raises:
        InputError: The file cannot be written, or is the one that is read.
    """
    if out is None:
        yield lambda result: _printed(result)
        return
    try:
        if out.exists() and instead_of.exists() and out.samefile(instead_of):
            raise InputError(f"`{out}` is the file of the rows", help="write the results to another file")
        file = open(out, "a", encoding="utf-8", opener=open_private)  # noqa: SIM115 - it is closed below
    except OSError as error:
        raise InputError(
            f"the results cannot be written to `{out}`: {(error.strerror or str(error)).lower()}",
            help="name a file in a writable directory",
        ) from error
    with file:
        yield _RowWriter(file).write


class _RowWriter:
    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._begun = False

    def write(self, result: RowResult) -> None:
        if not self._begun:
            self._begun = True
            if self._file.seekable():
                self._file.truncate(0)
        self._file.write(json.dumps(result.to_dict(), ensure_ascii=False) + "\n")
        self._file.flush()


def _printed(result: RowResult) -> None:
    if not emit_json(result.to_dict(), indent=None):
        raise SystemExit(DONE)  # the reader of the results has closed the pipe
