"""DBOS, on SQLite or PostgreSQL: a workflow whose steps are tasks of one event loop.

DBOS numbers the steps of a workflow as they start and finds their results by these numbers after a crash, so their
order must not depend on how long steps take. Steps start in the order of the file, which is the same each time, except
in branches that sleep: each of those is a separate workflow.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dbos import DBOS
from jobs import Job, Step


def run(job: Job, directory: Path, postgres: str | None, clock: Any, max_parallel: int) -> dict[str, Any]:
    """Run the job; `clock` measures the part between its `start` and `stop`."""
    url = postgres or f"sqlite:///{directory / 'dbos.db'}"
    DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"})
    branches = _branches(job.steps) if job.critical_path else [job.steps]

    @DBOS.step()
    async def noop(value: object) -> int:
        return 1

    @DBOS.step()
    async def nap(seconds: float, value: object) -> int:
        await asyncio.sleep(seconds)
        return 1

    async def carry_out(steps: Sequence[Step]) -> int:
        places = asyncio.Semaphore(max_parallel)
        tasks: dict[str, asyncio.Task[int]] = {}

        async def one(step: Step) -> int:
            values = [await tasks[before] for before in step.after]
            value = values[0] if values else None
            async with places:
                return await (nap(step.seconds, value) if step.seconds else noop(value))

        for step in steps:
            tasks[step.id] = asyncio.create_task(one(step))
        return sum(await asyncio.gather(*tasks.values()))

    @DBOS.workflow()
    async def branch(number: int) -> int:
        return await carry_out(branches[number])

    @DBOS.workflow()
    async def whole() -> int:
        if len(branches) == 1:
            return await carry_out(job.steps)
        handles = [await DBOS.start_workflow_async(branch, number) for number in range(len(branches))]
        return sum([await handle.get_result() for handle in handles])

    found: dict[str, Any] = {}

    async def main() -> None:
        places = asyncio.Semaphore(job.at_once)

        async def one() -> int:
            async with places:
                return await whole()

        clock.start()
        found["stored"] = sum(await asyncio.gather(*(one() for _ in range(job.runs))))
        clock.stop()

    DBOS.launch()
    try:
        asyncio.run(main())
    finally:
        DBOS.destroy()
    return found


def _branches(steps: Sequence[Step]) -> list[list[Step]]:
    """Return the steps by the chains that they are in."""
    found: dict[str, list[Step]] = {}
    for step in steps:
        chain = found[step.after[0]] if step.after else []
        chain.append(step)
        found[step.id] = chain
    return list({id(chain): chain for chain in found.values()}.values())
