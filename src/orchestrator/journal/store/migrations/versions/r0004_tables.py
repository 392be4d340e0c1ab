"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.journal.dialects.registry import id_type, key_type

revision = "0004"
down_revision = None

_Key = key_type()
_Id = id_type()


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "runs",
        sa.Column("key", _Key, nullable=False),
        sa.Column("run_id", _Id, nullable=False),
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("snapshot_seq", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("lease_until", sa.Double()),
        sa.Column("batch", sa.Text()),
        sa.Column("batch_row", sa.BigInteger()),
        sa.Column("usd", sa.Double()),
        sa.Column("tokens", sa.BigInteger()),
        sa.Column("requests", sa.BigInteger()),
        sa.PrimaryKeyConstraint("key", name="pk_runs"),
        sa.UniqueConstraint("run_id", name="uq_runs_run_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_state_key", "runs", ["state", "key"])
    op.create_index("ix_runs_batch_batch_row_key", "runs", ["batch", "batch_row", "key"])
    op.create_table(
        "labels",
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("run", _Key, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name="fk_labels_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("label", "run", name="pk_labels"),
    )
    op.create_index("ix_labels_run", "labels", ["run"])
    op.create_table(
        "events",
        sa.Column("id", _Key, autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_table(
        "blobs",
        sa.Column("key", _Key, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_blobs"),
        sa.UniqueConstraint("hash", name="uq_blobs_hash"),
    )
    op.create_table(
        "blob_uses",
        sa.Column("run", _Key, nullable=False),
        sa.Column("blob", _Key, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name="fk_blob_uses_run", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["blob"], ["blobs.key"], name="fk_blob_uses_blob"),
        sa.PrimaryKeyConstraint("run", "blob", name="pk_blob_uses"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_blob_uses_blob", "blob_uses", ["blob"])
    op.create_table(
        "commands",
        sa.Column("id", _Key, nullable=False),
        sa.Column("run", _Key, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name="fk_commands_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_commands"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commands_run", "commands", ["run"])
    op.create_table(
        "cache",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("blob", _Key),
        sa.Column("output", sa.Text()),
        sa.ForeignKeyConstraint(["blob"], ["blobs.key"], name="fk_cache_blob"),
        sa.PrimaryKeyConstraint("key", name="pk_cache"),
    )
    op.create_index("ix_cache_at", "cache", ["at"])
    op.create_index("ix_cache_blob", "cache", ["blob"])
    op.create_table(
        "batches",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("invalid", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("batch", name="pk_batches"),
    )
    op.create_table(
        "limits",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("spending", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("provider", name="pk_limits"),
    )
    op.create_table(
        "spending",
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("usd", sa.Double(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_spending"),
    )
