"""A process that asks for turns: python -m tests.journal.limits_worker URL CALLS TOKENS LONGEST_WAIT

It says `ready`, waits for a line, takes as many turns as it gets at once, says `waiting` for those that it waits for,
and at its end prints when each turn came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import ModelRateLimited
from orchestrator.journal import Store
from orchestrator.journal.store.rate_limit_store import StoredRateUsage
from orchestrator.models.limits import Limits, LimitSettings, Rate
from orchestrator.models.messages import ModelName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LIMIT = Rate(requests=50, tokens=5000)
MODEL = ModelName("lab", "qwen")


async def turns(
    store: Store, calls: int, tokens: int, longest_wait: float, clock: Callable[[], float] | None = None
) -> list[float]:
    """Ask for some turns at once; return when those came that came in time."""
    shared = StoredRateUsage(store.database, clock=clock)
    limits = Limits(LimitSettings({"lab": {"": LIMIT}}, longest_wait), shared=shared)
    out: list[float] = []

    @asynccontextmanager
    async def waiting(reason: str, until: float | None) -> AsyncIterator[None]:
        print("waiting", flush=True)
        yield

    async def one() -> None:
        try:
            async with limits.turn(MODEL, tokens, waiting):
                out.append((clock or time.time)())
        except ModelRateLimited:
            pass

    await asyncio.gather(*(one() for _ in range(calls)))
    await limits.aclose()
    return out


if __name__ == "__main__":
    with Store.open(sys.argv[1]) as opened:
        print("ready", flush=True)
        sys.stdin.readline()
        taken = asyncio.run(turns(opened, int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
        print(json.dumps(taken), flush=True)
