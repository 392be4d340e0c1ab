"""Long work on a store in short transactions, between which other writers get their turn."""

from __future__ import annotations

import time
from typing import Final

TRANSACTION_SECONDS: Final = 0.02
"""How long a transaction is meant to take: commits of others wait that long."""

PAUSE_SECONDS: Final = 0.03
"""How long the store is free after a transaction. A waiting SQLite looks at least every 25 ms, in the first 100."""


class Turns:
    """The turns of one long job. Without `pauses`, for databases that have many writers at once, it never sleeps."""

    def __init__(self, *, pauses: bool) -> None:
        self._pauses = pauses
        self._free_until = 0.0

    def wait(self) -> None:
        """Wait until other writers have had their turn since this job's last transaction."""
        seconds = self._free_until - time.monotonic()
        if seconds > 0:
            time.sleep(seconds)

    def took(self, seconds: float, portion: Portion) -> None:
        """Note that a transaction has ended, which held its lock so long, and how much it did."""
        portion.adapt(seconds)
        if self._pauses:
            self._free_until = time.monotonic() + max(PAUSE_SECONDS, seconds)


class Portion:
    """How much one transaction does: `size` adapts to the disk, from `least` to `most`."""

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most
        self.size = least

    def adapt(self, seconds: float) -> None:
        """Do more in the next transaction if this one was short, and less if it was long."""
        if seconds < TRANSACTION_SECONDS:
            self.size = min(self.most, self.size * 2)
        elif seconds > TRANSACTION_SECONDS * 2:
            self.size = max(self.least, self.size // 2)
