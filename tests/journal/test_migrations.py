"""The tables that the code makes at once are those that the revisions make one after the other."""

from __future__ import annotations

import subprocess
import sys

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator.journal import Journal, Store
from orchestrator.journal.store.blob_codec import LIMIT
from orchestrator.journal.store.migrations import configuration, upgrade
from orchestrator.journal.store.tables import REVISIONS, VERSION_TABLE, metadata
from tests.journal.support import create


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


def test_a_store_of_the_first_version_is_upgraded_when_opened_and_keeps_its_runs(url: str):
    with Store.open(url) as store, Journal(store) as journal:
        new = described(store)
        run = journal.attach(create(store, "one"))
        run.record("step.succeeded", "a", 1, {"output": "x" * 2 * LIMIT})
        run.flush()
        before = (store.record("one"), store.events("one", resolve=True), store.status("one").counts)
        with store.database.write() as connection:
            for statement in (
                "DROP TABLE pruned_spending",
                "DROP TABLE limits",
                "DROP TABLE cache",
                "DROP INDEX ix_runs_batch_batch_row_key",
                "DROP INDEX ix_runs_spent_at",
                *(f"ALTER TABLE runs DROP COLUMN {name}" for name in ("usd", "tokens", "requests", "spent_at")),
                "ALTER TABLE runs DROP COLUMN batch",
                "ALTER TABLE runs DROP COLUMN batch_row",
                f"UPDATE {VERSION_TABLE} SET version_num = '0001'",
            ):
                connection.exec_driver_sql(statement)
    with Store.open(url) as store, Journal(store) as journal:
        assert described(store) == new
        assert (store.record("one"), store.events("one", resolve=True), store.status("one").counts) == before
        create(store, "two", batch="b", row=0)
        store.cache_put("k", "one", "a", 1)
        assert list(store.batch("b")) == [(0, "two", "running")]
        assert store.cache_get("k") is not None


def test_processes_that_open_an_older_store_at_once_upgrade_it_once(url: str):
    with Store.open(url) as store, store.database.write() as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        upgrade(connection, "0001")
    program = "import sys; from orchestrator.journal import Store; Store.open(sys.argv[1]).close()"
    opening = [subprocess.Popen([sys.executable, "-W", "error", "-c", program, url]) for _ in range(3)]
    assert [process.wait() for process in opening] == [0, 0, 0]
    with Store.open(url) as store:
        create(store, "one")
