"""The store of runs: one database, SQLite or PostgreSQL, read and written by any number of processes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator import codes
from orchestrator.errors import StoreUnavailable
from orchestrator.journal.dialects.registry import store_may_exist
from orchestrator.journal.events import ENDS
from orchestrator.journal.feeds.feeds import Feeds
from orchestrator.journal.feeds.run_reader import RunReader
from orchestrator.journal.records import LEASE_SECONDS, BatchProgress, Command, RunFilter, unknown_batch
from orchestrator.journal.retry import patient
from orchestrator.journal.run_creation import RunCreation
from orchestrator.journal.store import blob_store, leases, result_cache, retention
from orchestrator.journal.store.batch_insert import Appender
from orchestrator.journal.store.blob_codec import encode, storable
from orchestrator.journal.store.chunks import chunks
from orchestrator.journal.store.concurrency_store import ConcurrencyStore
from orchestrator.journal.store.credential_store import CredentialStore
from orchestrator.journal.store.database import Database
from orchestrator.journal.store.queries import batches, event_pages, listed_runs, lookup, statuses, usage
from orchestrator.journal.store.queries.event_ranges import of_run
from orchestrator.journal.store.start_keys import StartKeys
from orchestrator.journal.store.stored_data import stored_object
from orchestrator.journal.store.submissions import Submissions, wake
from orchestrator.journal.store.tables import commands, durations, runs
from orchestrator.journal.store.trigger_store import TriggerStore
from orchestrator.journal.store.worker_store import WorkerStore

if TYPE_CHECKING:
    import builtins
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from orchestrator.errors import LeaseLost
    from orchestrator.journal.events import Event, EventType, RunState
    from orchestrator.journal.feeds.event_feed import EventFeed
    from orchestrator.journal.process_identity import Owner
    from orchestrator.journal.records import BatchStatus, CacheEntry, Lease, NewRun, Pruned, RunRecord, StoreStats
    from orchestrator.journal.state.resume_state import ResumeState
    from orchestrator.journal.state.run_state import RunFold
    from orchestrator.journal.state.status import RunStatus
    from orchestrator.journal.store.queries.listed_runs import ListedRun
    from orchestrator.models.budget import Spent

_KEYS = 10_000  # run numbers that are cached


class Store:
    """An open store. Synchronous; safe to share between threads; a context manager that closes it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._keys: dict[str, int] = {}
        self.feeds = Feeds(database, self._feed_page)
        self.credentials = CredentialStore(database)
        self.concurrency = ConcurrencyStore(database)
        self.start_keys = StartKeys(database)
        self.triggers = TriggerStore(database)
        self.submissions = Submissions(database)
        self.workers = WorkerStore(database)

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Open the store at `url`: `sqlite:///path`, `sqlite://` (temporary), or `postgresql://...`.

        A relative path starts at the working directory; missing directories are created. With `create=False` a missing
        SQLite file is an error. `?timeout=` is how many seconds to wait for a lock, `?schema=` PostgreSQL's schema.

        Raises:
            StoreUnavailable: with the code of the cause (ORC811, ORC812, ORC813, ORC814, ORC816).
            ConfigurationError: `url` is not the URL of such a database.
            MissingExtra: PostgreSQL's driver is not installed.
        """
        return cls(Database.open(url, create=create))

    @staticmethod
    def exists(url: str) -> bool:
        """Return whether there may be runs at `url`: false for a missing file. Nothing is created."""
        return store_may_exist(url)

    @property
    def url(self) -> str:
        """The address, without a password."""
        return self.database.url

    def close(self) -> None:
        """Close all connections. Close the journals that use the store first."""
        self.feeds.close()
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- runs and who owns them

    def create_run(self, new: NewRun, owner: Owner, *, ttl: float = LEASE_SECONDS) -> Lease:
        """Write a new run with its first event and the lease of `owner`, in one transaction.

        Raises:
            RunError: the id is taken (ORC802).
        """
        return self.begin_run(new, owner, ttl=ttl)[0]

    def begin_run(
        self, new: NewRun, owner: Owner, *, copied: Iterable[Event] = (), ttl: float = LEASE_SECONDS
    ) -> tuple[Lease, RunFold]:
        """As `create_run`, and return the fold too, which then need not be read.

        `copied` are events of another run that the new one starts with, as `events` returns them without `resolve`.
        `Journal.begin` is cheaper for many short runs.

        Raises:
            RunError: the id is taken (ORC802).
            RunNotFound: the other run was pruned in the meantime.
        """
        creation = RunCreation.of(new, owner, ttl=ttl, copied=copied)
        appender = Appender(self.database)
        try:
            appender.append([], creations=[creation])
        finally:
            appender.close()
        return creation.lease, creation.state

    def acquire(self, run_id: str, owner: Owner, *, ttl: float = LEASE_SECONDS) -> Lease:
        """Acquire a run without an owner: it was released, its lease expired, or its owner's process has ended.

        Of several processes that try at once, exactly one succeeds.

        Raises:
            RunNotFound: the run does not exist.
            RunOwned: a live process owns it, possibly this one.
        """
        lease = leases.acquire(self.database, run_id, owner, ttl)
        self.feeds.announce(lease.key)
        return lease

    def renew(self, lease: Lease) -> None:
        """Extend the lease to `ttl` seconds from now.

        Raises:
            LeaseLost: another process has taken the run.
        """
        leases.renew(self.database, lease)

    def release(self, lease: Lease) -> None:
        """Release the run, so that any process may acquire it at once. A lost lease is ignored."""
        leases.release(self.database, lease)
        self.feeds.announce(lease.key)

    def lease_lost(self, lease: Lease) -> LeaseLost:
        """Return the error of a lease that is no longer valid."""
        return leases.lease_lost(self.url, lease)

    # --- reading

    def find(self, name: str) -> str:
        """Return the run's id for an id, a unique beginning of one, or `last` (the newest run).

        Raises:
            RunNotFound: no run matches, or more than one; the help names the candidates.
        """
        return lookup.find_run(self.database, name)

    @patient()
    def status(self, run_id: str) -> RunStatus:
        """Return the status of a run. Reads the last snapshot and the few events after it.

        Raises:
            RunNotFound: the run does not exist.
        """
        return statuses.run_status(self.database, run_id)

    def list(
        self, state: RunState | None = None, limit: int = 50, *, wanted: RunFilter | None = None
    ) -> builtins.list[RunStatus]:
        """Return the newest runs, newest first; only those in `state`, or that match `wanted`."""
        return statuses.newest_runs(self.database, wanted or RunFilter(state), limit)

    @patient()
    def listed(self, keys: Sequence[int]) -> builtins.list[ListedRun]:
        """Return the runs with these keys, as a list shows them; those that were removed are left out."""
        return [*listed_runs.listed_runs(self.database, keys)]

    @patient(locks=True)
    def check_writable(self) -> None:
        """Raise StoreError if nothing can be written now. Nothing is."""
        with self.database.write() as connection:
            connection.execute(runs.delete().where(sa.false()))

    @patient()
    def run_counts(self) -> dict[str, int]:
        """Count the runs by their states."""
        return retention.run_counts(self.database)

    @patient()
    def size(self) -> int:
        """Return the bytes that the database takes."""
        return retention.store_size(self.database)

    @patient()
    def labels(self, run_ids: Iterable[str]) -> dict[str, builtins.list[str]]:
        """Return the labels of those of the runs that have any."""
        return statuses.labels_of(self.database, run_ids)

    def rows(self, run_ids: Iterable[str]) -> dict[str, int]:
        """Return the number of the row of those of the runs that are part of a batch, counted from 1."""
        return statuses.rows_of(self.database, run_ids)

    def batches(self, limit: int = 50) -> builtins.list[BatchStatus]:
        """Return the newest batches, newest first."""
        return batches.newest_batches(self.database, limit)

    def batch_status(self, batch_id: str) -> BatchStatus:
        """Return the status of a batch.

        Raises:
            RunError: ORC817, there is no such batch.
        """
        for found in batches.newest_batches(self.database, 1, only=batch_id):
            return found
        raise unknown_batch(batch_id, self.url)

    def has_batch(self, batch_id: str) -> bool:
        """Return whether a batch was started."""
        return batches.batch_exists(self.database, batch_id)

    @patient(locks=True)
    def put_batch(self, batch_id: str, pipeline: str, progress: BatchProgress) -> None:
        """Record how many rows of a batch have been read, how many of them are invalid, and whether there are more."""
        batches.put_batch(self.database, batch_id, pipeline, progress)

    def batch(self, batch_id: str) -> Iterator[tuple[int, str, RunState]]:
        """Yield the rows of a batch in order: each with the id of its newest run and its state."""
        return batches.batch_rows(self.database, batch_id)

    @patient()
    def events(
        self,
        run_id: str,
        after: int = 0,
        limit: int = 1000,
        *,
        resolve: bool = False,
        paths: Collection[str] | None = None,
        types: Collection[EventType] = (),
    ) -> builtins.list[Event]:
        """Return up to `limit` events that follow the one numbered `after`, in order and without gaps.

        With `resolve`, large values are read from their blobs; without it, they are references. With `paths`, only
        events of these steps are returned; the path of the run's own events is "". With `types`, only those of these
        types are.
        """
        with self._while_there(run_id):
            return event_pages.page(
                self.database, run_id, self._key(run_id), after, limit, paths=paths, types=types, whole=resolve
            )

    @patient()
    def outline(
        self, run_id: str, after: int = 0, limit: int = 1000, *, within: Collection[str] = ()
    ) -> builtins.list[Event]:
        """Return up to `limit` events after the one numbered `after` that an outline of the run is made of.

        These are all events except those of items from number 10 on, in each loop at any depth: of such items only
        model calls are included, and everything of the items `within`. Large values are references.
        """
        with self._while_there(run_id):
            return event_pages.outline_page(self.database, run_id, self._key(run_id), after, limit, within=within)

    def failed_later_items(self, run_id: str) -> Iterator[str]:
        """Yield the paths of failed and cancelled steps and items that `outline` leaves out."""
        return event_pages.failed_later_items(self.database, self._key(run_id))

    @patient()
    def count_items(self, run_id: str, loop: str) -> dict[str, int]:
        """Count the items of a loop that have ended, by the types of their events."""
        return event_pages.count_items(self.database, self._key(run_id), loop)

    @patient()
    def item_ends(self, run_id: str, loop: str) -> builtins.list[tuple[float, str]]:
        """Return when the items of a loop ended, in seconds since the epoch, and the types of their events."""
        return event_pages.item_ends(self.database, self._key(run_id), loop)

    @patient(locks=True)
    def values_at(self, run_id: str, seqs: Sequence[int]) -> builtins.list[Any]:
        """Return the outputs of the steps that ended with the events of these numbers, in the given order.

        For a failed step, that is the value that the run continued with.
        """
        with self._while_there(run_id):
            return event_pages.values_at(self.database, run_id, self._key(run_id), seqs)

    @patient(locks=True)
    def put_values(self, found: ResumeState) -> ResumeState:
        """Replace references by large values, in records folded from events without `resolve`.

        Values of ended items, whose records are dropped, are then never read.
        """
        return event_pages.put_values(self.database, found)

    def reader(self, run_id: str) -> RunReader:
        """Return a reader of a run, which learns of its changes without asking the store.

        Raises:
            RunNotFound: the run does not exist.
        """
        return RunReader(self, self.feeds.reader(run_id, self._key(run_id)))

    @patient()
    def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """Wait at most `timeout` seconds for an event newer than `after`; return whether there is one."""
        deadline = time.monotonic() + timeout
        query = sa.select(sa.literal(1)).where(of_run(self._key(run_id), after=after)).limit(1)
        reader = self.reader(run_id) if timeout > 0 else None
        while True:
            seen = reader.version() if reader is not None else (0, 0)
            with self.database.read() as connection:
                if connection.execute(query).first() is not None:
                    return True
            remaining = deadline - time.monotonic()
            if reader is None or remaining <= 0:
                return False
            reader.wait(seen, remaining)

    def follow(self, run_id: str, after: int = 0, *, resolve: bool = False) -> Iterator[Event]:
        """Yield the events after `after` as they are recorded, until the run has ended.

        It waits for a paused or interrupted run. You can leave at any time and rejoin with the last `seq`.
        """
        reader = self.reader(run_id)
        while True:
            seen = reader.version()
            found = reader.read(after) if resolve else self.events(run_id, after, resolve=False)
            yield from found
            if found:
                after = found[-1].seq
                if found[-1].type not in ENDS:
                    continue
            elif not self.status(run_id).ended:
                reader.wait(seen)
                continue
            if not self.wait(run_id, after, 0):
                return

    @patient()
    def record(self, run_id: str) -> RunRecord:
        """Return what the run was created from, or was last revised to.

        Raises:
            RunNotFound: the run does not exist.
        """
        with self._while_there(run_id):
            return event_pages.run_record(self.database, run_id)

    @patient()
    def resolve(self, value: Any) -> Any:
        """Return `value` with references replaced by blobs: itself, or its values if it is an event's data.

        Resolve a value only once: the result may contain anything, including what looks like a reference.
        """
        return blob_store.resolve_blobs(self.database, value)

    @patient()
    def value(self, hash: str) -> Any:
        """Return the large value with a hash, to which events refer; None if there is none."""
        return blob_store.find_value(self.database, hash)

    # --- spending on models

    @patient()
    def spent_by_batch(self, batch_id: str) -> Spent:
        """Return what all runs of a batch have spent on models."""
        return usage.spent_by_batch(self.database, batch_id)

    @patient(locks=True)
    def spent_since(self, at: float) -> Spent:
        """Return what all runs have spent on models, also pruned ones, from the beginning of the day (UTC) of a time.

        The time is in seconds since the epoch.
        """
        return usage.spent_since(self.database, at)

    # --- durations of steps

    @patient(locks=True)
    def step_durations(self, pipeline: str) -> str | None:
        """Return what the last runs of a pipeline left of its steps' durations, for `StepTimes`."""
        query = sa.select(durations.c.seconds).where(durations.c.pipeline == storable(pipeline))
        with self.database.read() as connection:
            return connection.execute(query).scalar()

    # --- cached results

    @patient(locks=True)
    def cache_get(self, key: str, *, newer_than: float | None = None) -> CacheEntry | None:
        """Return the cached result of a key, unless it is older than `newer_than` (seconds since the epoch)."""
        return result_cache.get_result(self.database, key, newer_than)

    @patient(locks=True)
    def cache_put(self, key: str, run_id: str, path: str, output: Any) -> None:
        """Cache a result, replacing an older one. It is kept when the run is pruned."""
        result_cache.put_result(self.database, key, run_id, path, output)

    # --- upkeep

    def prune(self, *, older_than: float | None = None, keep: int | None = None, dry_run: bool = False) -> Pruned:
        """Remove runs that have ended, and then large values without a reference.

        A run is removed if it ended before `older_than` (seconds since the epoch) and is not among the `keep` that
        ended last; a criterion that is not given is ignored; without both, no run is removed. Cached results and
        durations of steps from before `older_than` are removed. Runs that a process executes are kept. Other processes
        may write at the same time. With `dry_run`, nothing is removed.
        """
        if dry_run:
            return retention.prunable(self.database, older_than=older_than, keep=keep)
        pruned = retention.prune_runs(self.database, older_than=older_than, keep=keep)
        self._keys.clear()
        return pruned

    def stats(self) -> StoreStats:
        """Return the content and the size of the store."""
        return retention.store_stats(self.database)

    # --- commands

    def send(self, run_id: str, command: Command) -> int:
        """Send a command to the process that executes the run; return its number."""
        key = self._key(run_id)
        values = {
            "run": key,
            "kind": command.kind,
            "data": encode(command.data),
            "by": storable(command.by),
            "at": time.time(),
        }
        with self.database.write() as connection:
            wake(connection, [key])
            return int(connection.execute(commands.insert().returning(commands.c.id), values).scalar_one())

    def commands(self, run_ids: Iterable[str]) -> builtins.list[tuple[int, str, Command]]:
        """Return the unacknowledged commands for these runs, oldest first, with number and run."""
        wanted = set(run_ids)
        query = (
            sa.select(commands.c.id, runs.c.run_id, commands.c.kind, commands.c.data, commands.c.by)
            .join(runs, runs.c.key == commands.c.run)
            .order_by(commands.c.id)
        )
        with self.database.read() as connection:
            # There are hardly ever any: joining an empty table costs less than sending it a list of runs.
            rows = connection.execute(query).all()
        url = self.database.url
        return [
            (
                row.id,
                row.run_id,
                Command(row.kind, stored_object(url, row.data, f"a command for `{row.run_id}`"), row.by),
            )
            for row in rows
            if row.run_id in wanted
        ]

    def acknowledge(self, ids: Iterable[int]) -> None:
        """Remove commands that were carried out or are obsolete."""
        for some in chunks(list(ids)):
            with self.database.write() as connection:
                connection.execute(commands.delete().where(commands.c.id.in_(some)))

    # --- for the journal

    def load(self, lease: Lease) -> RunFold:
        """Return the fold of a run that this process owns.

        Raises:
            LeaseLost: another process has taken the run.
        """
        return statuses.load_fold(self.database, lease)

    def _feed_page(self, feed: EventFeed, after: int, limit: int) -> builtins.list[Event]:
        return event_pages.page(self.database, feed.run_id, feed.key, after, limit, whole=True)

    @contextmanager
    def _while_there(self, run_id: str) -> Iterator[None]:
        """Raise RunNotFound if something is missing because the run was removed while it was read."""
        try:
            yield
        except (KeyError, StoreUnavailable) as error:
            if isinstance(error, KeyError) or error.code == codes.STORE_UNAVAILABLE:
                self.status(run_id)
            raise

    def _key(self, run_id: str) -> int:
        key = self._keys.get(run_id)
        if key is None:
            with self.database.read() as connection:
                key = statuses.run_head(self.database, connection, run_id).key
            if len(self._keys) > _KEYS:
                self._keys.clear()
            self._keys[run_id] = key
        return key
