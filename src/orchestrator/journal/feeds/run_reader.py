"""Reading a run along: from the events that all readers of the process share, else from the store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from orchestrator.journal.events import Event
    from orchestrator.journal.feeds.event_feed import EventFeed, FeedReader
    from orchestrator.journal.feeds.feeds import Feeds

LOOK_SECONDS: Final = 0.5
"""Seconds between two looks of a reader whose store was closed."""

EVENTS_AT_ONCE: Final = 500


class ReadableStore(Protocol):
    """What a reader needs of the store."""

    feeds: Feeds

    def events(self, run_id: str, after: int = 0, limit: int = 1000, *, resolve: bool = False) -> list[Event]:
        """Return up to `limit` events after the one numbered `after`."""


class RunReader:
    """One reader of a run. Events are shared with other readers: do not change their data.

    Take the `version` before reading, and give it to `wait`: then no event is missed.
    """

    def __init__(self, store: ReadableStore, reader: FeedReader) -> None:
        self._store = store
        self._reader = reader  # the feed counts it as long as it is referred to

    @property
    def _feed(self) -> EventFeed:
        return self._reader.feed

    def version(self) -> tuple[int, int]:
        """Return a token for `wait`; the second number differs if the run may have changed without an event."""
        return self._feed.version()

    def shared(self, after: int) -> list[Event] | None:
        """Return events after the one numbered `after`, without asking the store; None if it must be asked."""
        return self._feed.read(after, EVENTS_AT_ONCE)

    def stored(self, after: int) -> list[Event]:
        """Return events after the one numbered `after` from the store."""
        return self._store.events(self._feed.run_id, after=after, limit=EVENTS_AT_ONCE, resolve=True)

    def read(self, after: int) -> list[Event]:
        """Return up to `EVENTS_AT_ONCE` events after the one numbered `after`."""
        found = self.shared(after)
        return self.stored(after) if found is None else found

    def wait(self, seen: tuple[int, int], timeout: float | None = None) -> bool:
        """Block until the version differs from `seen`, at most `timeout` seconds; return whether it does."""
        if not self._store.feeds.closed:
            return self._feed.wait(seen, timeout)
        self._feed.wait(seen, LOOK_SECONDS if timeout is None else min(timeout, LOOK_SECONDS))
        self._feed.invalidate()
        return True

    async def wait_async(self, seen: tuple[int, int], timeout: float | None = None) -> None:  # noqa: ASYNC109 - a twin
        """As `wait`, without a thread."""
        closed = self._store.feeds.closed
        try:
            async with asyncio.timeout(LOOK_SECONDS if closed else timeout):
                await self._feed.wait_async(seen)
        except TimeoutError:
            if closed:
                self._feed.invalidate()

    def stir(self, pace: float) -> None:
        """Wake the readers: there is something to read that is not recorded, at most every `pace` seconds."""
        self._feed.announce(changed=False, pace=pace)
