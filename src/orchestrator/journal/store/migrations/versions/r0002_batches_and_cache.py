"""Runs that belong to a batch, and results that runs share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns and a table; what is there stays as it is."""
    op.add_column("runs", sa.Column("batch", sa.Text()))
    op.add_column("runs", sa.Column("batch_row", sa.BigInteger()))
    op.create_index("ix_runs_batch_batch_row_key", "runs", ["batch", "batch_row", "key"])
    op.create_table(
        "cache",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("hash", sa.Text()),
        sa.Column("output", sa.Text()),
        sa.ForeignKeyConstraint(["hash"], ["blobs.hash"], name="fk_cache_hash"),
        sa.PrimaryKeyConstraint("key", name="pk_cache"),
    )
    op.create_index("ix_cache_at", "cache", ["at"])
    op.create_index("ix_cache_hash", "cache", ["hash"])
