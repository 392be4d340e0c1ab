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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any
from unittest import mock

import orchestrator as orc
from orchestrator.journal import Command, Event, Store
from orchestrator.journal.run_journal import RunJournal
from orchestrator.paths import is_at_or_below
from tests.model.agents import note_call
from tests.model.plans import answer, decision, digest

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 30

Crash = Callable[[orc.Orchestrator, RunJournal], None]
"""Ends the process that records in this journal, or something like it."""


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

    async def act(
        context: orc.ToolContext,
        salt: int,
        reads: list[Any],
        failures: int = 0,
        error: str = "boom",
        transient: bool = False,
        writes: str = "",
    ) -> int:
        note_call(context.directory, context.step, context.attempt, reads)
        await asyncio.sleep(0)
        broken = transient and not (context.directory / "mended").exists()
        if broken or context.attempt <= failures:
            raise {"boom": orc.StepError, "clash": ValueError}[error](f"{error} {salt}{' for now' if broken else ''}")
        if writes:
            (context.directory / writes).write_text(str(salt))
        return digest(salt, reads)

    @orc.tool
    async def hang() -> int:
        await asyncio.Event().wait()
        return 0

    return [orc.tool(act), orc.tool(name="think", effects="none")(copied(act)), hang]


def copied(function: FunctionType) -> FunctionType:
    """The same function again, to be another tool."""
    twin = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__annotations__ = function.__annotations__
    return twin


def calls(directory: Path) -> list[Called]:
    """All calls up to now, in order."""
    path = directory / "calls"
    return [Called(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def answers(directory: Path) -> list[str]:
    """The paths of all questions that were answered up to now, in order."""
    path = directory / "answers"
    return path.read_text().split() if path.exists() else []


@contextmanager
def disturbed(client: orc.Orchestrator, turn: Turn | None, crash: Crash) -> Iterator[None]:
    """Have `turn` happen to whatever run the client executes meanwhile."""
    engine, left = client.backend.engine, turn.at if turn else 0
    record = RunJournal.record

    def recorded(self: RunJournal, *arguments: Any, **named: Any) -> Event:
        nonlocal left
        event = record(self, *arguments, **named)
        if self.status().pipeline != "model":  # it is a run that a step has started
            return event
        left -= 1
        if turn is not None and left == 0:
            if turn.kind == "crash":
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
    with client.backend.engine.store.database.write() as connection:
        connection.exec_driver_sql("update runs set lease_until = 0")
    error = client.backend.engine.store.lease_lost(journal.lease)
    journal.error = error
    execution = client.backend.engine.execution(journal.run_id)
    assert execution is not None
    execution.lose(error)


def die(client: orc.Orchestrator, journal: RunJournal) -> None:
    """End the process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def stretch(client: orc.Orchestrator, run_id: str, turn: Turn | None, crash: Crash) -> tuple[str, str]:
    """Start or take up a run and let it live until it ends or crashes; return its id, and its state or `crashed`."""
    pipeline = client.compile(client.directory / "pipeline.yaml")
    with disturbed(client, turn, crash):
        try:
            run = client.resume(run_id) if run_id else pipeline.start()
        except orc.RunNotResumable:  # it was lost between its success and its last word
            return run_id, "over"
        try:
            while True:
                status = run.wait(timeout=PATIENCE)
                if status.state == "paused":
                    run.resume()
                elif status.state == "waiting":
                    asked = next(one for one in status.active if one.question is not None and not one.answered)
                    run.answer(asked.path, reply(asked.path, asked.question))
                    with (client.directory / "answers").open("a") as answers:
                        answers.write(f"{asked.path}\n")
                else:
                    return run.id, status.state
        except orc.LeaseLost:
            return run.id, "crashed"


def reply(path: str, question: Any) -> Any:
    """What the person says who is asked at this path."""
    if question.get("editable"):
        return decision(path, question["content"])
    if question["kind"] == "approve":
        return answer(path) % 2 == 0
    return {"a": answer(path)} if question.get("questions") else answer(path)


@dataclass(frozen=True)
class Stretch:
    """What came of a stretch: the state it ended in, its calls, and what was settled for good when it began."""

    turn: Turn | None
    state: str
    calls: list[Called]
    settled: set[str]


def live(
    directory: Path, turns: Iterable[Turn], step: Callable[[str, Turn | None], tuple[str, str]]
) -> tuple[str, list[Stretch]]:
    """Have a run live through its turns, and after them to its end; `step` makes one stretch of it.

    Who fails because of something transient goes on when that is mended.
    """
    left, run_id, stretches = [*turns], "", list[Stretch]()
    while True:
        turn = left.pop(0) if left else None
        settled, before = settled_in(directory, run_id), len(calls(directory))
        run_id, state = step(run_id, turn)
        stretches.append(Stretch(turn, state, calls(directory)[before:], settled))
        if state == "failed" and is_transient(directory, run_id):
            (directory / "mended").touch()  # it may be mended already, if only undoing was left to do
        elif state in ("failed", "succeeded", "over"):
            return run_id, stretches
        elif state == "cancelled":
            assert any(one.turn is not None and one.turn.kind == "cancel" for one in stretches)
        else:
            assert turn is not None, f"{state}, and nothing happened"


def settled_in(directory: Path, run_id: str) -> set[str]:
    """The paths whose success, or whose failure that was dealt with, is recorded, and counts: it was not undone."""
    found: set[str] = set()
    for event in events(directory, run_id):
        if event.type == "step.succeeded" or (event.type == "step.failed" and event.data["handled"] != "fail"):
            found.add(event.path)
        elif event.type == "step.undone":
            for path in event.data["forget"]:
                found -= {other for other in found if is_at_or_below(other, path) or is_at_or_below(path, other)}
    return found


def is_transient(directory: Path, run_id: str) -> bool:
    """Whether the run has failed because of something that can be mended."""
    error = events(directory, run_id)[-1].data["error"]
    return "for now" in str(error["message"])  # the line that raised it may follow


def events(directory: Path, run_id: str) -> list[Event]:
    """All events of a run, without a gap."""
    if not run_id:
        return []
    with Store.open(store_url(directory)) as store:
        found = store.events(run_id, limit=100_000)
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    return found


def store_url(directory: Path) -> str:
    return f"sqlite:///{directory}/runs.db"
