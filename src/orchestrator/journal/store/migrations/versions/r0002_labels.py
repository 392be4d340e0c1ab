"""The labels of runs, by which runs are found without reading their events."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from orchestrator.journal.dialects.registry import key_type

revision = "0002"
down_revision = "0001"

_PREFIX = "label:"


def upgrade() -> None:
    """Create the table, and fill it from the options in the first event of each run."""
    labels = op.create_table(
        "labels",
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("run", key_type(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name="fk_labels_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("label", "run", name="pk_labels"),
    )
    op.create_index("ix_labels_run", "labels", ["run"])
    connection = op.get_bind()
    events = sa.table("events", sa.column("run"), sa.column("seq"), sa.column("data"))
    first = sa.select(events.c.run, events.c.data).where(events.c.seq == 1, events.c.data.contains(f'"{_PREFIX}'))
    for row in connection.execute(first).all():
        options = json.loads(row.data).get("options") or {}
        found = [name.removeprefix(_PREFIX) for name in options if name.startswith(_PREFIX)]
        if found:
            connection.execute(sa.insert(labels), [{"label": label, "run": row.run} for label in found])
