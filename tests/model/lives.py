"""The life of a run: stretches of it, each ended by something that happens, and what it left behind.

A stretch begins with the start of the run, or with taking it up again, and ends when the run has ended or its process
has. At the n-th event that it records, one thing happens to it: a crash, a pause, a cancellation, or nothing. It is
answered when it waits for people. What the tools were asked is in a file, each call one line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import orchestrator as orc
from orchestrator.journal import Command, Event, RunJournal
from tests.model.plans import answer, digest

PATIENCE = 60
CRASHES = ("crash", "crash after a commit")


@dataclass(frozen=True)
class Turn:
    """What happens to a run in one stretch of its life, when its `at`-th event is recorded."""

    kind: str
    at: int


@dataclass(frozen=True)
class Called:
    """One call of a tool, in the `stretch`-th stretch."""

    path: str
    attempt: int
    reads: list[Any]


def tools() -> list[Any]:
    """The tools of the generated pipelines. The world is a directory: `mended` is there when it is mended."""

    @orc.tool
    async def act(
        context: orc.ToolContext,
        salt: int,
        reads: list[Any],
        failures: int = 0,
        error: str = "boom",
        transient: bool = False,
    ) -> int:
        line = json.dumps({"path": context.step, "attempt": context.attempt, "reads": reads}) + "\n"
        descriptor = os.open(context.directory / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode())
        os.close(descriptor)
        await asyncio.sleep(0)
        broken = transient and not (context.directory / "mended").exists()
        if broken or context.attempt <= failures:
            raise {"boom": orc.StepError, "clash": ValueError}[error](f"{error} {salt}")
        return digest(salt, reads)

    @orc.tool
    async def hang() -> int:
        await asyncio.Event().wait()
        return 0

    return [act, hang]


def calls(directory: Path) -> list[Called]:
    """All calls up to now, in order."""
    path = directory / "calls"
    return [Called(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


@contextmanager
def disturbed(client: orc.Orchestrator, turn: Turn | None, crash: Callable[[orc.Orchestrator, RunJournal], None]) -> Iterator[None]:
    """Have `turn` happen to whatever run the client executes meanwhile."""
    engine, left = client._engine, turn.at if turn else 0
    record = RunJournal.record

    def recorded(self: RunJournal, *arguments: Any, **named: Any) -> Event:
        nonlocal left
        event = record(self, *arguments, **named)
        left -= 1
        if turn is not None and left == 0:
            if turn.kind in CRASHES:
                crash(client, self)
            else:
                kind, data = COMMANDS[turn.kind]
                execution = engine.execution(self.run_id)
                if execution is not None:
                    execution.post(Command(kind, data, "a person"))
        return event

    with mock.patch.object(RunJournal, "record", recorded):
        yield


COMMANDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "pause": ("pause", {}),
    "pause now": ("pause", {"now": True}),
    "cancel": ("cancel", {"reason": "enough"}),
}


def lose(client: orc.Orchestrator, journal: RunJournal) -> None:
    """Have the process lose its run: nothing that it records from now on is kept. A crash without the process's end."""
    with client._engine.store.database.write() as connection:
        connection.exec_driver_sql("update runs set lease_until = 0")
    error = client._engine.store.lease_lost(journal.lease)
    journal.error = error
    execution = client._engine.execution(journal.run_id)
    assert execution is not None
    execution.lose(error)


def die(client: orc.Orchestrator, journal: RunJournal) -> None:
    """End the process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def stretch(
    client: orc.Orchestrator,
    pipeline: orc.Pipeline,
    run_id: str,
    turn: Turn | None,
    crash: Callable[[orc.Orchestrator, RunJournal], None],
) -> tuple[str, str]:
    """Start or take up a run and let it live until it ends or crashes; return its id and its state or `crashed`."""
    with disturbed(client, turn, crash):
        try:
            run = client.resume(run_id) if run_id else pipeline.start()
            while True:
                status = run.wait(timeout=PATIENCE)
                match status.state:
                    case "paused":
                        run.resume()
                    case "waiting":
                        questions = [one.path for one in status.active if one.question]
                        run.answer(questions[0], given(questions[0], status))
                    case state:
                        return run.id, state
        except orc.LeaseLost:
            return run.id, "crashed"


def given(path: str, status: Any) -> Any:
    """What the person says who is asked at this path."""
    question = next(one.question for one in status.active if one.path == path)
    return answer(path) if question["kind"] == "ask" else answer(path) % 2 == 0
