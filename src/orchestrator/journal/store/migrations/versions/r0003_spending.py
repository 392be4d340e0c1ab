"""What all runs have spent by day, so that it is read without their events."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_DAY = 86_400
_AMOUNTS = ("usd", "tokens", "requests")


def upgrade() -> None:
    """Add the spending of the runs that are in the store to what pruned runs spent, by day."""
    spending = op.create_table(
        "spending",
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("usd", sa.Double(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name="pk_spending"),
    )
    connection = op.get_bind()
    runs = sa.table("runs", *map(sa.column, ("key", "created_at", "spent_at", *_AMOUNTS)))
    events = sa.table("events", *map(sa.column, ("run", "at", "type", "data")))
    pruned = sa.table("pruned_spending", *map(sa.column, ("day", *_AMOUNTS)))
    sums: dict[int, list[float]] = {}

    def add(day: float, amounts: Any) -> None:
        before = sums.setdefault(int(day), [0.0, 0, 0])
        sums[int(day)] = [one + (other or 0) for one, other in zip(before, amounts, strict=True)]

    for row in connection.execute(sa.select(pruned)).all():
        add(row.day, row[1:])
    for key, created_at, spent_at, *amounts in connection.execute(
        sa.select(runs).where(runs.c.spent_at.is_not(None))
    ).all():
        if created_at // _DAY == spent_at // _DAY:
            add(spent_at // _DAY, amounts)
            continue
        calls = sa.select(events.c.at, events.c.data).where(events.c.run == key, events.c.type == "step.model")
        for at, data in connection.execute(calls).all():
            call = json.loads(data)
            usage = call.get("usage") or {}
            tokens = (usage.get("input") or 0) + (usage.get("output") or 0)
            add(at // _DAY, (call.get("cost"), tokens, usage.get("requests")))
    for day, amounts in sums.items():
        connection.execute(sa.insert(spending).values(dict(zip(("day", *_AMOUNTS), (day, *amounts), strict=True))))
    op.drop_table("pruned_spending")
    op.drop_index("ix_runs_spent_at", "runs")
    op.execute("ALTER TABLE runs DROP COLUMN spent_at")
