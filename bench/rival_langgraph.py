"""LangGraph with its SQLite saver, in two forms.

In the first form, each step's result has a separate key in the state, so that any later step can read it, as with the
other contenders. In the second, the cheapest form, all steps overwrite one value, and can read nothing else.

LangGraph runs a graph in rounds and starts a step once in a round. If all dependencies of a step end in the same round,
an edge from one of them is enough, which is cheaper. Its `sync` durability gives the guarantee of the other contenders:
a step's success is on disk before the next step starts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from jobs import Job, Step
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict


def _latest(_old: int, new: int) -> int:
    return new


def run(
    job: Job, directory: Path, _postgres: str | None, clock: Any, max_parallel: int, *, one_value: bool = False
) -> dict[str, Any]:
    """Run the job; `clock` measures the part between its `start` and `stop`."""
    keys = {step.id: "value" if one_value else step.id for step in job.steps}
    builder: Any = StateGraph(TypedDict("State", dict.fromkeys(keys.values(), Annotated[int, _latest])))  # type: ignore[operator]
    depths = job.depths
    for step in job.steps:
        builder.add_node(step.id, _node(step, keys))
        if not step.after:
            builder.add_edge(START, step.id)
        elif len({depths[before] for before in step.after}) == 1:
            builder.add_edge(step.after[0], step.id)
        else:
            builder.add_edge(list(step.after), step.id)
    found: dict[str, Any] = {}

    async def main() -> None:
        async with AsyncSqliteSaver.from_conn_string(str(directory / "checkpoints.db")) as saver:
            await saver.setup()
            graph = builder.compile(checkpointer=saver)
            places = asyncio.Semaphore(job.at_once)

            async def one(number: int) -> int:
                config: Any = {
                    "configurable": {"thread_id": str(number)},
                    "recursion_limit": len(job.steps) + 10,
                    "max_concurrency": max_parallel,
                }
                async with places:
                    state = await graph.ainvoke({keys[job.steps[0].id]: 0}, config, durability="sync")
                return int(sum(state.values())) * (len(job.steps) if one_value else 1)

            clock.start()
            found["stored"] = sum(await asyncio.gather(*(one(number) for number in range(job.runs))))
            clock.stop()
            for pragma in ("synchronous", "journal_mode"):
                async with saver.conn.execute(f"PRAGMA {pragma}") as cursor:
                    row = await cursor.fetchone()
                    found[pragma] = row[0] if row else None

    asyncio.run(main())
    return found


def _node(step: Step, keys: dict[str, str]) -> Callable[[dict[str, int]], Awaitable[dict[str, int]]]:
    before, own = keys[step.after[0]] if step.after else None, keys[step.id]

    async def work(state: dict[str, int]) -> dict[str, int]:
        if step.seconds:
            await asyncio.sleep(step.seconds)
        return {own: 1 if before is None or state[before] is not None else 0}

    return work
