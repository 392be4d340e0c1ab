"""The floor: durable steps with only asyncio and a database, in the least code that gives the guarantee.

The promise: a step's success is on disk before anything that follows it starts. Steps that end in the same turn of
the loop share one commit. The commit is made on the loop's own thread, which an engine with real tools cannot afford.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from jobs import Job, Step

TABLE = "CREATE TABLE results (run INTEGER, step TEXT, value TEXT, PRIMARY KEY (run, step))"


class Database(Protocol):
    """Where results are kept."""

    def commit(self, rows: Iterable[tuple[int, str, str]]) -> None:
        """Write the rows in one transaction."""

    def close(self) -> dict[str, Any]:
        """Return the number of rows that are stored, and what the database promises."""


class Sqlite:
    """A file in WAL mode; every commit waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(f"{TABLE} WITHOUT ROWID")

    def commit(self, rows: Iterable[tuple[int, str, str]]) -> None:
        """Write the rows in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO results VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def close(self) -> dict[str, Any]:
        """Return the number of rows that are stored, and what the database promises."""
        stored = self._connection.execute("SELECT count(*) FROM results").fetchone()[0]
        synchronous = self._connection.execute("PRAGMA synchronous").fetchone()[0]
        self._connection.close()
        return {"stored": stored, "synchronous": synchronous}


class Postgres:
    """A database of a server, through one connection; every commit waits for the disk."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self._connection.execute(TABLE)

    def commit(self, rows: Iterable[tuple[int, str, str]]) -> None:
        """Write the rows in one transaction."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany("INSERT INTO results VALUES (%s, %s, %s)", rows)

    def close(self) -> dict[str, Any]:
        """Return the number of rows that are stored, and what the database promises."""
        counted = self._connection.execute("SELECT count(*), current_setting('synchronous_commit') FROM results")
        stored, synchronous = counted.fetchone() or (0, "")
        self._connection.close()
        return {"stored": stored, "synchronous": synchronous}


def run(job: Job, directory: Path, postgres: str | None, clock: Any, max_parallel: int) -> dict[str, Any]:
    """Run the job; `clock` measures the part between its `start` and `stop`."""
    database: Database = Postgres(postgres) if postgres else Sqlite(directory / "floor.db")
    commits = 0

    async def main() -> None:
        nonlocal commits
        places = asyncio.Semaphore(job.at_once)

        async def one(number: int) -> int:
            async with places:
                return await _run(job, number, database, max_parallel)

        clock.start()
        commits = sum(await asyncio.gather(*(one(number) for number in range(job.runs))))
        clock.stop()

    asyncio.run(main())
    return {**database.close(), "commits": commits}


async def _run(job: Job, number: int, database: Database, max_parallel: int) -> int:
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
        database.commit([(number, step.id, json.dumps(value)) for step, value in ended])
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
