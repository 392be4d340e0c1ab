"""The journal of a process: one thread that commits together all events that its runs recorded meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import OrchestratorError, StoreError
from orchestrator.journal import retry
from orchestrator.journal.events import Event, EventType
from orchestrator.journal.payloads import RunCancelledPayload
from orchestrator.journal.records import LEASE_SECONDS
from orchestrator.journal.run_creation import RunCreation
from orchestrator.journal.state.fold import fold, status_of
from orchestrator.journal.state.usage import spending_of
from orchestrator.journal.store.batch_insert import Appender, EventRow
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.event_data import EncodedData, KnownBlobs, encode_data
from orchestrator.journal.store.snapshots import SnapshotSchedule
from orchestrator.text.json_pieces import is_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.journal.payloads import Payload
    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.records import Lease, NewRun
    from orchestrator.journal.state.run_state import RunFold
    from orchestrator.journal.state.status import RunStatus
    from orchestrator.journal.store.store import Store
    from orchestrator.models.budget import Spent

LAZY_SECONDS = 0.05
"""Seconds after which an event is written at the latest, also if no commit is requested."""

_NOTHING: Mapping[str, Any] = {}


class _Commit:
    """A request to make a run's events up to `seq` durable, and with `leave` to release the run then."""

    __slots__ = ("journal", "leave", "seq")

    def __init__(self, journal: RunJournal, seq: int, *, leave: bool = False) -> None:
        self.journal = journal
        self.seq = seq
        self.leave = leave


class _Waiter:
    """A caller that waits for a commit, or for a new run."""

    __slots__ = ("error", "since", "wish")

    def __init__(self, wish: _Commit | RunCreation) -> None:
        self.wish = wish
        self.since = time.monotonic()
        self.error: OrchestratorError | None = None

    def bears(self, problem: StoreError) -> bool:
        """Whether it still waits for a store that cannot be written now: as long as the run's lease holds."""
        if isinstance(self.wish, _Commit):
            return self.wish.journal.bears(problem)
        # A lock is waited for by the database itself, and nothing is lost if a run does not begin.
        return (
            retry.is_passing(problem) and problem.code != retry.LOCKED and time.monotonic() < self.since + self.wish.ttl
        )


