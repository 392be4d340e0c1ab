"""The journal of a process: one thread that commits together all events that its runs recorded meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import OrchestratorError, StoreError
from orchestrator.journal import retry
from orchestrator.journal.commit_requests import (
    Commit,
    Committed,
    CreationWaiter,
    LoopWaiter,
    ThreadWaiter,
    Waiter,
    settle_all,
)
from orchestrator.journal.records import LEASE_SECONDS
from orchestrator.journal.run_creation import RunCreation
from orchestrator.journal.run_journal import RunJournal
from orchestrator.journal.run_payloads import RunCancelledPayload
from orchestrator.journal.store.batch_insert import Appender, EventRow
from orchestrator.text.json_pieces import is_large

if TYPE_CHECKING:
    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.records import Lease, NewRun
    from orchestrator.journal.run_creation import StartKey
    from orchestrator.journal.state.run_state import RunFold
    from orchestrator.journal.store.store import Store

LAZY_SECONDS = 0.05
"""Seconds after which an event is written at the latest, also if no commit is requested."""


class Journal:
    """Records the events of all runs that this process executes. A context manager that closes it.

    One for each process and store. Any number of event loops may use it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.commits = 0
        self.error: StoreError | None = None
        self._appender = Appender(store.database)
        self._rows: deque[EventRow] = deque()
        self._waiters: deque[Waiter] = deque()
        self._wake: SimpleQueue[bool] = SimpleQueue()  # True: a caller waits; False: events are queued
        self._asleep = False
        self._called = False
        """Whether a waiter has woken the thread, which has not taken the waiters yet."""
        self._unwritten: list[EventRow] = []
        self._bearing: list[Waiter] = []
        self._retry_seconds = retry.FIRST_PAUSE
        self._journals: dict[tuple[int, int], RunJournal] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._closed = False

    async def begin(
        self,
        new: NewRun,
        owner: Owner,
        *,
        ttl: float = LEASE_SECONDS,
        durations: bool = False,
        start_key: StartKey | None = None,
        keys_since: float = 0.0,
    ) -> RunJournal:
        """Create a run and start recording its events. Runs that start at the same time are created in one transaction.

        With `durations`, it reads what earlier runs of the pipeline left of its steps' durations. Returns when the run
        is durable. Release it with `RunJournal.leave`. If the caller is cancelled before that, the run is recorded as
        cancelled and released, because no process would execute it.

        With a `start_key`, the run is created only if no earlier one has the key, but for keys from before
        `keys_since`.

        Raises:
            RunError: the id is taken (ORC802).
            StartKeyTaken: the key stands for another run.
            StoreUnavailable: the store cannot write.
        """
        creation = await _prepared(new, owner, ttl)
        creation.reads_durations = durations
        creation.start_key, creation.keys_since = start_key, keys_since
        waiter = CreationWaiter(creation)
        try:
            await self._create(waiter)
        except asyncio.CancelledError:
            with self._lock:
                waiter.abandoned = True
                written = waiter.written
            if written:
                self._give_up(creation)
            raise
        journal = self.attach(creation.lease, creation.state)
        journal.past_durations = creation.durations
        return journal

    async def submit(self, new: NewRun) -> None:
        """Create a run for workers, which the options of `new` describe. Returns when it is durable.

        If the caller is cancelled, the run may have been created.

        Raises:
            RunError: the id is taken (ORC802).
            StoreUnavailable: the store cannot write.
        """
        creation = await _prepared(new, None, LEASE_SECONDS)
        await self._create(CreationWaiter(creation))
        creation.require_written()
        if creation.key is not None:
            self.store.feeds.announce(creation.key)  # workers look for it

    async def _create(self, waiter: CreationWaiter) -> None:
        self._start()
        self.request(waiter)
        await waiter.future

    def attach(self, lease: Lease, state: RunFold | None = None) -> RunJournal:
        """Start recording events of a run that this process owns, after those in the store.

        `state` is the fold of a run that was just created; by default it is read from the store.

        Raises:
            LeaseLost: another process has taken the run.
        """
        journal = RunJournal(self, lease, self.store.load(lease) if state is None else state)
        self._start()
        with self._lock:
            self._journals[lease.key, lease.fence] = journal
        self.store.feeds.own(lease.key)
        return journal

    def close(self) -> None:
        """Write what is left and end the thread.

        Raises:
            StoreUnavailable: some events could not be written.
        """
        with self._lock:
            self._closing = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._wake.put(True)
            thread.join()
        self._closed = True
        self._refuse_waiters()
        for journal in list(self._journals.values()):
            self.forget(journal)
        if self._unwritten and self.error is not None:
            raise self.error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- called by the runs

    def put(self, row: EventRow) -> None:
        """Queue an event."""
        self._rows.append(row)
        if self._asleep:
            self._asleep = False
            self._wake.put(False)

    def request(self, waiter: Waiter) -> None:
        """Write everything queued so far at once, and notify the waiter."""
        self._waiters.append(waiter)
        if not self._called:  # else the thread wakes, and takes this waiter too
            self._called = True
            self._wake.put(True)
        if self._closed:
            self._refuse_waiters()

    def forget(self, journal: Committed) -> None:
        """Stop recording this run's events; queued ones are still written."""
        with self._lock:
            known = self._journals.pop((journal.lease.key, journal.lease.fence), None)
        if known is not None:
            self.store.feeds.disown(journal.lease.key)

    # --- the thread

    def _start(self) -> None:
        with self._lock:
            if self._closing:
                raise self._is_closed()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="orchestrator-journal", daemon=True)
                self._thread.start()

    def _refuse_waiters(self) -> None:
        """Notify waiters that were added after the thread had ended."""
        late = [self._waiters.popleft() for _ in range(len(self._waiters))]
        if late:
            self._settle(late, self._is_closed())

    def _is_closed(self) -> StoreError:
        return StoreError("the journal is closed", url=self.store.url, help="open a new one")

    def _run(self) -> None:
        try:
            while True:
                urgent = self._sleep()
                self._called = False  # before the waiters are taken: those that come from now on call again
                # Waiters queue their events first, so the rows are taken after the waiters.
                waiters, self._bearing = self._bearing, []
                waiters += [self._waiters.popleft() for _ in range(len(self._waiters))]
                if waiters or self._rows or self._unwritten:
                    self._write(waiters)
                if urgent and self._closing and not self._waiters and not self._rows:
                    return
        finally:
            self._appender.close()

    def _sleep(self) -> bool:
        """Wait until there is something to write; return whether a caller waits for it."""
        while True:
            try:
                # An event without a waiter does not end the wait: later events share its commit.
                while not self._wake.get(timeout=self._retry_seconds if self.error else LAZY_SECONDS):
                    pass
                return True
            except Empty:
                if self._rows or self._unwritten or self._bearing:
                    return False
            # No event for a while: sleep until `put` or `request` wakes the thread.
            self._asleep = True
            if not self._rows and self._wake.get():
                return True
            self._asleep = False

    def _write(self, waiters: list[Waiter]) -> None:
        rows = self._unwritten
        rows += [self._rows.popleft() for _ in range(len(self._rows))]
        creations = [waiter.wish for waiter in waiters if isinstance(waiter.wish, RunCreation)]
        left = [w.wish.journal for w in waiters if isinstance(w.wish, Commit) and w.wish.leave]
        problem: OrchestratorError | None = None
        lost: list[Lease] = []
        if rows or creations or left:
            try:
                leases = [journal.lease for journal in left]
                durations = dict(journal.durations for journal in left if journal.durations is not None)
                lost = self._appender.append(rows, creations=creations, releases=leases, durations=durations)
            except StoreError as error:
                self.error = problem = error
                self._retry_seconds = min(retry.LONGEST_PAUSE, self._retry_seconds * 2)
                if not self._closing:
                    self._bearing = [waiter for waiter in waiters if waiter.bears(error)]
                    waiters = [waiter for waiter in waiters if waiter not in self._bearing]
            except Exception as error:  # every waiter must be notified, whatever the error is
                self.error = problem = StoreError(
                    f"the events could not be written: {error}",
                    url=self.store.url,
                    code=codes.INTERNAL_ERROR,
                    help="please report this; what was recorded before is intact",
                )
            else:
                self._unwritten = []
                self.error = None
                self._retry_seconds = retry.FIRST_PAUSE
                self.commits += 1
                changed = [journal.lease.key for journal in left]
                self.store.feeds.committed(rows, lost, changed)
        for lease in lost:
            journal = self._journals.get((lease.key, lease.fence))
            if journal is not None:
                journal.error = self.store.lease_lost(lease)
        if problem is None:
            for released in left:
                released.left = True
                self.forget(released)
        self._settle(waiters, problem)

    def _give_up(self, creation: RunCreation) -> None:
        """End a run whose caller was cancelled. May be called from any thread."""
        if creation.key is None:
            return
        journal = RunJournal(self, creation.lease, creation.state)
        journal.record_payload(RunCancelledPayload(reason="its caller was cancelled", by=""))
        self.request(ThreadWaiter(Commit(journal, journal.last_seq, leave=True)))

    def _settle(self, waiters: list[Waiter], problem: OrchestratorError | None) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[LoopWaiter]] = {}
        for waiter in waiters:
            wish = waiter.wish
            waiter.error = problem
            if isinstance(wish, Commit):
                waiter.error = wish.journal.error or problem
                if waiter.error is None:
                    wish.journal.durable = max(wish.journal.durable, wish.seq)
            if isinstance(waiter, CreationWaiter) and problem is None:
                with self._lock:
                    waiter.written = True
                    abandoned = waiter.abandoned
                if abandoned and isinstance(wish, RunCreation):
                    self._give_up(wish)
            if isinstance(waiter, LoopWaiter):
                loops.setdefault(waiter.loop, []).append(waiter)
            elif isinstance(waiter, ThreadWaiter):
                waiter.done.set()
        for loop, told in loops.items():
            try:
                loop.call_soon_threadsafe(settle_all, told)
            except RuntimeError:  # the loop was closed while its run waited
                continue


async def _prepared(new: NewRun, owner: Owner | None, ttl: float) -> RunCreation:
    if is_large(new.inputs):
        return await asyncio.to_thread(RunCreation.of, new, owner, ttl=ttl)
    return RunCreation.of(new, owner, ttl=ttl)
