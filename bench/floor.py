"""The floor: durable steps with only asyncio and SQLite, in the least code that gives the guarantee.

The promise: a step's success is on disk before anything that follows it starts. Steps that end in the same turn of
the loop share one commit. The commit is made on the loop's own thread, which an engine with real tools cannot afford.
"""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from jobs import Job, Step


def run(job: Job, directory: Path, clock: Any, max_parallel: int) -> dict[str, Any]:
    """Run the job; `clock` measures the part between its `start` and `stop`."""
    connection = sqlite3.connect(directory / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE results (run INTEGER, step TEXT, value TEXT, PRIMARY KEY (run, step)) WITHOUT ROWID"
    )
    commits = 0

    async def main() -> None:
        nonlocal commits
        places = asyncio.Semaphore(job.at_once)

        async def one(number: int) -> int:
            async with places:
                return await _run(job, number, connection, max_parallel)

        clock.start()
        commits = sum(await asyncio.gather(*(one(number) for number in range(job.runs))))
        clock.stop()

    asyncio.run(main())
    stored = connection.execute("SELECT count(*) FROM results").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    connection.close()
    return {"stored": stored, "commits": commits, "synchronous": synchronous}


async def _run(job: Job, number: int, connection: sqlite3.Connection, max_parallel: int) -> int:
    waits_for = {step.id: len(step.after) for step in job.steps}
    successors: dict[str, list[Step]] = {step.id: [] for step in job.steps}
    for step in job.steps:
        for before in step.after:
            successors[before].append(step)
    ready = [step for step in reversed(job.steps) if not step.after]
    values: dict[str, Any] = {}
    running: set[asyncio.Task[tuple[Step, Any]]] = set()
    commits = 0
    while ready or running:
        while ready and len(running) < max_parallel:
            step = ready.pop()
            running.add(asyncio.create_task(_work(step, values[step.after[0]] if step.after else None)))
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        ended = [task.result() for task in done]
        connection.execute("BEGIN IMMEDIATE")
        rows = [(number, step.id, json.dumps(value)) for step, value in ended]
        connection.executemany("INSERT INTO results VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
        commits += 1
        for step, value in ended:
            values[step.id] = value
            for successor in successors[step.id]:
                waits_for[successor.id] -= 1
                if waits_for[successor.id] == 0:
                    ready.append(successor)
    return commits


async def _work(step: Step, _value: Any) -> tuple[Step, Any]:
    if step.seconds:
        await asyncio.sleep(step.seconds)
    return step, 1
