"""The store of runs: one database, SQLite or PostgreSQL, read and written by any number of processes."""

from __future__ import annotations

import difflib
import json
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from orchestrator.errors import LeaseLost, RunError, RunNotFound, RunOwned, StoreUnavailable
from orchestrator.journal import blobs as blob_codec
from orchestrator.journal.database import Database, exists
from orchestrator.journal.events import ENDS, Event, EventType, RunState, StepState
from orchestrator.journal.fold import fold, status_of
from orchestrator.journal.owner import Owner
from orchestrator.journal.recorded import Recorded, recorded
from orchestrator.journal.records import LEASE_SECONDS, Command, Lease, NewRun, RunRecord
from orchestrator.journal.schema import blob_uses, blobs, commands, events, runs
from orchestrator.journal.state import RunFold
from orchestrator.journal.steps import apply

if TYPE_CHECKING:
    import builtins

    from sqlalchemy.engine import Connection, Row

    from orchestrator.journal.blobs import Blob
    from orchestrator.journal.status import RunStatus

POLL_SECONDS = 0.05
"""How soon a waiting reader sees what another process wrote."""

_HEAD = (
    runs.c.key,
    runs.c.run_id,
    runs.c.state,
    runs.c.snapshot,
    runs.c.snapshot_seq,
    runs.c.fence,
    runs.c.owner,
    runs.c.lease_until,
)
# The fold does not look at outputs, so a status does not read them.
_LEAN_DATA = sa.case((events.c.type.in_(("step.succeeded", "run.succeeded")), "{}"), else_=events.c.data)
# What a run that goes on need not know.
_BESIDE = ("step.ready", "step.progress", "step.log", "step.warning", "run.warning", "run.created", "run.succeeded")
_STEP_ENDS: Mapping[StepState, EventType] = {
    "succeeded": "step.succeeded",
    "failed": "step.failed",
    "skipped": "step.skipped",
}
_AT_ONCE = 500
# Built once, as every run executes it: building a statement costs more than SQLite takes for it.
_RELEASE = (
    runs.update()
    .where(runs.c.key == sa.bindparam("held_key"), runs.c.fence == sa.bindparam("held_fence"))
    .values(owner=None, lease_until=None, fence=runs.c.fence + 1)
)


def no_runs(url: str, name: str) -> RunNotFound:
    """The error of who looks for a run where there is none at all."""
    return RunNotFound(f"there are no runs in {url} yet", run_id=name, help="start one with: orchestrator run FILE")


