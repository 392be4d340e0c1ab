"""What the calls of models of a run have taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add columns; of the runs that are there none has called a model."""
    op.add_column("runs", sa.Column("usd", sa.Double()))
    op.add_column("runs", sa.Column("tokens", sa.BigInteger()))
    op.add_column("runs", sa.Column("requests", sa.BigInteger()))
    op.add_column("runs", sa.Column("spent_at", sa.Double()))
    op.create_index("ix_runs_spent_at", "runs", ["spent_at"])
