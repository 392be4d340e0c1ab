"""The feeds of the runs that are read, and one thread that watches the runs of other processes."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakSet, WeakValueDictionary

from orchestrator.journal.feeds.event_feed import MAX_EVENTS, EventFeed, FeedReader, is_urgent
from orchestrator.journal.feeds.run_heads import run_heads
from orchestrator.journal.feeds.store_watch import StoreWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from orchestrator.journal.dialects.change_signal import ChangeSignal
    from orchestrator.journal.events import Event
    from orchestrator.journal.feeds.run_heads import RunHead
    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.records import Lease
    from orchestrator.journal.store.batch_insert import EventRow
    from orchestrator.journal.store.database import Database

POLL_SECONDS: Final = 0.05
"""Seconds after which a reader notices what another process wrote."""

OWNER_SECONDS: Final = 0.5
"""Seconds between two looks whether the owners of runs in other processes are alive."""

_EVENTS_AT_ONCE = 500


class Feeds:
    """The feeds of the runs of a store. Runs that this process executes are never polled."""

    def __init__(self, database: Database, page: Callable[[EventFeed, int, int], list[Event]]) -> None:
        """`page` reads events of a run: up to so many after a number."""
        self._database = database
        self._page = page
        self._feeds: WeakValueDictionary[int, EventFeed] = WeakValueDictionary()
        self._foreign: WeakValueDictionary[int, EventFeed] = WeakValueDictionary()
        self._mine: set[int] = set()
        self._watches: WeakSet[StoreWatch] = WeakSet()
        self._sends = database.dialect.sends_changes
        self._unsent: set[int] = set()
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, EventFeed]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._sleeps_until = math.inf  # as long as there is no thread
        # Of the thread alone:
        self._signal: ChangeSignal | None = None
        self._watching = False
        self._poll_at = 0.0
        self._owners_at = 0.0
        self._all_at = 0.0
        self._pause = POLL_SECONDS

    @property
    def closed(self) -> bool:
        """Whether the runs of other processes are no longer watched."""
        return self._closed

    def reader(self, run_id: str, key: int) -> FeedReader:
        """Return a new reader of a run, from any thread."""
        with self._changed:
            feed = self._feeds.get(key)
            if feed is None:
                feed = EventFeed(run_id, key, self._schedule)
                feed.look_at = time.monotonic()
                self._feeds[key] = feed
            reader = FeedReader(feed)
            if key not in self._mine and key not in self._foreign:
                self._foreign[key] = feed
                self._wake()
        return reader

    def watch(self) -> StoreWatch:
        """Return what collects the runs that change from now on, in all processes, as long as it is referred to."""
        with self._changed:
            watch = StoreWatch()
            self._watches.add(watch)
            self._wake()
        return watch

    def is_mine(self, key: int) -> bool:
        """Whether this process executes a run, and reports all that happens in it."""
        return key in self._mine

    def own(self, key: int) -> None:
        """Note that this process executes a run, and will report its events with `committed`."""
        with self._changed:
            self._mine.add(key)
            self._foreign.pop(key, None)
        self._note([key])

    def disown(self, key: int) -> None:
        """Note that this process executes a run no more."""
        with self._changed:
            self._mine.discard(key)
            feed = self._feeds.get(key)
            if feed is not None and key not in self._foreign:
                feed.head = feed.owner = None
                feed.look_at = time.monotonic() + POLL_SECONDS  # most readers leave when a run has ended
                self._foreign[key] = feed
                self._wake()

    def committed(self, rows: Sequence[EventRow], lost: Collection[Lease], changed: Iterable[int]) -> None:
        """Report the events that this process has written, and runs that have changed without an event."""
        if not self._feeds and not self._sends and not self._watches:
            return
        written: dict[int, list[EventRow]] = {}
        for row in rows:
            written.setdefault(row.lease.key, []).append(row)
        refused = {lease.key for lease in lost}
        others = set(changed)
        for key, some in written.items():
            feed = self._feeds.get(key)
            if feed is None:
                continue
            if key in refused:  # what is stored is the new owner's
                feed.invalidate()
            else:
                feed.push(some)
                feed.announce(urgent=is_urgent(some), changed=key in others)
        for key in others.difference(written):
            self.announce(key)
        self._note(written)
        self._send(written)

    def announce(self, key: int) -> None:
        """Report that a run has changed without an event: who owns it, or what this process knows of it."""
        feed = self._feeds.get(key)
        if feed is not None:
            feed.announce(urgent=True)
        self._note([key])
        self._send([key])

    def close(self) -> None:
        """Stop watching. Readers that still wait look for themselves."""
        with self._changed:
            self._closed = True
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        for feed in list(self._feeds.values()):
            feed.invalidate()

    # --- the thread

    def _note(self, keys: Iterable[int] | None) -> None:
        if not self._watches:
            return
        with self._changed:
            watches = list(self._watches)
        for watch in watches:
            watch.note(keys)

    def _send(self, keys: Iterable[int]) -> None:
        if not self._sends:
            return
        with self._changed:
            self._unsent.update(keys)
            if self._poll_at < self._sleeps_until:
                self._wake()

    def _schedule(self, feed: EventFeed, due: float) -> None:
        with self._changed:
            if not self._closed:
                heapq.heappush(self._due, (due, next(self._numbers), feed))
                if due < self._sleeps_until:
                    self._wake()
                return
        feed.announce(urgent=True)

    def _wake(self) -> None:
        if self._closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="orchestrator-feeds", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _watch(self) -> None:
        try:
            while True:
                with self._changed:
                    if not self._closed:
                        seconds = self._seconds()
                        self._sleeps_until = math.inf if seconds is None else time.monotonic() + seconds
                        self._changed.wait(seconds)
                        self._sleeps_until = 0.0  # it looks at everything before it sleeps again
                    if self._closed:
                        break
                self._work(time.monotonic())
            with suppress(Exception):  # the others find it at their next look
                self._send_changes()
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        signal, self._signal, self._watching = self._signal, None, False
        if signal is not None:
            with suppress(Exception):
                signal.close()

    def _work(self, now: float) -> None:
        """Do what is due. No feed is referred to afterwards, so that it is dropped with its last reader."""
        with self._changed:
            due = []
            while self._due and self._due[0][0] <= now:
                due.append(heapq.heappop(self._due)[2])
            polls = self._polls and now >= self._poll_at
            foreign = dict(self._foreign.items()) if polls else {}
        for feed in due:
            feed.publish()
        if polls:
            self._poll(foreign, now)

    def _seconds(self) -> float | None:
        """How long to sleep; None: until something happens in this process."""
        now = time.monotonic()
        times = [self._due[0][0]] if self._due else []
        if self._polls:
            times.append(self._poll_at)
        return max(0.0, min(times) - now) if times else None

    @property
    def _polls(self) -> bool:
        """Whether there is something to send to other processes, or to learn from them."""
        return bool(self._foreign or self._unsent or self._watching or self._watches)

    def _poll(self, foreign: dict[int, EventFeed], now: float) -> None:
        try:
            if self._signal is None:
                self._signal = self._database.change_signal()
            needed = bool(foreign or self._watches)
            fresh = needed and not self._watching
            if fresh or (self._watching and not needed):
                self._signal.watch(on=fresh)
                self._watching = fresh
            self._send_changes()
            changed = self._signal.changed()
            if fresh or changed is None or now >= self._all_at:
                self._note(None)
                wanted = dict(foreign)
                self._all_at = now + self._signal.longest
            else:
                if changed:
                    self._note(changed)
                wanted = {key: foreign[key] for key in changed if key in foreign}
            wanted |= {key: feed for key, feed in foreign.items() if feed.head is None}
            if now >= self._owners_at:
                wanted |= self._doubtful(foreign, now)
                self._owners_at = now + OWNER_SECONDS
            wanted = {key: feed for key, feed in wanted.items() if feed.head is not None or feed.look_at <= now}
            if wanted:
                self._look(wanted)
            self._pause = POLL_SECONDS
        except Exception:  # whatever it is, readers must see it: they ask the store themselves
            self._disconnect()
            self._pause = min(1.0, 2 * self._pause)
            self._note(None)
            for feed in foreign.values():
                feed.head = None
                feed.invalidate()
        self._poll_at = time.monotonic() + self._pause

    def _send_changes(self) -> None:
        if self._sends and self._unsent:
            if self._signal is None:
                self._signal = self._database.change_signal()
            with self._changed:
                keys = sorted(self._unsent)
            self._signal.send(keys)
            with self._changed:
                self._unsent.difference_update(keys)

    def _doubtful(self, foreign: dict[int, EventFeed], now: float) -> dict[int, EventFeed]:
        """The runs whose leases may have ended, or whose owners' processes have."""
        dead: dict[Owner, bool] = {}
        found = {}
        for key, feed in foreign.items():
            owner = feed.owner
            if owner is None:
                continue
            if owner not in dead:
                dead[owner] = owner.is_dead()
            if dead[owner] or now >= feed.lease_ends:
                found[key] = feed
        return found

    def _look(self, wanted: dict[int, EventFeed]) -> None:
        now = time.monotonic()
        heads = dict(run_heads(self._database, list(wanted)))
        for key, feed in wanted.items():
            if key in self._mine:
                continue
            self._take(feed, heads.get(key), now)

    def _take(self, feed: EventFeed, head: RunHead | None, now: float) -> None:
        if head is None:  # it was removed
            mark, feed.owner = (), None
        else:
            holder = head.holder()
            dead = holder is not None and holder.is_dead()
            feed.owner = None if dead else holder
            feed.lease_ends = now + head.left
            mark = (*head.mark, dead)
        if mark == feed.head:
            return
        known, feed.head = feed.head, mark
        changed = urgent = known is None or mark[1:] != known[1:]
        if head is None:
            feed.forget()
        else:
            urgent = self._fill(feed, head.last_seq) or urgent
        feed.announce(urgent=urgent, changed=changed)

    def _fill(self, feed: EventFeed, last_seq: int) -> bool:
        """Read the newest events for all readers of a run; return whether there is an urgent one."""
        urgent = False
        try:
            while feed.last_seq is not None and last_seq - MAX_EVENTS < feed.last_seq < last_seq:
                events = self._page(feed, feed.last_seq, _EVENTS_AT_ONCE)
                feed.push(events)
                urgent = urgent or is_urgent(events)
                if not events:
                    break
        except Exception:  # the readers see what is wrong with this run: they ask the store
            feed.forget()
            return True
        feed.advance(last_seq)
        return urgent
