"""The journal of one run: it numbers the run's events, applies them to its status, and queues them to be written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.journal import retry
from orchestrator.journal.commit_requests import Commit, LoopWaiter, ThreadWaiter, Waiter
from orchestrator.journal.events import Event, EventType
from orchestrator.journal.state.fold import fold
from orchestrator.journal.state.folded_status import status_of
from orchestrator.journal.state.usage import spending_of
from orchestrator.journal.store.batch_insert import EventRow
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.event_data import EncodedData, KnownBlobs, encode_data
from orchestrator.journal.store.snapshots import SnapshotSchedule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.errors import StoreError
    from orchestrator.journal.payload import Payload
    from orchestrator.journal.records import Lease
    from orchestrator.journal.state.run_state import RunFold
    from orchestrator.journal.state.status import QueuedRun, RunStatus
    from orchestrator.journal.store.store import Store
    from orchestrator.models.budget import Spent

_NOTHING: Mapping[str, Any] = {}


class CommitQueue(Protocol):
    """What writes the events of all runs of the process."""

    store: Store

    def put(self, row: EventRow) -> None:
        """Queue an event."""

    def request(self, waiter: Waiter) -> None:
        """Write everything queued so far at once, and notify the waiter."""

    def forget(self, journal: RunJournal) -> None:
        """Stop recording this run's events; queued ones are still written."""


class RunJournal:
    """Records the events of one run. Called from one thread at a time, usually that of the run's event loop."""

    def __init__(self, journal: CommitQueue, lease: Lease, state: RunFold) -> None:
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
        self.queued: QueuedRun | None = None
        """What the run waits for now, while it is queued."""
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
        waiter = LoopWaiter(Commit(self, self._state.last_seq))
        self._journal.request(waiter)
        await waiter.future

    async def leave(self) -> None:
        """Commit what is recorded, and release the run in the same transaction: any process may take it then.

        Raises:
            LeaseLost, StoreUnavailable: as `commit`; then the lease is kept.
        """
        if self.left:
            return
        waiter = LoopWaiter(Commit(self, self._state.last_seq, leave=True))
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
        waiter = ThreadWaiter(Commit(self, self._state.last_seq))
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
    def is_waiting(self) -> bool:
        """Whether nothing can continue before a person answers or a time comes."""
        return self._state.is_waiting

    @property
    def has_begun(self) -> bool:
        """Whether the run has been started, by this owner or an earlier one."""
        return self._state.started_at is not None

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
        return status_of(self._state, time.time(), owner=self._owner, queued=self.queued)

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
