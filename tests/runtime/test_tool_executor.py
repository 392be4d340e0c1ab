"""Attempts of tools run where a `ToolExecutor` runs them: here, in processes of their own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.tools import to_tools
from orchestrator.tools.call import call_action
from tests.runtime.support import Bench, ended, pipeline, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.tools.contract import Action


@orc.tool
def process() -> int:
    """Return the number of the process that this runs in."""
    return os.getpid()


@orc.tool
def die(marker: str) -> str:
    """End the process like a crash, the first time."""
    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    return "alive"


def there(tool: str, action: str, parameters: Mapping[str, Any]) -> Any:
    """Call an action in the process of a worker, which knows tools by their names."""
    known = {each.name: each for one in (process, die) for each in to_tools(one)}
    context: Any = SimpleNamespace(permissions=orc.Permissions(Path()))
    return asyncio.run(call_action(known[tool].actions[action], parameters, context))


class ProcessExecutor:
    """Runs attempts in another process, and notes which."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.stopped: list[str] = []
        self._pool = self._new()

    def _new(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    async def call(
        self, tool: orc.Tool, action: Action, parameters: Mapping[str, Any], context: orc.ToolContext
    ) -> Any:
        self.keys.append(context.idempotency_key)
        if tool.name == "hang":
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.append(context.step)
        work = self._pool.submit(there, tool.name, action.name, dict(parameters))
        try:
            return await asyncio.wrap_future(work)
        except BrokenProcessPool:
            self._pool = self._new()
            raise orc.StepError("the worker was lost", retryable=True) from None

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor()
    yield executor
    executor.close()


@pytest.fixture
def client(executor: ProcessExecutor, bench: Bench, tmp_path: Path) -> Iterator[orc.Orchestrator]:
    tools = [process, die, *bench.tools()]
    with orc.Orchestrator(directory=tmp_path, tools=tools, tool_executor=executor) as client:
        yield client


def test_an_attempt_runs_where_the_executor_runs_it(client: orc.Orchestrator, executor: ProcessExecutor) -> None:
    result = client.compile(pipeline(step("a", "process"), outputs={"pid": "{{ a }}"})).run()
    assert result.outputs["pid"] != os.getpid()
    assert executor.keys == [f"{result.run_id}:a"]


def test_a_lost_executor_costs_only_the_attempt_in_flight(
    client: orc.Orchestrator, executor: ProcessExecutor, tmp_path: Path
) -> None:
    crashes = step("b", "die", "a", marker=str(tmp_path / "died"), retry={"attempts": 2, "delay": 0})
    result = client.compile(pipeline(step("a", "process"), crashes)).run()
    assert {path: (one.state, one.attempts) for path, one in result.steps.items()} == {
        "a": ("succeeded", 1),
        "b": ("succeeded", 2),
    }
    assert executor.keys == [f"{result.run_id}:{path}" for path in "abb"]


def test_the_owner_of_the_run_stops_an_attempt(client: orc.Orchestrator, executor: ProcessExecutor) -> None:
    result = ended(client.compile(pipeline(step("a", "hang", timeout=0.05))))
    assert result.steps["a"].error is not None
    assert result.steps["a"].error["type"] == "StepTimeout"
    assert executor.stopped == ["a"]
