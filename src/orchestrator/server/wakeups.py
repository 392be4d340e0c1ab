"""Lets requests wait for what other threads change, without a thread for each of them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Wakeups:
    """Wakes the coroutines that wait for a condition whenever it may have become true."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def notify(self) -> None:
        """Have every waiter look again. May be called from any thread."""
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for loop, event in waiting:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

    async def wait_for(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait until a condition is true, at most some seconds; return whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not await self._is_true(condition):
                    pass
                return True
        return condition()

    async def _is_true(self, condition: Callable[[], bool]) -> bool:
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.add(waiter)
        try:
            if condition():  # asked after it waits, so that it misses no change
                return True
            await waiter[1].wait()
            return False
        finally:
            with self._lock:
                self._waiting.discard(waiter)