class _LoopWaiter(_Waiter):
    __slots__ = ("future", "loop")

    def __init__(self, wish: _Commit | RunCreation) -> None:
        super().__init__(wish)
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()

    def settle(self) -> None:
        """Complete the future; on its own loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(self.error)


class _CreationWaiter(_LoopWaiter):
    """A caller that starts a run. `abandoned`: it was cancelled. `written`: the run is in the store."""

    __slots__ = ("abandoned", "written")

    def __init__(self, wish: RunCreation) -> None:
        super().__init__(wish)
        self.abandoned = False
        self.written = False


class _ThreadWaiter(_Waiter):
    __slots__ = ("done",)

    def __init__(self, wish: _Commit | RunCreation) -> None:
        super().__init__(wish)
        self.done = threading.Event()


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
        self._waiters: deque[_Waiter] = deque()
        self._wake: SimpleQueue[bool] = SimpleQueue()  # True: a caller waits; False: events are queued
        self._asleep = False
        self._called = False
        """Whether a waiter has woken the thread, which has not taken the waiters yet."""
        self._unwritten: list[EventRow] = []
        self._bearing: list[_Waiter] = []
        self._retry_seconds = retry.FIRST_PAUSE
        self._journals: dict[tuple[int, int], RunJournal] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._closed = False

    async def begin(
        self, new: NewRun, owner: Owner, *, ttl: float = LEASE_SECONDS, durations: bool = False
    ) -> RunJournal:
        """Create a run and start recording its events. Runs that start at the same time are created in one transaction.

        With `durations`, it reads what earlier runs of the pipeline left of its steps' durations. Returns when the run
        is durable. Release it with `RunJournal.leave`. If the caller is cancelled before that, the run is recorded as
        cancelled and released, because no process would execute it.

        Raises:
            RunError: the id is taken (ORC802).
            StoreUnavailable: the store cannot write.
        """
        if is_large(new.inputs):
            creation = await asyncio.to_thread(RunCreation.of, new, owner, ttl=ttl)
        else:
            creation = RunCreation.of(new, owner, ttl=ttl)
        creation.reads_durations = durations
        self._start()
        waiter = _CreationWaiter(creation)
        self.request(waiter)
        try:
            await waiter.future
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

    def request(self, waiter: _Waiter) -> None:
        """Write everything queued so far at once, and notify the waiter."""
        self._waiters.append(waiter)
        if not self._called:  # else the thread wakes, and takes this waiter too
            self._called = True
            self._wake.put(True)
        if self._closed:
            self._refuse_waiters()

    def forget(self, journal: RunJournal) -> None:
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

    def _write(self, waiters: list[_Waiter]) -> None:
        rows = self._unwritten
        rows += [self._rows.popleft() for _ in range(len(self._rows))]
        creations = [waiter.wish for waiter in waiters if isinstance(waiter.wish, RunCreation)]
        left = [w.wish.journal for w in waiters if isinstance(w.wish, _Commit) and w.wish.leave]
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
            for journal in left:
                journal.left = True
                self.forget(journal)
        self._settle(waiters, problem)

    def _give_up(self, creation: RunCreation) -> None:
        """End a run whose caller was cancelled. May be called from any thread."""
        if creation.key is None:
            return
        journal = RunJournal(self, creation.lease, creation.state)
        journal.record_payload(RunCancelledPayload(reason="its caller was cancelled", by=""))
        self.request(_ThreadWaiter(_Commit(journal, journal.last_seq, leave=True)))

    def _settle(self, waiters: list[_Waiter], problem: OrchestratorError | None) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[_LoopWaiter]] = {}
        for waiter in waiters:
            wish = waiter.wish
            waiter.error = problem
            if isinstance(wish, _Commit):
                waiter.error = wish.journal.error or problem
                if waiter.error is None:
                    wish.journal.durable = max(wish.journal.durable, wish.seq)
            if isinstance(waiter, _CreationWaiter) and problem is None:
                with self._lock:
                    waiter.written = True
                    abandoned = waiter.abandoned
                if abandoned and isinstance(wish, RunCreation):
                    self._give_up(wish)
            if isinstance(waiter, _LoopWaiter):
                loops.setdefault(waiter.loop, []).append(waiter)
            elif isinstance(waiter, _ThreadWaiter):
                waiter.done.set()
        for loop, told in loops.items():
            try:
                loop.call_soon_threadsafe(_settle_all, told)
            except RuntimeError:  # the loop was closed while its run waited
                continue


def _settle_all(waiters: list[_LoopWaiter]) -> None:
    for waiter in waiters:
        waiter.settle()


class RunJournal:
    """Records the events of one run. Called from one thread at a time, usually that of the run's event loop."""

    def __init__(self, journal: Journal, lease: Lease, state: RunFold) -> None:
        self.lease = lease
        self.error: StoreError | None = None
        self.durable = state.last_seq
        self.left = False
        """Whether the run was released with `leave`."""
        self.held_until = time.monotonic() + lease.ttl
        """Until when the lease is known to hold, by this process's monotonic clock."""
        self.last_size = 0
        """The size of the newest event's data, in characters of JSON."""
        self.past_durations: str | None = None
        """What an earlier run of the pipeline left of its steps' durations, if that was read."""
        self.durations: tuple[str, str] | None = None
        """What this run leaves: its pipeline, and the durations of its steps."""
        self._journal = journal
        self._state = state
        self._owner = str(lease.owner)
        self._snapshots = SnapshotSchedule(state.last_seq)
        self._known = KnownBlobs()

    @property
    def run_id(self) -> str:
        """The run whose events these are."""
        return self.lease.run_id

    @property
    def last_seq(self) -> int:
        """The number of the newest event, durable or not."""
        return self._state.last_seq

    def record(
        self,
        type: EventType,
        path: str = "",
        attempt: int = 0,
        data: Mapping[str, Any] | None = None,
        *,
        most: int | None = None,
    ) -> Event:
        """Number an event, apply it to the status, and queue it; it is written with the next commit, or soon.

        `data` is JSON data, which is copied at once. After the lease is lost or released, events are dropped, and
        `commit` raises.

        Raises:
            EventTooLarge: `data` has more than `most` characters of JSON; nothing was recorded.
            TypeError, ValueError: `data` is not JSON data; nothing was recorded.
        """
        return self._append(type, path, attempt, data or _NOTHING, None, self.encode(data or _NOTHING, most=most))

    def record_payload(
        self,
        payload: Payload,
        path: str = "",
        attempt: int = 0,
        *,
        most: int | None = None,
        encoded: EncodedData | None = None,
    ) -> Event:
        """Record an event with a payload; see `record`. `encoded` is what `encode` has returned for its data."""
        data = payload.to_data()
        return self._append(payload.type, path, attempt, data, payload, encoded or self.encode(data, most=most))

    def encode(self, data: Mapping[str, Any], *, most: int | None = None, large: bool | None = None) -> EncodedData:
        """Encode the data of an event before it is recorded, on any thread: that of large values takes its time.

        `large` is whether one of them `is_large`, if that is known.

        Raises:
            EventTooLarge, TypeError, ValueError: As `record`.
        """
        return encode_data(data, known=self._known, most=most, large=large)

    def forget_values(self, path: str) -> None:
        """Note that the values of the steps within a block are not used any more, as it has ended."""
        self._known.forget(path)

    def _append(
        self,
        type: EventType,
        path: str,
        attempt: int,
        data: Mapping[str, Any],
        payload: Payload | None,
        encoded: EncodedData,
    ) -> Event:
        self.last_size = encoded.size
        state = self._state
        before = state.state
        path = storable(path)
        event = Event(self.lease.run_id, state.last_seq + 1, max(time.time(), state.last_at), type, path, attempt, data)
        fold(state, event, payload)
        snapshot = self._snapshots.next(state, before=before)
        if self.error is None and not self.left:
            row = EventRow(self.lease, event.seq, event.at, type, path, attempt, encoded.parts, snapshot)
            if encoded.values:
                self._known.add(encoded, path)
            if type == "step.model":
                row.spent, row.call = state.spending.spent, spending_of(data).spent
            self._journal.put(row)
        return event

    def bears(self, problem: StoreError) -> bool:
        """Whether the run continues although the store is unavailable: as long as its lease is known to hold.

        While an SQLite file is locked, no other process can take the run either, so the limit is longer.
        """
        more = retry.LOCK_PATIENCE if problem.code == retry.LOCKED else 0.0
        return retry.is_passing(problem) and time.monotonic() < self.held_until + more

    async def commit(self) -> None:
        """Return when everything recorded so far is durable.

        Raises:
            LeaseLost: another process has taken the run; what was recorded since is not stored.
            StoreUnavailable: the store cannot write; a temporary failure is retried until the lease expires. Nothing is
                lost: the next commit writes it.
        """
        if self._is_durable():
            return
        waiter = _LoopWaiter(_Commit(self, self._state.last_seq))
        self._journal.request(waiter)
        await waiter.future

    async def leave(self) -> None:
        """Commit what is recorded, and release the run in the same transaction: any process may take it then.

        Raises:
            LeaseLost, StoreUnavailable: as `commit`; then the lease is kept.
        """
        if self.left:
            return
        waiter = _LoopWaiter(_Commit(self, self._state.last_seq, leave=True))
        self._journal.request(waiter)
        await waiter.future

    def read_durations(self, pipeline: str) -> None:
        """Read what earlier runs of a pipeline left. Not on an event loop."""
        self.past_durations = self._journal.store.step_durations(pipeline)

    def leave_durations(self, pipeline: str, text: str) -> None:
        """Have the durations of the run's steps be written when it is released, for later runs of its pipeline."""
        self.durations = (pipeline, text)

    def flush(self, timeout: float | None = None) -> None:
        """As `commit`, without an event loop; wait at most `timeout` seconds.

        Raises:
            LeaseLost, StoreUnavailable: as `commit`.
            TimeoutError: it took longer.
        """
        if self._is_durable():
            return
        waiter = _ThreadWaiter(_Commit(self, self._state.last_seq))
        self._journal.request(waiter)
        if not waiter.done.wait(timeout):
            raise TimeoutError(f"the events of run {self.run_id} were not written within {timeout} s")
        if waiter.error is not None:
            raise waiter.error

    @property
    def spent(self) -> Spent:
        """The usage and cost of all model calls of the run, including those of earlier owners."""
        return self._state.spending.spent

    @property
    def allowed(self) -> Mapping[str, float] | None:
        """The budget that was given when the run was started or resumed, as in `run.started`."""
        return self._state.allowed

    @property
    def worked(self) -> tuple[float, bool]:
        """The seconds that the run has worked since it was started or last ended, and whether it works now.

        It does not while it is paused, or waits for a person.
        """
        state = self._state
        open_stretch = max(0.0, time.time() - state.since) if state.since is not None else 0.0
        return state.spent - state.before + open_stretch, state.since is not None

    def status(self) -> RunStatus:
        """Return the status of the run, including events that are not yet durable."""
        return status_of(self._state, time.time(), owner=self._owner)

    def detach(self) -> None:
        """Stop recording. Queued events are still written; the lease is kept."""
        self._journal.forget(self)

    def _is_durable(self) -> bool:
        if self.error is not None:
            raise self.error
        durable = self.durable >= self._state.last_seq
        if self.left and not durable:
            raise self._journal.store.lease_lost(self.lease)
        return durable
