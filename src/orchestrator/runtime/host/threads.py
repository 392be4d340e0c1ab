"""Blocking work in threads, for coroutines that may be cancelled meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

READER_THREADS: Final = 4
"""Threads in which the readers of an event loop ask the store."""

_readers: RunVar[anyio.CapacityLimiter] = RunVar("readers")


async def in_thread(function: Callable[[], T]) -> T:
    """Run something that blocks; a caller that is cancelled does not wait for it."""
    return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))


async def in_reader_thread(function: Callable[[], T]) -> T:
    """As `in_thread`, for the readers of runs: those of an event loop take turns in a few threads."""
    try:
        limiter = _readers.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(READER_THREADS)
        _readers.set(limiter)
    return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=limiter)


async def acquire_in_thread(acquire: Callable[[], T], release: Callable[[T], None]) -> T:
    """Acquire something in a thread; if the caller is cancelled meanwhile, it is released."""
    lock = threading.Lock()
    acquired: list[T] = []
    abandoned = False

    def work() -> T:
        found = acquire()
        with lock:
            acquired.append(found)
            late = abandoned
        if late:
            release(found)
        return found

    thread = asyncio.ensure_future(anyio.to_thread.run_sync(work, abandon_on_cancel=True))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        with lock:
            abandoned = True
            found = list(acquired)
        for each in found:
            release(each)
        await asyncio.wait({thread})  # so that nothing of it continues after the caller was cancelled
        if not thread.cancelled():
            thread.exception()  # no other code retrieves it
        raise
