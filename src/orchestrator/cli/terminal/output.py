"""Output: only data goes to stdout, messages go to stderr, and colours only to a terminal."""

from __future__ import annotations

import json
import math
import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, Final, TextIO

from orchestrator import codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.errors import OrchestratorError

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
PAUSED: Final = 3
INTERRUPTED: Final = 130

_DATA: Final[list[TextIO]] = []
"""The stdout that `only_data` keeps, if it does."""

LINES: Final = "\n"
"""What `printable` keeps of a text that may have several lines."""

STATE_STYLES: Final = {
    "queued": "yellow",
    "running": "cyan",
    "paused": "yellow",
    "waiting": "yellow",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "skipped": "dim",
    "pending": "dim",
}
"""The colours of the states of runs and steps."""

_STYLES: Final = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "dim": "2", "bold": "1"}

# Usage errors, in contrast to failures.
_USAGE_CODES: Final = (
    "ORC1",
    "ORC2",
    "ORC3",
    "ORC4",
    "ORC5",
    "ORC6",
    codes.RUN_NOT_FOUND,
    codes.STEP_NOT_FOUND,
    codes.BATCH_NOT_FOUND,
    codes.OPTIONS_REQUIRED_AGAIN,
    "ORC9",
)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads this stream on a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def use_colour(stream: TextIO) -> bool:
    """Whether to colour: a terminal, and `NO_COLOR` (https://no-color.org) not set to anything."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def paint(text: str, style: str, *, stream: TextIO | None = None) -> str:
    """Wrap `text` in the style's escape codes if the stream, by default stderr, shows colours."""
    if not style or not use_colour(stream or sys.stderr):
        return text
    return f"\033[{_STYLES[style]}m{text}\033[0m"


def printable(text: str, *, keep: str = "") -> str:
    """Replace control characters, so that the text of a tool or a file cannot control the terminal."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else " " if c in "\n\t\r" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def emit(text: str, *, end: str = "\n") -> bool:
    """Write data to stdout. Return False if its reader closed the pipe (`| head`), which is not an error.

    Raises:
        SystemExit: stdout cannot be written for another reason, such as a full disk.
    """
    out = _DATA[-1] if _DATA else sys.stdout
    try:
        out.write(text + end)
        out.flush()
    except BrokenPipeError:
        _discard(out)
        return False
    except OSError as error:
        unwritable(error)
        raise SystemExit(FAILED) from error
    return True


@contextmanager
def only_data() -> Iterator[None]:
    """Keep stdout for what `emit` writes: what tools print meanwhile goes to stderr."""
    _DATA.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _DATA.pop()


def unwritable(error: OSError) -> None:
    """Report that stdout cannot be written, and discard its buffer."""
    _discard(_DATA[-1] if _DATA else sys.stdout)
    say(f"error: the output cannot be written: {(error.strerror or str(error)).lower()}")


def open_closed_streams() -> None:
    """Give a stream that the caller closed (`>&-`) the null device: no file that we open may take its place."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _discard(stream: TextIO) -> None:
    """Discard the buffer: flushing it would raise again when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def emit_json(value: Any, *, indent: int | None = 2) -> bool:
    """Write one JSON value to stdout, on one line when `indent` is None."""
    ascii_only = ((_DATA[-1] if _DATA else sys.stdout).encoding or "").lower().replace("-", "") != "utf8"
    try:
        text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=str, allow_nan=False)
    except ValueError:  # a record of before such numbers were refused
        text = json.dumps(_finite(value), ensure_ascii=ascii_only, indent=indent, default=str)
    return emit(text)


def _finite(value: Any) -> Any:
    """Return the value with null for numbers that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def emit_yaml(value: Mapping[str, Any]) -> bool:
    """Write a mapping to stdout as YAML that reads back as the same, with texts of several lines as blocks."""
    from orchestrator.language.yaml.writer import write_yaml

    try:
        text = write_yaml(value, width=110)
    except ValueError:  # nested more deeply than YAML is read
        return emit_json(value)
    return emit(text, end="")


def say(text: str = "", style: str = "") -> None:
    """Print a message on stderr."""
    try:
        print(paint(text, style), file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def report(error: OrchestratorError, hints: Hints | None = None) -> None:
    """Print an error on stderr: code, message, problems, help and remedies."""
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.errors import CompilationError

    hints = hints or Hints()
    if isinstance(error, CompilationError) and error.diagnostics:
        from orchestrator.diagnostics import render_text

        say(render_text(error.diagnostics, color=use_colour(sys.stderr), render=hints.line).rstrip("\n"))
        return
    say(f"{paint(f'error[{error.code}]', 'red')}: {printable(error.message, keep=LINES)}")
    for problem in getattr(error, "problems", ()):
        if problem not in error.message:
            say(f"  - {printable(problem)}")
    if text := hints.advice(error.help, error.remedies):
        say(f"  {paint('help', 'cyan')}: {printable(text, keep=LINES)}")
    if error.code == codes.TOOLS_NOT_LOADABLE and error.__cause__ is not None and os.environ.get("ORCHESTRATOR_DEBUG"):
        from orchestrator.tools.functions.tracebacks import traceback_text

        say(printable(traceback_text(error.__cause__), keep=LINES))


def exit_code(error: OrchestratorError) -> int:
    """Return the exit code for an error: 2 for a usage error, 1 for a failure."""
    if error.code == codes.INTERNAL_ERROR:
        return FAILED
    return USAGE if error.code.startswith(_USAGE_CODES) else FAILED


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows in columns by display width; the last column is not padded. States have their colours on stdout."""
    from orchestrator.text.lines import display_width as width

    cells = [list(headers), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(headers))]
    lines = []
    for row in cells:
        padded = [
            _state(cell, headers[column]) + " " * (widths[column] - width(cell)) for column, cell in enumerate(row)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _state(cell: str, header: str) -> str:
    style = STATE_STYLES.get(cell.partition(" ")[0], "") if header == "STATE" else ""
    return paint(cell, style, stream=_DATA[-1] if _DATA else sys.stdout) if style else cell


def seconds(value: float | None) -> str:
    """Format a duration: `0.42 s`, `12.3 s`, `3 m 05 s`, `2 h 07 m`."""
    if value is None:
        return ""
    if value < 1:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"


def moment(at: float | None) -> str:
    """Format a time: local, to the second."""
    from datetime import datetime

    return "" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
