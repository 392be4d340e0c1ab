"""The memory of a project, and the writes that are made once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.journal.dialects.registry import id_type

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "memories",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("namespace", id_type(), nullable=False),
        sa.Column("name", id_type(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.PrimaryKeyConstraint("project", "namespace", "name", name="pk_memories"),
    )
    op.create_index("ix_memories_expires_at", "memories", ["expires_at"])
    op.create_table(
        "memory_writes",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_memory_writes"),
    )
    op.create_index("ix_memory_writes_at", "memory_writes", ["at"])
