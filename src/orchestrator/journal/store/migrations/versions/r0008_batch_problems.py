"""Why rows of batches are invalid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    op.add_column("batches", sa.Column("problems", sa.Text(), nullable=False, server_default="[]"))
