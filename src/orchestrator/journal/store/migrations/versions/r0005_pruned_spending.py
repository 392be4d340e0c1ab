"""What runs that were pruned had spent, by the day: it stays spent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a table. What was pruned before is not known."""
    op.create_table(
        "pruned_spending",
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("usd", sa.Double(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_pruned_spending"),
    )
