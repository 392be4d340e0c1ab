"""What processes that share a store have asked of each provider of models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "limits",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("spending", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("provider", name="pk_limits"),
    )
