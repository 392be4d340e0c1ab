"""The triggers of a store, and what each has fired."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.journal.dialects.registry import key_type

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "triggers",
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("handled_until", sa.Double(), nullable=False),
        sa.Column("paused_at", sa.Double()),
        sa.Column("paused_by", sa.Text()),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("lease_until", sa.Double()),
        sa.PrimaryKeyConstraint("trigger", name="pk_triggers"),
    )
    op.create_table(
        "firings",
        sa.Column("key", key_type(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("instant", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Text()),
        sa.PrimaryKeyConstraint("key", name="pk_firings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_firings_trigger_cause", "firings", ["trigger", "cause"], unique=True)
    op.create_index("ix_firings_state_key", "firings", ["state", "key"])
    op.create_index("ix_firings_created_at", "firings", ["created_at"])
