"""Where user code failed: the innermost line for a message, and the traceback as text."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_FRAMES: Final = 40
MOST_CHARACTERS: Final = 16_000
"""How much of a traceback is kept: the innermost frames, and the end of the text."""

_PACKAGE: Final = str(Path(__file__).parents[2])
_LIBRARIES: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def innermost_line(error: BaseException) -> str | None:
    """Return the innermost line of user code in a traceback, as `line 12 of tools.py`; None if there is none.

    Code of Orchestrator and of libraries is not user code.
    """
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if not file.startswith(("<", _PACKAGE, *_LIBRARIES)):
            found = f"line {line} of {Path(file).name}"
    return found


def exception_text(error: BaseException) -> str:
    """Return the type and the message of an exception."""
    message = exception_message(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def exception_message(error: BaseException) -> str:
    """Return the message of an exception, or a placeholder if creating it fails."""
    try:
        return str(error)
    except Exception:
        return "its message cannot be read"


def traceback_text(error: BaseException) -> str:
    """Return the traceback of an exception as Python prints it, starting at user code, and shortened."""
    text = _formatted(error, _own)
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"... {len(text) - MOST_CHARACTERS} characters omitted\n{text[-MOST_CHARACTERS:]}"


def recent_traceback(error: BaseException) -> str:
    """Return the innermost frames of the traceback of an exception, of users and of libraries."""
    return _formatted(error, list)


def _formatted(
    error: BaseException, frames_of: Callable[[traceback.StackSummary], list[traceback.FrameSummary]]
) -> str:
    """Return a traceback without marks below its lines.

    For the marks Python 3.11 parses each line, and parsing is not safe in several threads: it raises SystemError there.
    """
    whole = traceback.TracebackException.from_exception(error, limit=-MOST_FRAMES, compact=True)
    seen: set[int] = set()
    parts: list[traceback.TracebackException | None] = [whole]
    while parts:
        part = parts.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        shown = [(frame.filename, frame.lineno or 0, frame.name, frame.line) for frame in frames_of(part.stack)]
        part.stack = traceback.StackSummary.from_list(shown)
        parts += [part.__cause__, part.__context__]
    return "".join(whole.format()).rstrip("\n")


def _own(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """Return the frames from the first one outside Orchestrator."""
    for number, frame in enumerate(stack):
        if not frame.filename.startswith(_PACKAGE):
            return list(stack[number:])
    return list(stack)


def print_traceback(error: BaseException) -> None:
    """Print the whole traceback of an exception, for `ORCHESTRATOR_DEBUG`."""
    traceback.print_exception(error, file=sys.stderr)
