"""What an archive may contain at most, counted while it is read: what its headers promise is not believed."""

from __future__ import annotations

import threading
from typing import Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import byte_size

MAX_BYTES: Final = 1_000_000_000
MAX_ENTRIES: Final = 10_000
MAX_RATIO: Final = 250.0
MOST_LEVELS: Final = 50
LONGEST_NAME: Final = 255
LONGEST_PATH: Final = 1_024
"""Bytes, as are those of a name."""

_HARMLESS: Final = 20_000_000
"""Bytes up to which any ratio is accepted: a small file of zeros is not an attack."""


class ArchiveLimits(Struct, frozen=True):
    """The most bytes and entries of an unpacked archive, and how many times its own size these bytes may be."""

    max_bytes: int = MAX_BYTES
    max_entries: int = MAX_ENTRIES
    max_ratio: float = MAX_RATIO


class ArchiveMeter:
    """Counts the entries and the bytes of one archive, of `size` bytes itself; `stopped` ends the work from outside."""

    def __init__(self, name: str, size: int, limits: ArchiveLimits) -> None:
        self.name = name
        self.size = size
        self.limits = limits
        self.entries = 0
        self.written = 0
        self.stopped = threading.Event()

    def count_entry(self) -> None:
        """Count an entry.

        Raises:
            StepError: There are too many.
        """
        self.check_stopped()
        self.entries += 1
        if self.entries > self.limits.max_entries:
            raise archive_error(
                f"`{self.name}` has more than {self.limits.max_entries:,} entries", "increase `max_entries`"
            )

    def count_bytes(self, count: int) -> None:
        """Count bytes of content.

        Raises:
            StepError: There are too many, or too many for the size of the archive.
        """
        self.check_stopped()
        self.written += count
        self.check_bytes(self.written, self.limits.max_bytes)

    def check_bytes(self, count: int, most: int) -> None:
        """Check how many bytes have come out of the archive so far.

        Raises:
            StepError: There are too many.
        """
        if count > most:
            message = f"`{self.name}` contains more than {byte_size(self.limits.max_bytes)}"
            raise archive_error(message, "increase `max_bytes`")
        if count > _HARMLESS and count > self.limits.max_ratio * self.size:
            message = f"`{self.name}` unpacks to more than {self.limits.max_ratio:g} times its size"
            raise archive_error(message, "increase `max_ratio` if you trust it")

    def check_stopped(self) -> None:
        """Raise a StepError if the result is no longer wanted."""
        if self.stopped.is_set():
            raise archive_error(f"`{self.name}` is no longer wanted")


def archive_error(message: str, help: str | None = None) -> StepError:
    """Return the error for an archive that cannot be used."""
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
