"""The feed of one run: what all readers of this process share, so that a reader of an idle run costs nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from orchestrator.journal.events import ENDS, Event
from orchestrator.journal.store.event_data import decoded, is_in_memory, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.store.batch_insert import EventRow

MAX_EVENTS: Final = 2_000
"""The newest events of a run that are kept for its readers; older ones are read from the store."""

MAX_CHARACTERS: Final = 1 << 18
"""Characters of JSON that these events have at most, together."""

PACE: Final = 0.02
SECONDS_PER_THREAD: Final = 0.0005
SECONDS_PER_TASK: Final = 0.0001
LONGEST_PACE: Final = 0.1
"""Seconds between two wakes of a busy run's readers. Waking a thread takes about 20 microseconds of this process, so
with more readers it happens less often: they take more events at once. Those of an event loop are woken together."""

_URGENT = frozenset({*ENDS, "run.paused", "run.queued", "run.resumed", "step.waiting"})
"""The events that a caller may be waiting for: they are not paced."""


class EventFeed:
    """The newest events of a run, and who waits for more. Readers hold it; it is dropped with the last of them."""

    def __init__(self, run_id: str, key: int, schedule: Callable[[EventFeed, float], None]) -> None:
        """`schedule` makes another thread call `publish` at a time of the monotonic clock."""
        self.run_id = run_id
        self.key = key
        self.readers: WeakSet[FeedReader] = WeakSet()
        self.last_seq: int | None = None
        """The number of the newest event that is known to be stored; None if the store must be asked."""
        self._schedule = schedule
        self._news = threading.Condition()
        self._sleeping: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self._version = 0
        self._changes = 0
        self._published_at = 0.0
        self._scheduled = False
        self._events: list[EventRow | Event] = []  # the first `_decoded` of them are events
        self._decoded = 0
        self._sizes: list[int] = []
        self._characters = 0
        # What the watch of runs that other processes execute knows: see `feeds`.
        self.head: tuple[Any, ...] | None = None
        self.owner: Owner | None = None
        self.lease_ends = 0.0
        self.look_at = 0.0

    # --- readers

    def version(self) -> tuple[int, int]:
        """Return a token for `wait`. Its first number changes when there is something new.

        The second one only when the run may have changed without an event, such as when its owner has released it.
        """
        with self._news:
            return self._version, self._changes

    def read(self, after: int, limit: int) -> list[Event] | None:
        """Return up to `limit` events after the one numbered `after`; None if they must be read from the store."""
        with self._news:
            if self.last_seq is None or after > self.last_seq:
                return None
            first = self.last_seq - len(self._events) + 1
            if after < first - 1:
                return None
            start = after + 1 - first
            stop = min(start + limit, len(self._events))
            while self._decoded < stop:
                self._events[self._decoded] = _decode(self.run_id, self._events[self._decoded])
                self._decoded += 1
            return self._events[start:stop]  # type: ignore[return-value] # all of these are decoded

    def wait(self, seen: tuple[int, int], timeout: float | None) -> bool:
        """Block until the version differs from `seen`, at most `timeout` seconds; return whether it does."""
        with self._news:
            return self._news.wait_for(lambda: self._version != seen[0], timeout)

    async def wait_async(self, seen: tuple[int, int]) -> None:
        """As `wait`, without a thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._news:
            if self._version != seen[0]:
                return
            self._sleeping[future] = loop
        try:
            await future
        finally:
            with self._news:
                self._sleeping.pop(future, None)

    # --- writers

    def push(self, rows: Sequence[EventRow] | Sequence[Event]) -> None:
        """Add events that are stored, in order. They are decoded when first read."""
        with self._news:
            for row in rows:
                if self.last_seq is not None and row.seq <= self.last_seq:
                    continue
                if self.last_seq is not None and row.seq != self.last_seq + 1:
                    self._clear()
                self.last_seq = row.seq
                if not isinstance(row, Event) and not is_in_memory(row.data):
                    self._clear()
                    continue
                self._events.append(row)
                self._sizes.append(_size(row))
                self._characters += self._sizes[-1]
            if self._characters > MAX_CHARACTERS or len(self._events) > MAX_EVENTS:
                self._shrink()

    def advance(self, seq: int) -> None:
        """Note that events up to this one are stored, without their content."""
        with self._news:
            if self.last_seq is None or self.last_seq < seq:
                self._clear()
                self.last_seq = seq

    def forget(self) -> None:
        """Forget what is stored: another process may have written meanwhile."""
        with self._news:
            self._clear()
            self.last_seq = None

    def invalidate(self) -> None:
        """Let the readers ask the store for everything."""
        self.forget()
        self.announce(urgent=True)

    def announce(self, *, urgent: bool = False, changed: bool = True, pace: float = 0.0) -> None:
        """Wake the readers: now if the last time was `pace` seconds ago or it is `urgent`, else when it will have been.

        With `changed=False` there are only events or answers to read; else the state of the run may be another one.
        """
        now = time.monotonic()
        with self._news:
            self._changes += changed
            due = self._published_at + max(pace, self._pace())
            if urgent or now >= due:
                self._publish(now)
                return
            if self._scheduled:
                return
            self._scheduled = True
        self._schedule(self, due)

    def publish(self) -> None:
        """Wake the readers, as scheduled."""
        with self._news:
            if self._scheduled:
                self._publish(time.monotonic())

    def _publish(self, now: float) -> None:
        self._published_at = now
        self._scheduled = False
        self._version += 1
        self._news.notify_all()
        if not self._sleeping:
            return
        loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for future, loop in self._sleeping.items():
            loops.setdefault(loop, []).append(future)
        self._sleeping.clear()
        for loop, futures in loops.items():
            try:
                loop.call_soon_threadsafe(_wake, futures)
            except RuntimeError:  # the loop was closed while its readers waited
                continue

    def _pace(self) -> float:
        tasks = len(self._sleeping)
        threads = max(0, len(self.readers) - tasks)
        return min(LONGEST_PACE, max(PACE, SECONDS_PER_THREAD * threads + SECONDS_PER_TASK * tasks))

    def _shrink(self) -> None:
        """Drop the oldest events, a quarter more than needed, so that it is seldom done."""
        dropped = 0
        while self._characters > MAX_CHARACTERS * 3 // 4 or len(self._events) - dropped > MAX_EVENTS * 3 // 4:
            self._characters -= self._sizes[dropped]
            dropped += 1
        del self._events[:dropped], self._sizes[:dropped]
        self._decoded = max(0, self._decoded - dropped)

    def _clear(self) -> None:
        self._events.clear()
        self._sizes.clear()
        self._characters = self._decoded = 0


class FeedReader:
    """A reader of a run. It counts as one as long as it is referred to."""

    def __init__(self, feed: EventFeed) -> None:
        self.feed = feed
        feed.readers.add(self)


def is_urgent(rows: Iterable[EventRow | Event]) -> bool:
    """Return whether a caller may be waiting for one of these events in particular."""
    return any(row.type in _URGENT for row in rows)


def _wake(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def _size(row: EventRow | Event) -> int:
    if isinstance(row, Event):
        return sum(len(value) if isinstance(value, str) else 100 for value in row.data.values())
    return size_of(row.data)


def _decode(run_id: str, row: EventRow | Event) -> Event:
    if isinstance(row, Event):
        return row
    return Event(run_id, row.seq, row.at, row.type, row.path, row.attempt, decoded(row.data))  # type: ignore[arg-type]
