"""The tables of the store. A change needs a new revision in `migrations/versions` and its name in `REVISIONS`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    literal_column,
)

from orchestrator.journal.dialects.registry import id_type, key_type
from orchestrator.journal.store.event_columns import EventTypeColumn

REVISIONS = ("0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""Every revision of the schema, oldest first; this code reads and writes the last one."""

REMOVED = "removed"
"""The state of a run that is being pruned in several transactions: no reader finds it."""

VERSION_TABLE = "orchestrator_version"
"""The table with the revision, which identifies a store of runs."""

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_Key = key_type()
_Id = id_type()

metadata = MetaData(naming_convention=_NAMES)

runs = Table(
    "runs",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("run_id", _Id, nullable=False, unique=True),
    Column("pipeline", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("snapshot", Text, nullable=False),  # the fold after the event `snapshot_seq`
    Column("snapshot_seq", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double),
    Column("batch", Text),
    Column("batch_row", BigInteger),
    Column("usd", Double),  # of its model calls; null: it has made none
    Column("tokens", BigInteger),
    Column("requests", BigInteger),
    Column("due_at", Double),  # from when on a worker may take it; null: it was not submitted
    Column("priority", Integer),  # of a submitted run
    Column("runs_on", Text),  # the labels that a worker must have, as JSON; of a submitted run
    sqlite_autoincrement=True,
)
Index(None, runs.c.state, runs.c.key)

PARTIAL_INDEXES = {
    Index("ix_runs_queue", runs.c.priority.desc(), runs.c.key): and_(
        runs.c.due_at.is_not(None), runs.c.state == literal_column("'running'")
    )
}
"""Indexes with the conditions of their rows. What a database calls a condition is said when its tables are made."""
Index(None, runs.c.batch, runs.c.batch_row, runs.c.key)

labels = Table(
    "labels",
    metadata,
    Column("label", Text, nullable=False),
    Column("run", _Key, ForeignKey("runs.key", ondelete="CASCADE"), nullable=False),
    PrimaryKeyConstraint("label", "run"),
)
Index(None, labels.c.run)

concurrency = Table(
    "concurrency",
    metadata,
    Column("run", _Key, ForeignKey("runs.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),  # of the lease under which the run asks: a later owner asks again
    Column("admitted", Boolean, nullable=False),  # it may be executed
    Column("cancelled", Boolean, nullable=False),  # a newer run has sent it a command to end
)
Index(None, concurrency.c.key)

takeovers = Table(  # of submitted runs whose workers ended without releasing them
    "takeovers",
    metadata,
    Column("run", _Key, ForeignKey("runs.key", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),  # since the run last achieved something
    Column("achieved", BigInteger, nullable=False),  # the id of the event with which it did
)

refusals = Table(  # of submitted runs that workers of one kind cannot execute
    "refusals",
    metadata,
    Column("run", _Key, ForeignKey("runs.key", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),  # of workers that have the same version, tools and permissions
    Column("worker", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("run", "kind"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),  # as in `refusals`
    Column("version", Text, nullable=False),
    Column("labels", Text, nullable=False),  # JSON
    Column("concurrency", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("executing", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),  # runs that it holds, which wait for a person, a time or their turn
    Column("draining", Boolean, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=False),  # the run and the number: see `event_columns`
    Column("at", Double, nullable=False),
    Column("type", EventTypeColumn, nullable=False),
    Column("path", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("data", Text, nullable=False),
)

blobs = Table(
    "blobs",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of the JSON
    Column("encoding", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

blob_uses = Table(
    "blob_uses",
    metadata,
    Column("run", _Key, ForeignKey("runs.key", ondelete="CASCADE"), nullable=False),
    Column("blob", _Key, ForeignKey("blobs.key"), nullable=False),
    PrimaryKeyConstraint("run", "blob"),
    sqlite_with_rowid=False,
)
Index(None, blob_uses.c.blob)

commands = Table(
    "commands",
    metadata,
    Column("id", _Key, primary_key=True),
    Column("run", _Key, ForeignKey("runs.key", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_autoincrement=True,  # an id must not be reused after its command was acknowledged
)
Index(None, commands.c.run)

cache = Table(
    "cache",
    metadata,
    Column("key", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("blob", _Key, ForeignKey("blobs.key")),  # of a large result; else it is in `output`
    Column("output", Text),
)
Index(None, cache.c.at)
Index(None, cache.c.blob)

batches = Table(
    "batches",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("rows", BigInteger, nullable=False),  # read from the input so far
    Column("complete", Boolean, nullable=False),  # the end of the input was reached
    Column("invalid", BigInteger, nullable=False),  # rows with invalid inputs, which have no run
    Column("problems", Text, nullable=False, server_default="[]"),  # of the first of them: what is wrong
)

durations = Table(
    "durations",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("at", Double, nullable=False),
    Column("seconds", Text, nullable=False),  # of its steps, in its last runs in which steps waited for slots
)

limits = Table(
    "limits",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("spending", Text, nullable=False),  # the requests of the last minute, and who waits
)

spending = Table(
    "spending",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),  # by UTC, counted from the epoch
    Column("usd", Double, nullable=False),  # what all runs spent on that day, also those that were pruned since
    Column("tokens", BigInteger, nullable=False),
    Column("requests", BigInteger, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", Text, primary_key=True),  # the part of a token that may be shown
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),  # of the secret part: reading the store lets no one log in
    Column("scopes", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("parent", Text),  # the credential that this one was made with, and is revoked with
)
Index(None, credentials.c.kind, credentials.c.name)
Index(None, credentials.c.parent)

start_keys = Table(
    "start_keys",
    metadata,
    Column("key", Text, primary_key=True),  # what a client chose, so that a request that it repeats starts one run
    Column("fingerprint", Text, nullable=False),  # of the request
    Column("run_id", Text, nullable=False),
    Column("at", Double, nullable=False),
)
Index(None, start_keys.c.at)

triggers = Table(
    "triggers",
    metadata,
    Column("trigger", Text, primary_key=True),  # the pipeline and the name: `reports/daily/nightly`
    Column("definition", Text, nullable=False),  # of its schedule: a changed one does not count from before the change
    Column("handled_until", Double, nullable=False),  # the instants of the schedule up to this one have been handled
    Column("paused_at", Double),
    Column("paused_by", Text),
    Column("fence", BigInteger, nullable=False),
    Column("owner", Text),  # the server that is firing it now
    Column("lease_until", Double),
)

firings = Table(
    "firings",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("trigger", Text, nullable=False),
    Column("cause", Text, nullable=False),  # what it fires for, once: an instant, a delivery, or a command
    Column("instant", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # of the delivery's body
    Column("run_id", Text, nullable=False),  # which its run has, or will get
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("inputs", Text),  # JSON; null: evaluated when its run starts
    sqlite_autoincrement=True,
)
Index(None, firings.c.trigger, firings.c.cause, unique=True)
Index(None, firings.c.state, firings.c.key)
Index(None, firings.c.created_at)

memories = Table(
    "memories",
    metadata,
    Column("project", Text, nullable=False),
    Column("namespace", _Id, nullable=False),
    Column("name", _Id, nullable=False),
    Column("value", Text, nullable=False),  # JSON
    Column("words", Text, nullable=False),  # of the name and the value, in small letters: what a search looks in
    Column("size", BigInteger, nullable=False),
    Column("updated_at", Double, nullable=False),  # as all times here, by the clock of the database
    Column("expires_at", Double),
    PrimaryKeyConstraint("project", "namespace", "name"),
)
Index(None, memories.c.expires_at)

memory_writes = Table(
    "memory_writes",
    metadata,
    Column("key", Text, primary_key=True),  # of the step that wrote, and what: a repeated attempt finds it
    Column("at", Double, nullable=False),
    Column("result", Text, nullable=False),
)
Index(None, memory_writes.c.at)
