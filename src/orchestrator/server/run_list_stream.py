"""The live stream of a page that lists runs: every change of the runs that it shows, for any number of pages."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from orchestrator.errors import OrchestratorError
from orchestrator.server.run_changes import RunChanges
from orchestrator.server.streams import block_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.journal.records import RunFilter
    from orchestrator.server.run_changes import RunChange

PACE: Final = 0.1
"""Seconds between two looks at the store while runs change: what happens in between is joined."""

LINGERING_SECONDS: Final = 60.0
"""How long changes are still followed when the last reader has left: most come back."""

_STORE_PAUSE: Final = 1.0

_log = logging.getLogger(__name__)


class RunListStream:
    """Follows the runs of the store while there are readers. For one event loop."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator
        self._changes: RunChanges | None = None
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._starting = asyncio.Lock()
        self._readers = 0
        self._left_at = 0.0

    async def ready(self) -> RunChanges:
        """Return the changes, which are followed from now on if they were not.

        Raises:
            StoreError: The store cannot be read.
        """
        async with self._starting:
            self._left_at = time.monotonic()
            if self._changes is None:
                store = self._orchestrator.backend.store
                self._changes = await run_in_threadpool(RunChanges, store)
                self._task = asyncio.create_task(self._follow(self._changes))
            return self._changes

    async def read(self, changes: RunChanges, wanted: RunFilter, last: str | None) -> AsyncIterator[bytes]:
        """Yield the changes of the runs that a filter selects as blocks, from those that follow the id `last` on.

        The first block is `start` if there is no such id. It is `missed` if what followed is not known any more, and so
        is any later one before which the reader has missed changes: then it has to load its list again.
        """
        self._readers += 1
        try:
            after = _number(changes, last)
            if last is None or after is None:
                after = changes.number
                yield block_of("start" if last is None else "missed", {}, f"{changes.epoch}-{after}")
            while self._changes is changes:
                news = self._news
                newer = changes.since(after)
                if newer is None:
                    after = changes.number
                    yield block_of("missed", {}, f"{changes.epoch}-{after}")
                    continue
                known, after = after, newer[-1].number if newer else after
                if blocks := b"".join(_block(changes, change) for change in newer if change.concerns(wanted, known)):
                    yield blocks
                await news.wait()
        finally:
            self._readers -= 1
            self._left_at = time.monotonic()

    async def close(self) -> None:
        """Follow nothing any more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self, changes: RunChanges) -> None:
        try:
            while self._readers or time.monotonic() < self._left_at + LINGERING_SECONDS:
                await changes.wait()
                seen = changes.number
                try:
                    await run_in_threadpool(changes.look)
                except OrchestratorError as error:
                    _log.warning("%s [%s]", error.message, error.code)
                    await asyncio.sleep(_STORE_PAUSE)
                if changes.number != seen:
                    self._wake()
                await asyncio.sleep(PACE)
        finally:
            self._changes = None
            self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _number(changes: RunChanges, last: str | None) -> int | None:
    """Return the number of the change with this id, if all that followed it is known."""
    epoch, _, number = (last or "").partition("-")
    if epoch != changes.epoch or not number.isdecimal() or changes.since(int(number)) is None:
        return None
    return int(number)


def _block(changes: RunChanges, change: RunChange) -> bytes:
    if change.block is None:
        change.block = block_of("run", change.to_dict(), f"{changes.epoch}-{change.number}")
    return change.block
