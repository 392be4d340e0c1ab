"""The runs whose number is limited by a concurrency key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.journal.dialects.registry import key_type

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "concurrency",
        sa.Column("run", key_type(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("admitted", sa.Boolean(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name="fk_concurrency_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", name="pk_concurrency"),
    )
    op.create_index("ix_concurrency_key", "concurrency", ["key"])
