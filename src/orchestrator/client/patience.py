"""How long, and in which steps, a client waits for a server that cannot be reached."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

_FIRST: Final = 0.05
_LONGEST: Final = 2.0


class Patience:
    """Counts from the first failure in a row; `seconds` is how long to try again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._pause = _FIRST

    def reset(self) -> None:
        """Forget the failures: the server has answered."""
        self._since, self._pause = None, _FIRST

    async def wait(self, at_least: float = 0.0) -> bool:
        """Wait before the next attempt; return false, at once, if it has been long enough.

        Pauses double, with a random part, so that many clients do not return in the same instant.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
        left = self._since + self._seconds - now
        if left <= 0:
            return False
        pause = max(at_least, self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - nothing is secret
        self._pause = min(2 * self._pause, _LONGEST)
        await asyncio.sleep(min(pause, left))
        return True
