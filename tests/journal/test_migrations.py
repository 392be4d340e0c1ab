"""The tables that the code makes at once are those that the revisions make one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from orchestrator.journal.store.migrations import configuration, upgrade
from orchestrator.journal.store.tables import REVISIONS, VERSION_TABLE, metadata
from tests.journal.support import create

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ReflectedIndex

    from orchestrator.journal import Store


def described(store: Store) -> dict[str, object]:
    with store.database.read() as connection:
        inspector = sa.inspect(connection)
        return {
            table: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
                inspector.get_pk_constraint(table),
                sorted(map(index_text, inspector.get_indexes(table))),
                sorted(map(str, inspector.get_unique_constraints(table))),
                sorted(map(str, inspector.get_foreign_keys(table))),
            )
            for table in sorted(inspector.get_table_names())
        }


def index_text(index: ReflectedIndex) -> str:
    """Return an index as text, with the conditions of a partial one."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


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
