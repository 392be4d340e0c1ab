"""Which runs of a store change: for a reader of all of them, such as a page that lists them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class StoreWatch:
    """Collects the keys of the runs that change until they are taken. The feeds note them as long as it is referred to.

    `note` may be called from any thread, the other methods by one reader.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[int] = set()
        self._unsure = False
        self._sleeper: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def note(self, keys: Iterable[int] | None) -> None:
        """Note that these runs have changed, in this process or another; None: any may have, in another process."""
        with self._lock:
            if keys is None:
                self._unsure = True
            else:
                self._keys.update(keys)
            sleeper, self._sleeper = self._sleeper, None
        if sleeper is not None:
            with suppress(RuntimeError):  # its loop was closed while it waited
                sleeper[0].call_soon_threadsafe(_wake, sleeper[1])

    def take(self) -> tuple[set[int], bool]:
        """Return the runs that have changed since the last call, and whether any others may have."""
        with self._lock:
            taken = self._keys, self._unsure
            self._keys, self._unsure = set(), False
        return taken

    async def wait_async(self, seconds: float) -> None:
        """Wait until there is something to take, at most some seconds."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._keys or self._unsure:
                return
            self._sleeper = (loop, future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._sleeper = None


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
