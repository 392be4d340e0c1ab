"""The tables that the code makes at once are those that the revisions make one after the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator.journal import Journal
from orchestrator.journal.records import RunFilter, label_key
from orchestrator.journal.store.migrations import configuration, upgrade
from orchestrator.journal.store.tables import REVISIONS, VERSION_TABLE, metadata
from orchestrator.models.budget import Spent
from tests.journal.support import create

if TYPE_CHECKING:
    import pytest

    from orchestrator.journal import Store

DAY = 86_400


def described(store: Store) -> dict[str, object]:
    with store.database.read() as connection:
        inspector = sa.inspect(connection)
        return {
            table: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
                inspector.get_pk_constraint(table),
                sorted(map(str, inspector.get_indexes(table))),
                sorted(map(str, inspector.get_unique_constraints(table))),
                sorted(map(str, inspector.get_foreign_keys(table))),
            )
            for table in sorted(inspector.get_table_names())
        }


def test_all_revisions_are_known_in_their_order():
    script = ScriptDirectory.from_config(configuration())
    assert tuple(reversed([r.revision for r in script.walk_revisions()])) == REVISIONS


def test_upgrading_from_nothing_gives_the_tables_of_a_new_store(store: Store):
    new = described(store)
    with store.database.write() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        upgrade(connection)
    assert described(store) == new
    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    create(store, "one")


def rewrite(connection: sa.Connection, revision: str, **more: dict[str, object]) -> None:
    """Rewrite the store with the tables of an earlier revision: its runs, with `more` columns by id, and its events."""
    kept = {
        table: [dict(row) for row in connection.execute(sa.select(metadata.tables[table])).mappings()]
        for table in ("blobs", "runs", "events")
    }
    for run in kept["runs"]:
        run |= more.get(run["run_id"], {})
    metadata.drop_all(connection)
    connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
    upgrade(connection, revision)
    for table, rows in kept.items():
        for row in rows:
            connection.execute(sa.insert(sa.table(table, *map(sa.column, row))), row)


def test_an_upgrade_finds_the_labels_of_earlier_runs(store: Store):
    for number, name in enumerate(("one", "two", "three")):
        create(store, name, options={label_key("all"): True, label_key(f"{number} é"): True, "keep": 1})
    create(store, "bare")
    with store.database.write() as connection:
        rewrite(connection, "0001")
        upgrade(connection)

    def found(*labels: str) -> list[str]:
        return [status.run_id for status in store.list(limit=10, wanted=RunFilter(labels=labels))]

    assert found("all") == ["three", "two", "one"]
    assert found("all", "1 é") == ["two"]
    assert found("none") == []
    assert len(found()) == 4


def test_an_upgrade_sums_what_earlier_runs_have_spent_by_day(store: Store, monkeypatch: pytest.MonkeyPatch):
    today = float(time.time() // DAY * DAY + DAY // 2)
    clock = [today]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    usage = {"input": 10, "output": 1, "cached": 0, "reasoning": 0, "requests": 1}
    with Journal(store) as journal:
        for name, days in {"short": (0,), "long": (2, 1), "free": ()}.items():
            clock[0] = today - DAY * max(days, default=0)
            run = journal.attach(create(store, name))
            for ago in days:
                clock[0] = today - ago * DAY
                run.record("step.model", "a", 1, {"model": "m", "usage": usage, "cost": 0.25, "error": None})
            run.flush()
    before = [store.spent_since(today - ago * DAY) for ago in range(3)]
    assert before == [Spent(0.25 * count, 11 * count, count) for count in (1, 2, 3)]
    with store.database.write() as connection:
        rewrite(connection, "0002", short={"spent_at": today}, long={"spent_at": today - DAY}, free={"spent_at": None})
        connection.exec_driver_sql(f"INSERT INTO pruned_spending VALUES ({today // DAY - 1}, 1.0, 2, 3)")
        upgrade(connection)
    after = [store.spent_since(today - ago * DAY) for ago in range(3)]
    assert after == [before[0], before[1] + Spent(1.0, 2, 3), before[2] + Spent(1.0, 2, 3)]
