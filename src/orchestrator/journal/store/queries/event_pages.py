"""Reading the events of a run, what it was created from, and the outputs of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.journal.records import RunRecord
from orchestrator.journal.run_payloads import RunCreatedPayload, RunNoticePayload
from orchestrator.journal.state.accumulators import RoundState, folded
from orchestrator.journal.store.blob_store import resolve_all_blobs
from orchestrator.journal.store.chunks import AT_ONCE, chunks
from orchestrator.journal.store.event_columns import event_id, seq_of
from orchestrator.journal.store.queries.event_ranges import of_run
from orchestrator.journal.store.queries.statuses import folds, run_head
from orchestrator.journal.store.stored_data import check_data, damaged, event_name, stored_event, stored_object
from orchestrator.journal.store.tables import events

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from orchestrator.journal.events import Event, EventType
    from orchestrator.journal.state.resume_state import ResumeState
    from orchestrator.journal.store.database import Database

_COLUMNS = (events.c.id, events.c.at, events.c.type, events.c.path, events.c.attempt)

_VALUES = ("output", "values", "accumulators", "question", "answer", "error", "cache", "cached")
_REVISED = ("source", "source_name", "directory", "plan", "digest", "sources", "steps", "inputs")


def page(
    database: Database,
    run_id: str,
    key: int,
    after: int,
    limit: int,
    *,
    paths: Collection[str] | None = None,
    types: Collection[EventType] = (),
    whole: bool,
) -> list[Event]:
    """Return up to `limit` events after the one numbered `after`; `whole` replaces references by large values."""
    query = sa.select(*_COLUMNS, events.c.data).where(of_run(key, after=after)).order_by(events.c.id).limit(limit)
    if types:
        query = query.where(events.c.type.in_(types))
    if paths is None:
        return _read(database, run_id, query, whole=whole)
    found: list[Event] = []
    for some in chunks(sorted(set(paths))):
        found += _read(database, run_id, query.where(events.c.path.in_(some)), whole=whole)
    return sorted(found, key=lambda event: event.seq)[:limit]


def outline_page(
    database: Database, run_id: str, key: int, after: int, limit: int, *, within: Collection[str]
) -> list[Event]:
    """Return up to `limit` events that are not in later items of loops, or are model calls, or in the items `within`.

    The database leaves the others out, so that of a loop of a million items only a few events are read.
    """
    lengths = {len(item) for item in within}
    wanted = [
        ~database.dialect.in_later_items(events.c.path),
        events.c.type == "step.model",
        *(
            sa.func.substr(events.c.path, 1, length).in_([item for item in within if len(item) == length])
            for length in sorted(lengths)
        ),
    ]
    query = (
        sa.select(*_COLUMNS, events.c.data)
        .where(of_run(key, after=after), sa.or_(*wanted))
        .order_by(events.c.id)
        .limit(limit)
    )
    return _read(database, run_id, query, whole=False)


def _read(database: Database, run_id: str, query: sa.Select[Any], *, whole: bool) -> list[Event]:
    with database.read() as connection:
        rows = connection.execute(query).all()
    many: Sequence[Mapping[str, Any]] = [
        stored_object(database.url, row[5], event_name(run_id, seq_of(row[0]))) for row in rows
    ]
    if whole:
        many = resolve_all_blobs(database, many)
    return [stored_event(database.url, run_id, row, data) for row, data in zip(rows, many, strict=True)]


def failed_later_items(database: Database, key: int) -> Iterator[str]:
    """Yield the paths of failed and cancelled steps and items in later items of loops, in the order of their events."""
    query = (
        sa.select(events.c.path)
        .where(
            of_run(key),
            events.c.type.in_(("step.failed", "step.cancelled")),
            database.dialect.in_later_items(events.c.path),
        )
        .order_by(events.c.id)
    )
    with database.read() as connection:
        yield from connection.execution_options(yield_per=AT_ONCE).execute(query).scalars()


def count_items(database: Database, key: int, loop: str) -> dict[str, int]:
    """Count the items of a loop that have ended, by the types of their events."""
    query = (
        sa.select(events.c.type, sa.func.count(events.c.path.distinct()))
        .where(*_ends_of_items(key, loop))
        .group_by(events.c.type)
    )
    with database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def item_ends(database: Database, key: int, loop: str) -> list[tuple[float, str]]:
    """Return when the items of a loop ended, and the types of their events, in the order of the events."""
    query = sa.select(events.c.at, events.c.type).where(*_ends_of_items(key, loop)).order_by(events.c.id)
    with database.read() as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def _ends_of_items(key: int, loop: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that an event is the end of an item of a loop, and not of a step in one."""
    path = events.c.path
    below = f"{_escaped(loop)}[%]"
    return (
        of_run(key),
        events.c.type.in_(("step.succeeded", "step.failed", "step.skipped", "step.cancelled")),
        path.like(below, escape="\\"),
        path.not_like(f"{below}.%", escape="\\"),
        path.not_like(f"{below}[%", escape="\\"),
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def run_record(database: Database, run_id: str) -> RunRecord:
    """Return what the run was created from, or was last revised to."""
    with database.read() as connection:
        row = run_head(database, connection, run_id)
        state = folds(database, connection, [row])[0]
    parts = dict(_data_at(database, run_id, row.key, [1, *filter(None, [state.revised])]))
    if 1 not in parts:
        raise damaged(database.url, f"run `{run_id}` has no first event")
    changes = {key: value for key, value in parts.get(state.revised, {}).items() if key in _REVISED}
    return RunRecord.of(run_id, state.created_at, RunCreatedPayload.from_data({**parts[1], **changes}))


def values_at(database: Database, run_id: str, key: int, seqs: Sequence[int]) -> list[Any]:
    """Return the outputs of the steps that ended with the events of these numbers, in the given order."""
    found: dict[int, Any] = {}
    for seq, data in _data_at(database, run_id, key, seqs):
        found[seq] = data.get("output", data.get("value"))
    if missing := [seq for seq in seqs if seq not in found]:
        raise damaged(database.url, f"{event_name(run_id, missing[0])} is missing")
    return [found[seq] for seq in seqs]


def put_values(database: Database, found: ResumeState) -> ResumeState:
    """Replace references by large values in the records; return them."""
    steps = list(found.steps.values())
    many = [{name: getattr(step, name) for name in _VALUES} for step in steps]
    for step, values in zip(steps, resolve_all_blobs(database, many), strict=True):
        for name in _VALUES:
            setattr(step, name, values[name])
    undoable = list(found.undoable.values())
    for one, undo in zip(undoable, resolve_all_blobs(database, [one.undo for one in undoable]), strict=True):
        one.undo = undo
    places = [(path, digest) for path, answers in found.kept.items() for digest in answers]
    kept = resolve_all_blobs(database, [found.kept[path][digest] for path, digest in places])
    for (path, digest), answer in zip(places, kept, strict=True):
        found.kept[path][digest] = answer
    pending = found.notices.pending
    notices = resolve_all_blobs(database, [notice.to_data() for notice, _ in pending.values()])
    for id, data in zip(list(pending), notices, strict=True):
        pending[id] = (RunNoticePayload.from_data(data), pending[id][1])
    for loop, rounds in found.rounds.items():
        recorded = resolve_all_blobs(database, [{"state": each.state, "appended": each.appended} for each in rounds])
        found.rounds[loop] = [RoundState(**each) for each in recorded]
        try:
            folded(found.rounds[loop])
        except (TypeError, KeyError, AttributeError) as error:
            raise damaged(database.url, f"the accumulators of `{loop}` do not fit together") from error
    return found


def _data_at(database: Database, run_id: str, key: int, seqs: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the data of the events with these numbers, with large values in place."""
    query = sa.select(events.c.id, events.c.type, events.c.data)
    for some in chunks(seqs):
        with database.read() as connection:
            rows = connection.execute(query.where(events.c.id.in_([event_id(key, seq) for seq in some]))).all()
        stored = [stored_object(database.url, row.data, event_name(run_id, seq_of(row.id))) for row in rows]
        for row, data in zip(rows, resolve_all_blobs(database, stored), strict=True):
            check_data(database.url, run_id, seq_of(row.id), row.type, data)
            yield seq_of(row.id), data
