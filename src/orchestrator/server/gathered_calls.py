"""Short blocking calls of many requests: those that wait at the same time share a trip to a thread.

A trip costs more than such a call. Alone, a call is made at once, as if it had a thread of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")

_Call = tuple[Callable[..., Any], tuple[Any, ...], Context, "asyncio.Future[Any]"]
_Outcome = tuple[Any, BaseException | None]

MOST: Final = 16
"""How many calls share a trip: a slow one holds up so many others at most."""


class GatheredCalls:
    """Makes calls in at most so many threads at once. For one event loop."""

    def __init__(self, threads: int) -> None:
        self._free = threads
        self._waiting: deque[_Call] = deque()
        self._trips: set[asyncio.Task[None]] = set()

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread, in the context of the caller; return its result, or raise what it raises."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((function, arguments, copy_context(), future))
        if self._free:
            self._free -= 1
            trip = asyncio.create_task(self._travel())
            self._trips.add(trip)
            trip.add_done_callback(self._trips.discard)
        return await future

    async def _travel(self) -> None:
        """Make calls until none waits."""
        calls: list[_Call] = []
        try:
            while self._waiting:
                calls = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
                outcomes = await run_in_threadpool(_made, calls)
                for (_, _, _, future), (result, error) in zip(calls, outcomes, strict=True):
                    if future.done():  # its request was cancelled
                        continue
                    if error is None:
                        future.set_result(result)
                    else:
                        future.set_exception(error)
        finally:
            self._free += 1
            for *_, future in calls:  # the loop is ending
                if not future.done():
                    future.cancel()


def _made(calls: list[_Call]) -> list[_Outcome]:
    """Make calls; return their results and errors."""
    found: list[_Outcome] = []
    for function, arguments, context, future in calls:
        try:
            found.append((None if future.cancelled() else context.run(function, *arguments), None))
        except Exception as error:
            found.append((None, error))
    return found
