"""The log of a detached run, without secrets: whatever the process writes to its standard streams passes through here.

Tools print, libraries log, and programs that a tool starts write to the streams that they inherit, so the streams
themselves lead through a pipe to a thread that writes the log. What is written before the run's secrets are known
waits.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.runtime.values.redaction import Redactor

_CHUNK: Final = 1 << 16
_MOST_HELD: Final = 1 << 20  # bytes of a line whose end is waited for
_PATIENCE: Final = 10.0  # seconds that the end of the process waits for its log


class RedactedLog:
    """Writes lines to a descriptor once `redactor` is set, without the secrets that it knows by then."""

    def __init__(self, reading: int, target: int) -> None:
        self.redactor: Redactor | None = None
        self._reading = reading
        self._target = target
        self._held = b""
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._copy, name="orchestrator-log", daemon=True)
        self._thread.start()

    def redact(self, redactor: Redactor) -> None:
        """Start writing; `redactor` knows the secrets of the run, also those learned later."""
        self.redactor = redactor
        os.write(self._waker, b".")

    def close(self) -> None:
        """Write the rest, including an unfinished line."""
        os.close(self._waker)
        self._thread.join(_PATIENCE)

    def _copy(self) -> None:
        watched = [self._reading, self._wake]
        while True:
            ready, _, _ = select.select(watched, [], [])
            if self._reading in ready:
                piece = os.read(self._reading, _CHUNK)
                self._held += piece
                if not piece:
                    watched.remove(self._reading)
            elif not os.read(self._wake, 1):  # closed, and nothing more has been written
                self._write(self._held)
                return
            if self.redactor is not None:
                self._write_lines(self.redactor)

    def _write_lines(self, redactor: Redactor) -> None:
        end = self._held.rfind(b"\n") + 1
        if not end and len(self._held) > _MOST_HELD:
            text = self._held.decode("utf-8", "surrogateescape")
            end = len(text[: redactor.safe_length(text)].encode("utf-8", "surrogateescape"))
        lines, self._held = self._held[:end], self._held[end:]
        self._write(lines)

    def _write(self, lines: bytes) -> None:
        if self.redactor is not None:
            text = lines.decode("utf-8", "surrogateescape")
            lines = "\n".join(map(self.redactor.text, text.split("\n"))).encode("utf-8", "surrogateescape")
        with suppress(OSError):  # the disk is full: the run is not to blame
            while lines:
                lines = lines[os.write(self._target, lines) :]


@contextmanager
def redacted_log() -> Iterator[RedactedLog]:
    """Lead the standard streams of this process through a log, to where they led before."""
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.dup(2)
    reading, writing = os.pipe()
    for descriptor in (1, 2):
        os.dup2(writing, descriptor)
    os.close(writing)
    log = RedactedLog(reading, target)
    try:
        yield log
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor in (1, 2):
            os.dup2(target, descriptor)
        log.close()
