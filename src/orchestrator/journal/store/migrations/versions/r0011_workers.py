"""The runs that are submitted to workers, and the workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.journal.dialects.registry import key_type

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns of the queue, and create the tables."""
    op.add_column("runs", sa.Column("due_at", sa.Double()))
    op.add_column("runs", sa.Column("priority", sa.Integer()))
    op.add_column("runs", sa.Column("runs_on", sa.Text()))
    queued = sa.text("due_at IS NOT NULL AND state = 'running'")
    op.create_index(
        "ix_runs_queue", "runs", [sa.text("priority DESC"), "key"], sqlite_where=queued, postgresql_where=queued
    )
    op.create_table(
        "takeovers",
        sa.Column("run", key_type(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("achieved", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name="fk_takeovers_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", name="pk_takeovers"),
    )
    op.create_table(
        "refusals",
        sa.Column("run", key_type(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.key"], name="fk_refusals_run", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "kind", name="pk_refusals"),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("executing", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