class Store:
    """An open store. Synchronous; safe to share between threads; a context manager that closes it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._keys: dict[str, int] = {}
        self._news = threading.Condition()
        self._waiting = 0
        self._written = 0

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Open the store at `url`: `sqlite:///path`, `sqlite://` (gone at the end), or `postgresql+psycopg://...`.

        A relative path starts at the working directory; missing directories are made. With `create=False` a missing
        SQLite file is an error. `?timeout=` is how long to wait for another program's lock, in seconds; PostgreSQL
        takes `?schema=`, default `orchestrator`.

        Raises:
            StoreUnavailable: with the code that says why (ORC811, ORC812, ORC813, ORC814, ORC816).
            ConfigurationError: `url` is no address of such a database.
            MissingExtra: PostgreSQL's driver is not installed.
        """
        return cls(Database.open(url, create=create))

    @staticmethod
    def exists(url: str) -> bool:
        """Whether there may be runs at `url`: false for a file that is not there. Nothing is made by asking."""
        return exists(url)

    @property
    def url(self) -> str:
        """The address, without a password."""
        return self.database.url

    def close(self) -> None:
        """Close all connections. Close the journals that use the store first."""
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- runs and who owns them

    def create_run(self, new: NewRun, owner: Owner, *, ttl: float = LEASE_SECONDS) -> Lease:
        """Write a new run with its first event, and give its lease to `owner`, in one transaction.

        Raises:
            RunError: the id is taken (ORC802).
        """
        return self.begin_run(new, owner, ttl=ttl)[0]

    def begin_run(self, new: NewRun, owner: Owner, *, ttl: float = LEASE_SECONDS) -> tuple[Lease, RunFold]:
        """Do what `create_run` does, and return the fold's state too, which then need not be read."""
        data, large = blob_codec.split({key: blob_codec.encode(value) for key, value in new.to_data().items()})
        created_at = time.time()
        state = fold(RunFold(), Event(new.run_id, 1, created_at, "run.created", data=new.to_data()))
        with self.database.write() as connection:
            try:
                key = connection.execute(
                    runs.insert()
                    .values(
                        run_id=new.run_id,
                        pipeline=blob_codec.storable(new.pipeline),
                        state=state.state,
                        created_at=created_at,
                        snapshot=blob_codec.encode(state.to_dict()),
                        snapshot_seq=1,
                        fence=1,
                        owner=blob_codec.encode(owner.to_dict()),
                        lease_until=self.database.clock() + ttl,
                    )
                    .returning(runs.c.key)
                ).scalar_one()
            except IntegrityError as error:
                raise RunError(
                    f"there is already a run `{new.run_id}`",
                    run_id=new.run_id,
                    code="ORC802",
                    help="start it again: it is given another id",
                ) from error
            self._keep_blobs(connection, key, large)
            connection.execute(
                events.insert(),
                {"run": key, "seq": 1, "at": created_at, "type": "run.created", "path": "", "attempt": 0, "data": data},
            )
        self._keys[new.run_id] = key
        self.announce()
        return Lease(new.run_id, owner, 1, ttl, key), state

    def acquire(self, run_id: str, owner: Owner, *, ttl: float = LEASE_SECONDS) -> Lease:
        """Take a run that nobody owns: it was released, its lease ran out, or its owner's process has ended.

        Of several processes that try at once, exactly one succeeds.

        Raises:
            RunNotFound: there is no such run.
            RunOwned: a live owner has it; also when that is this process.
        """
        with self.database.write() as connection:
            query = sa.select(*_HEAD, self.database.clock().label("now")).where(
                runs.c.run_id == blob_codec.storable(run_id)
            )
            row = connection.execute(query.with_for_update()).first()
            if row is None:
                raise self._not_found(connection, run_id)
            holder = _holder(row)
            if holder is not None:
                raise RunOwned(
                    f"run `{run_id}` is being executed by {holder}",
                    run_id=run_id,
                    owner=str(holder),
                    help=f"watch it with: orchestrator status {run_id} --watch, or stop it with: "
                    f"orchestrator cancel {run_id}",
                )
            fence = row.fence + 1
            connection.execute(
                runs.update()
                .where(runs.c.key == row.key)
                .values(fence=fence, owner=blob_codec.encode(owner.to_dict()), lease_until=row.now + ttl)
            )
        return Lease(run_id, owner, fence, ttl, row.key)

    def renew(self, lease: Lease) -> None:
        """Hold the lease for another `ttl` seconds from now.

        Raises:
            LeaseLost: another process has taken the run.
        """
        with self.database.write() as connection:
            held = connection.execute(
                runs.update()
                .where(runs.c.key == lease.key, runs.c.fence == lease.fence)
                .values(lease_until=self.database.clock() + lease.ttl)
            )
            if held.rowcount == 0:
                raise self.lease_lost(lease)

    def release(self, lease: Lease) -> None:
        """Give the run up, so that anybody may take it at once. Nothing happens if it is lost already."""
        with self.database.write() as connection:
            connection.execute(_RELEASE, {"held_key": lease.key, "held_fence": lease.fence})

    def lease_lost(self, lease: Lease) -> LeaseLost:
        """Say that a lease is no longer valid."""
        return LeaseLost(
            f"another process has taken over run `{lease.run_id}`",
            url=self.url,
            help=f"see who executes it with: orchestrator status {lease.run_id}",
        )

    # --- reading

    def find(self, name: str) -> str:
        """Return the run's id for an id, a unique beginning of one, or `last` (the newest run).

        Raises:
            RunNotFound: there is none, or more than one; the help names the candidates.
        """
        name = blob_codec.storable(name)
        with self.database.read() as connection:
            newest = sa.select(runs.c.run_id).order_by(runs.c.key.desc())
            if name == "last":
                run_id = connection.execute(newest.limit(1)).scalar()
                if run_id is None:
                    raise self._not_found(connection, name)
                return str(run_id)
            if connection.execute(sa.select(runs.c.key).where(runs.c.run_id == name)).first():
                return name
            begins = sa.and_(runs.c.run_id >= name, runs.c.run_id < name + "\U0010ffff")
            found = connection.execute(newest.where(begins).limit(6)).scalars().all() if name else []
            if len(found) == 1:
                return str(found[0])
            if found:
                more = " and more" if len(found) > 5 else ""
                raise RunNotFound(
                    f"more than one run begins with `{name}`",
                    run_id=name,
                    help=f"write more of the id: {', '.join(found[:5])}{more}",
                )
            raise self._not_found(connection, name)

    def status(self, run_id: str) -> RunStatus:
        """Return where a run stands, whoever executes it. Reads the last snapshot and the few events after it.

        Raises:
            RunNotFound: there is no such run.
        """
        with self.database.read() as connection:
            return self._statuses(connection, [self._head(connection, run_id)])[0]

    def list(self, state: RunState | None = None, limit: int = 50) -> builtins.list[RunStatus]:
        """Return the newest runs, newest first; with `state`, only those that stand so."""
        found: list[RunStatus] = []
        before: int | None = None
        query = sa.select(*_HEAD, self.database.clock().label("now")).order_by(runs.c.key.desc()).limit(limit)
        if state is not None:
            # Whether a run is interrupted is known only after asking for its owner.
            query = query.where(runs.c.state == ("running" if state == "interrupted" else state))
        with self.database.read() as connection:
            while len(found) < limit:
                page = query if before is None else query.where(runs.c.key < before)
                heads = connection.execute(page).all()
                if not heads:
                    break
                before = heads[-1].key
                found += [s for s in self._statuses(connection, heads) if state is None or s.state == state]
        return found[:limit]

    def events(
        self,
        run_id: str,
        after: int = 0,
        limit: int = 1000,
        *,
        resolve: bool = False,
        paths: Collection[str] | None = None,
    ) -> builtins.list[Event]:
        """Return up to `limit` events that follow the one numbered `after`, in order and without gaps.

        With `resolve`, large values are read from their blobs; without, they stand as references. With `paths`, only
        the events of these steps are returned; those of the run itself have the path "".
        """
        query = (
            sa.select(events.c.seq, events.c.at, events.c.type, events.c.path, events.c.attempt, events.c.data)
            .where(events.c.run == self._key(run_id), events.c.seq > after)
            .order_by(events.c.seq)
            .limit(limit)
        )
        if paths is not None:
            query = query.where(events.c.path.in_(paths))
        with self.database.read() as connection:
            found = [
                Event(run_id, row[0], row[1], row[2], row[3], row[4], json.loads(row[5]))
                for row in connection.execute(query)
            ]
        if resolve:
            return [Event(e.run_id, e.seq, e.at, e.type, e.path, e.attempt, self.resolve(e.data)) for e in found]
        return found

    def values_at(self, run_id: str, seqs: Sequence[int]) -> builtins.list[Any]:
        """Return what the steps have achieved whose ends are the events with these numbers, in the order asked.

        That is the output of a step that succeeded, and of one that failed the value that the run went on with.
        """
        found: dict[int, Any] = {}
        for seq, data in self._data_at(run_id, seqs):
            found[seq] = data.get("output", data.get("value"))
        return [found[seq] for seq in seqs]

    def recorded(self, run_id: str) -> Recorded:
        """Return what a run that goes on must know of what was recorded. Of ended items no output is read."""
        lean = (
            sa.select(events.c.seq, events.c.at, events.c.type, events.c.path, events.c.attempt, _LEAN_DATA)
            .where(events.c.run == self._key(run_id), events.c.type.not_in(_BESIDE))
            .order_by(events.c.seq)
        )
        with self.database.read() as connection:
            rows = connection.execute(lean.execution_options(yield_per=1000))
            found = recorded(Event(run_id, *row[:5], json.loads(row[5])) for row in rows)
        by_seq = {record.seq: record for record in found.steps.values() if record.seq}
        for seq, data in self._data_at(run_id, list(by_seq)):
            record = by_seq[seq]
            apply(record, Event(run_id, seq, record.ended_at or 0.0, _STEP_ENDS[record.state], record.path, 0, data))
        for record in found.steps.values():
            record.question, record.answer = self.resolve(record.question), self.resolve(record.answer)
        return found

    def _data_at(self, run_id: str, seqs: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the data of the events with these numbers, with blobs in place."""
        query = sa.select(events.c.seq, events.c.data).where(events.c.run == self._key(run_id))
        for start in range(0, len(seqs), _AT_ONCE):
            with self.database.read() as connection:
                rows = connection.execute(query.where(events.c.seq.in_(seqs[start : start + _AT_ONCE]))).all()
            for row in rows:
                yield row.seq, self.resolve(json.loads(row.data))

    def wait(self, run_id: str, after: int, timeout: float) -> bool:
        """Wait until the run has an event newer than `after`, `timeout` seconds at most; return whether it has."""
        key = self._key(run_id)
        deadline = time.monotonic() + timeout
        query = sa.select(sa.literal(1)).where(events.c.run == key, events.c.seq > after).limit(1)
        with self._news:
            self._waiting += 1
        try:
            while True:
                written = self._written
                with self.database.read() as connection:
                    if connection.execute(query).first() is not None:
                        return True
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                with self._news:
                    if self._written == written:
                        self._news.wait(min(POLL_SECONDS, remaining))
        finally:
            with self._news:
                self._waiting -= 1

    def follow(self, run_id: str, after: int = 0, *, resolve: bool = False) -> Iterator[Event]:
        """Yield the events after `after` as they come, until the run has ended.

        A run that is paused or interrupted is waited for. Leave whenever you like and rejoin with the last `seq`.
        """
        while True:
            found = self.events(run_id, after, resolve=resolve)
            yield from found
            if found:
                after = found[-1].seq
                if len(found) == 1000 or found[-1].type not in ENDS:
                    continue
            elif not self.status(run_id).ended:
                self.wait(run_id, after, 1.0)
                continue
            if not self.wait(run_id, after, 0):
                return

    def record(self, run_id: str) -> RunRecord:
        """Return everything that the run was created with.

        Raises:
            RunNotFound: there is no such run.
        """
        first = self.events(run_id, limit=1, resolve=True)[0]
        return RunRecord.of(run_id, first.at, first.data)

    def resolve(self, value: Any) -> Any:
        """Return `value` with blobs in place of references: of itself, or of its values if it is an event's data.

        Resolve a value once: what comes out may be anything, also something that looks like a reference.
        """
        digest = blob_codec.reference(value)
        if digest is not None:
            return self._blob(digest)
        if isinstance(value, Mapping):
            hashes = {key: blob_codec.reference(item) for key, item in value.items()}
            if any(hashes.values()):
                return {key: self._blob(h) if (h := hashes[key]) else item for key, item in value.items()}
        return value

    # --- commands

    def send(self, run_id: str, command: Command) -> int:
        """Leave a command for whoever executes the run; return its number."""
        key = self._key(run_id)
        values = {
            "run": key,
            "kind": command.kind,
            "data": blob_codec.encode(command.data),
            "by": blob_codec.storable(command.by),
            "at": time.time(),
        }
        with self.database.write() as connection:
            return int(connection.execute(commands.insert().returning(commands.c.id), values).scalar_one())

    def commands(self, run_ids: Iterable[str]) -> builtins.list[tuple[int, str, Command]]:
        """Return the commands for these runs that nobody has acknowledged, oldest first, with number and run."""
        wanted = set(run_ids)
        query = (
            sa.select(commands.c.id, runs.c.run_id, commands.c.kind, commands.c.data, commands.c.by)
            .join(runs, runs.c.key == commands.c.run)
            .order_by(commands.c.id)
        )
        with self.database.read() as connection:
            # There are hardly ever any: a join of an empty table costs less than to send it a list of runs.
            rows = connection.execute(query).all()
        return [
            (row.id, row.run_id, Command(row.kind, json.loads(row.data), row.by))
            for row in rows
            if row.run_id in wanted
        ]

    def acknowledge(self, ids: Iterable[int]) -> None:
        """Remove commands that were carried out, or that can no longer be."""
        numbers = list(ids)
        if numbers:
            with self.database.write() as connection:
                connection.execute(commands.delete().where(commands.c.id.in_(numbers)))

    # --- for the journal

    def load(self, lease: Lease) -> RunFold:
        """Return the fold's state of a run that this process owns.

        Raises:
            LeaseLost: another process has taken the run.
        """
        with self.database.read() as connection:
            head = self._head(connection, lease.run_id)
            if head.fence != lease.fence:
                raise self.lease_lost(lease)
            return self._folds(connection, [head])[0]

    def announce(self) -> None:
        """Wake the readers of this process that wait for news."""
        self._written += 1
        if self._waiting:
            with self._news:
                self._news.notify_all()

    # --- details

    def _key(self, run_id: str) -> int:
        key = self._keys.get(run_id)
        if key is None:
            with self.database.read() as connection:
                key = self._head(connection, run_id).key
            if len(self._keys) > 10_000:
                self._keys.clear()
            self._keys[run_id] = key
        return key

    def _head(self, connection: Connection, run_id: str) -> Row[Any]:
        query = sa.select(*_HEAD, self.database.clock().label("now")).where(
            runs.c.run_id == blob_codec.storable(run_id)
        )
        row = connection.execute(query).first()
        if row is None:
            raise self._not_found(connection, run_id)
        return row

    def _not_found(self, connection: Connection, name: str) -> RunNotFound:
        recent = connection.execute(sa.select(runs.c.run_id).order_by(runs.c.key.desc()).limit(200)).scalars().all()
        if not recent:
            return no_runs(self.url, name)
        near = difflib.get_close_matches(name, recent, n=3, cutoff=0.5)
        return RunNotFound(
            f"there is no run `{name}` in {self.url}",
            run_id=name,
            help=f"did you mean {' or '.join(near)}?" if near else "list them with: orchestrator runs",
        )

    def _statuses(self, connection: Connection, heads: Sequence[Row[Any]]) -> builtins.list[RunStatus]:
        found = []
        holders: dict[str | None, Owner | None] = {}  # one process may own many of them
        for head, state in zip(heads, self._folds(connection, heads), strict=True):
            if head.lease_until is None or head.lease_until <= head.now:
                holder = None
            elif head.owner in holders:
                holder = holders[head.owner]
            else:
                holder = holders[head.owner] = _holder(head)
            interrupted = state.state == "running" and holder is None
            found.append(
                status_of(state, time.time(), interrupted=interrupted, owner=None if holder is None else str(holder))
            )
        return found

    def _folds(self, connection: Connection, heads: Sequence[Row[Any]]) -> builtins.list[RunFold]:
        states = {head.key: RunFold.from_dict(json.loads(head.snapshot)) for head in heads}
        # By the numbers of the snapshots just read: a newer one may be written in between.
        tails = [sa.and_(events.c.run == head.key, events.c.seq > head.snapshot_seq) for head in heads]
        query = sa.select(
            events.c.run, events.c.seq, events.c.at, events.c.type, events.c.path, events.c.attempt, _LEAN_DATA
        )
        for row in connection.execute(query.where(sa.or_(*tails)).order_by(events.c.run, events.c.seq)):
            state = states[row[0]]
            fold(state, Event(state.run_id, row[1], row[2], row[3], row[4], row[5], json.loads(row[6])))
        return [states[head.key] for head in heads]

    def _blob(self, digest: str) -> Any:
        query = sa.select(blobs.c.encoding, blobs.c.content).where(blobs.c.hash == digest)
        with self.database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise StoreUnavailable(
                f"the store {self.url} lacks the value {digest[:12]} that an event refers to",
                url=self.url,
                help="put a backup in its place",
            )
        return blob_codec.decode(row.encoding, row.content)

    def _keep_blobs(self, connection: Connection, key: int, large: Sequence[Blob]) -> None:
        if not large:
            return
        unique = {blob.hash: blob for blob in large}
        present = set(connection.execute(sa.select(blobs.c.hash).where(blobs.c.hash.in_(unique))).scalars())
        missing = [
            {"hash": b.hash, "encoding": b.encoding, "size": b.size, "content": b.content}
            for b in unique.values()
            if b.hash not in present
        ]
        if missing:
            connection.execute(_ignore_known(self.database, blobs), missing)
        connection.execute(_ignore_known(self.database, blob_uses), [{"run": key, "hash": h} for h in unique])


def _ignore_known(database: Database, table: sa.Table) -> sa.Insert:
    """Return an insert that passes over rows that are there already."""
    if database.is_sqlite:
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()


def _holder(row: Row[Any]) -> Owner | None:
    """Return who holds the run now, None if it is free."""
    if row.owner is None or row.lease_until is None or row.lease_until <= row.now:
        return None
    owner = Owner.from_dict(json.loads(row.owner))
    return None if owner.is_dead() else owner
