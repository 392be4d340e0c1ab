"""The tables that the code makes at once are those that the revisions make one after the other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator.journal import Store
from orchestrator.journal.migrations import configuration, upgrade
from orchestrator.journal.schema import REVISIONS, VERSION_TABLE, metadata
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


def test_a_store_of_an_older_version_is_upgraded_when_opened(url: str, monkeypatch):
    """An older version in name only, until there is a second revision."""
    with Store.open(url) as store:
        create(store, "one")
        with store.database.write() as connection:
            metadata.drop_all(connection)
            connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0000'")
    calls = []
    monkeypatch.setattr("orchestrator.journal.database.REVISIONS", ("0000", *REVISIONS))
    monkeypatch.setattr("orchestrator.journal.migrations.upgrade", calls.append)
    Store.open(url).close()
    assert len(calls) == 1
