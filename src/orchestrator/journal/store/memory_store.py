"""The memory of a project in the store: values by namespace and key, which expire by the clock of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.journal.dialects.registry import upsert
from orchestrator.journal.retry import patient
from orchestrator.journal.store.blob_codec import encode, storable
from orchestrator.journal.store.stored_data import stored_value
from orchestrator.journal.store.tables import memories, memory_writes
from orchestrator.text.words import describe_value
from orchestrator.tools.memory.entries import MemoryEntry
from orchestrator.tools.memory.words import searched_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from orchestrator.journal.store.database import Database
    from orchestrator.tools.memory.entries import MemoryChange

MOST_ENTRIES: Final = 200_000
"""The most entries of one project, in all of its namespaces."""

WRITES_KEPT: Final = 30 * 86_400.0
"""Seconds for which it is remembered that a step has written: a run that is resumed later writes again."""

_WITHOUT_VALUE: Final = (memories.c.name, memories.c.size, memories.c.updated_at, memories.c.expires_at)


class StoredMemory:
    """The `MemoryStore` of a store of runs. `clock` replaces the clock of the database."""

    def __init__(self, database: Database, project: str = "", *, clock: Callable[[], float] | None = None) -> None:
        self._database = database
        self._project = storable(project)
        self._clock = clock

    @patient(locks=True)
    def change(self, change: MemoryChange) -> dict[str, Any]:
        """Carry out a write; return whether the key was `created`, when it expires, and the `count` of a list.

        Raises:
            StepError: The namespace or the value would be too large, or the value is not a list.
        """
        with self._database.write() as connection:
            self._database.dialect.lock_name(connection, f"memory {self._project} {change.namespace}")
            earlier = self._earlier(connection, change.once)
            if earlier is not None:
                return earlier
            now = self._now(connection)
            remove_expired(connection, now, self._in(change.namespace))
            place = sa.and_(self._in(change.namespace), memories.c.name == change.key)
            found = connection.execute(sa.select(memories.c.value).where(place)).first()
            if found is None:
                self._check_room(connection, change)
            value = self._appended(None if found is None else found.value, change) if change.appends else change.value
            text = encode(value)
            size = len(text.encode())
            if size > change.largest:
                raise _refused(
                    f"the value of `{change.key}` has {size:,} bytes as JSON, and the limit is {change.largest:,}",
                    "keep less, or a file and its path; `max_value` of `[memory]` in orchestrator.toml is the limit",
                )
            expires = None if change.ttl is None else now + change.ttl
            words = storable(searched_text(change.key, value))
            values = {"value": text, "words": words, "size": size, "updated_at": now, "expires_at": expires}
            self._put(connection, change, values)
            count = len(value) if isinstance(value, list) else None
            done = {"created": found is None, "expires_at": expires, "count": count}
            self._remember(connection, change.once, now, done)
            return done

    @patient(locks=True)
    def get(self, namespace: str, key: str) -> MemoryEntry | None:
        """Return an entry with its value; None if there is none."""
        query = sa.select(memories).where(self._in(namespace), memories.c.name == key, self._is_kept())
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else self._entry(row)

    @patient(locks=True)
    def entries(self, namespace: str, *, prefix: str, after: str, limit: int) -> list[MemoryEntry]:
        """Return the entries with keys that begin with `prefix` and follow `after`, by key, without their values."""
        query = sa.select(*_WITHOUT_VALUE).where(self._in(namespace), _begins_with(prefix), self._is_kept())
        if after:
            query = query.where(memories.c.name > after)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(memories.c.name).limit(limit)).all()
        return [MemoryEntry(row.name, None, row.size, row.updated_at, row.expires_at) for row in rows]

    @patient(locks=True)
    def search(self, namespace: str, words: Sequence[str], limit: int) -> list[MemoryEntry]:
        """Return the entries with any of the words, those with most of them first, then the newest."""
        has = [memories.c.words.contains(storable(word), autoescape=True) for word in words]
        score = sum((sa.case((each, 1), else_=0) for each in has[1:]), start=sa.case((has[0], 1), else_=0))
        query = (
            sa.select(memories)
            .where(self._in(namespace), sa.or_(*has), self._is_kept())
            .order_by(score.desc(), memories.c.updated_at.desc(), memories.c.name)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [self._entry(row) for row in connection.execute(query)]

    @patient(locks=True)
    def delete(self, namespace: str, *, key: str | None, prefix: str, once: str) -> int:
        """Remove the entry of a key, or all with keys that begin with `prefix`; return how many there were."""
        which = memories.c.name == key if key is not None else _begins_with(prefix)
        with self._database.write() as connection:
            self._database.dialect.lock_name(connection, f"memory {self._project} {namespace}")
            earlier = self._earlier(connection, once)
            if earlier is not None:
                return int(earlier["count"])
            now = self._now(connection)
            remove_expired(connection, now, self._in(namespace))
            count = connection.execute(memories.delete().where(self._in(namespace), which)).rowcount
            self._remember(connection, once, now, {"count": count})
            return count

    # --- parts of a write

    def _appended(self, text: str | None, change: MemoryChange) -> list[Any]:
        kept = [] if text is None else stored_value(self._database.url, text, f"the value `{change.key}` of the memory")
        if not isinstance(kept, list):
            raise _refused(
                f"`{change.key}` is {describe_value(kept)}, and only a list can be appended to",
                "write it with `set`, or use another key",
            )
        return [*kept, *change.value][-change.keep if change.keep is not None else 0 :]

    def _check_room(self, connection: Connection, change: MemoryChange) -> None:
        in_namespace = sa.select(sa.func.count()).select_from(memories).where(self._in(change.namespace))
        if connection.execute(in_namespace).scalar_one() >= change.most:
            raise _refused(
                f"the namespace `{change.namespace}` has {change.most:,} keys, which is its limit",
                "delete some, let them expire with `ttl`, or raise `max_keys` of `[memory]` in orchestrator.toml",
            )
        of_project = sa.select(sa.func.count()).select_from(memories).where(memories.c.project == self._project)
        if connection.execute(of_project).scalar_one() >= MOST_ENTRIES:
            raise _refused(
                f"the memory has {MOST_ENTRIES:,} keys, which is its limit",
                "delete namespaces that are not used with `memory.clear`, or let values expire with `ttl`",
            )

    def _put(self, connection: Connection, change: MemoryChange, values: Mapping[str, Any]) -> None:
        place = {"project": self._project, "namespace": change.namespace, "name": change.key}
        statement = upsert(connection, memories).values({**place, **values})
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(place), set_={name: statement.excluded[name] for name in values}
            )
        )

    def _earlier(self, connection: Connection, once: str) -> dict[str, Any] | None:
        """Return the result of an earlier write with this key, if there was one."""
        text = connection.execute(sa.select(memory_writes.c.result).where(memory_writes.c.key == once)).scalar()
        return None if text is None else stored_value(self._database.url, text, "a write to the memory")

    def _remember(self, connection: Connection, once: str, now: float, result: Mapping[str, Any]) -> None:
        connection.execute(memory_writes.delete().where(memory_writes.c.at < now - WRITES_KEPT))
        connection.execute(memory_writes.insert().values(key=once, at=now, result=encode(result)))

    # --- what all statements share

    def _in(self, namespace: str) -> sa.ColumnElement[bool]:
        return sa.and_(memories.c.project == self._project, memories.c.namespace == namespace)

    def _is_kept(self) -> sa.ColumnElement[bool]:
        now = self._database.clock() if self._clock is None else sa.literal(self._clock())
        return sa.or_(memories.c.expires_at.is_(None), memories.c.expires_at > now)

    def _now(self, connection: Connection) -> float:
        if self._clock is not None:
            return self._clock()
        return float(connection.execute(sa.select(self._database.clock())).scalar_one())

    def _entry(self, row: Any) -> MemoryEntry:
        value = stored_value(self._database.url, row.value, f"the value `{row.name}` of the memory")
        return MemoryEntry(row.name, value, row.size, row.updated_at, row.expires_at)


def remove_expired(connection: Connection, now: float, which: sa.ColumnElement[bool]) -> int:
    """Remove entries that have expired; return how many."""
    expired = memories.delete().where(which, memories.c.expires_at.is_not(None), memories.c.expires_at <= now)
    return connection.execute(expired).rowcount


def _begins_with(prefix: str) -> sa.ColumnElement[bool]:
    return sa.func.substr(memories.c.name, 1, len(prefix)) == prefix


def _refused(message: str, help: str) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
