"""LangGraph with its SQLite saver, in the form that costs it least.

All steps share one value, so its checkpoints stay small. It runs a graph in rounds and starts a step once in a round,
so where all that a step waits for end in the same round, an edge from one of them is enough. Its `sync` durability
is the one that makes the promise of the other contenders: what a step achieved is on disk before the next starts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from jobs import Job, Step
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph


def _latest(_old: int, new: int) -> int:
    return new


class State(TypedDict):
    """What the steps read and write."""

    value: Annotated[int, _latest]


def run(job: Job, directory: Path, clock: Any, max_parallel: int, durability: str = "sync") -> dict[str, Any]:
    """Carry out the job; `clock` measures the part between its `start` and `stop`."""
    builder = StateGraph(State)
    depths = job.depths
    for step in job.steps:
        builder.add_node(step.id, _node(step))
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
                    state = await graph.ainvoke({"value": 0}, config, durability=durability)  # type: ignore[call-overload]  # a word from the command line
                return int(state["value"])

            clock.start()
            found["stored"] = sum(await asyncio.gather(*(one(number) for number in range(job.runs)))) * len(job.steps)
            clock.stop()
            for pragma in ("synchronous", "journal_mode"):
                async with saver.conn.execute(f"PRAGMA {pragma}") as cursor:
                    row = await cursor.fetchone()
                    found[pragma] = row[0] if row else None

    asyncio.run(main())
    return found


def _node(step: Step) -> Callable[[State], Awaitable[State]]:
    async def noop(state: State) -> State:
        return {"value": 1 if state["value"] is not None else 0}

    async def nap(state: State) -> State:
        await asyncio.sleep(step.seconds)
        return {"value": 1}

    return nap if step.seconds else noop
