"""The graphs of scientific workflows, and how near the scheduler comes to the ideal order of their steps.

The runs are real, in virtual time: a commit takes none, so what is left is what the order of the steps costs.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import orchestrator as orc
from orchestrator.journal.commit_requests import LoopWaiter

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from workflows import (
    SHAPES,
    Graph,
    Task,
    critical_path_schedule,
    graph,
    lower_bound,
    remaining,
    scheduled,
    varied,
)

NEAR = 1.03
"""How long a run may take, per ideal schedule of its steps."""


class _Selector(selectors.DefaultSelector):
    """Leaps to the next timer, except while a commit is awaited."""

    def __init__(self, loop: CommitsTakeNoTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if found or timeout == 0:
            return found
        if timeout is None or self._loop.awaited:
            return super().select(0.1)
        self._loop.now += timeout
        return found


class CommitsTakeNoTime(asyncio.SelectorEventLoop):
    """An event loop in virtual time; `awaited` commits are in flight."""

    def __init__(self) -> None:
        self.now = 0.0
        self.awaited = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now


def makespans(tasks: Graph, places: int, directory: Path, *seeds: int) -> list[float]:
    """Run the graph once for each seed, and return how long each run took."""
    seconds: dict[str, float] = {}

    @orc.tool
    async def work(context: orc.ToolContext) -> None:
        await asyncio.sleep(seconds[context.step])

    settle, init = LoopWaiter.settle, LoopWaiter.__init__

    def begins(self: Any, wish: Any) -> None:
        init(self, wish)
        if isinstance(self.loop, CommitsTakeNoTime):
            self.loop.awaited += 1

    def ends(self: Any) -> None:
        if isinstance(self.loop, CommitsTakeNoTime):
            self.loop.awaited -= 1
        settle(self)

    async def run() -> float:
        begin = asyncio.get_running_loop().time()
        await pipeline.arun()
        return asyncio.get_running_loop().time() - begin

    found = []
    steps = [{"id": task.id, "tool": "work", "dependencies": list(task.after)} for task in tasks]
    with (
        orc.Orchestrator(tools=[work], directory=directory, max_parallel=places) as client,
        mock.patch.object(LoopWaiter, "__init__", begins),
        mock.patch.object(LoopWaiter, "settle", ends),
    ):
        pipeline = client.compile({"id": "workflow", "steps": steps})
        for seed in seeds:
            seconds.update((task.id, task.seconds) for task in varied(tasks, seed=seed))
            with asyncio.Runner(loop_factory=CommitsTakeNoTime) as runner:
                found.append(runner.run(run()))
    return found


@pytest.mark.parametrize("places", [4, 16])
@pytest.mark.parametrize("shape", SHAPES)
def test_with_a_history_a_run_is_near_the_ideal_schedule(shape: str, places: int, tmp_path: Path) -> None:
    tasks = graph(shape, mean=10.0)
    _, second = makespans(tasks, places, tmp_path, 0, 1)
    ideal = critical_path_schedule(varied(tasks, seed=1), places)
    assert second <= NEAR * ideal


@pytest.mark.parametrize("shape", SHAPES)
def test_a_graph_is_the_same_for_the_same_seed_and_each_task_follows_those_that_it_waits_for(shape: str) -> None:
    tasks = graph(shape, mean=0.1)
    assert tasks == graph(shape, mean=0.1)
    known: set[str] = set()
    for task in tasks:
        assert known >= set(task.after)
        known.add(task.id)
    assert len(known) == len(tasks)
    assert sum(task.seconds for task in tasks) == pytest.approx(0.1 * len(tasks))


def test_the_schedules_are_those_that_one_can_draw() -> None:
    #  a 1 -> b 5; c, d and e take 2 each, with two places
    tasks = [Task("c", (), 2), Task("d", (), 2), Task("e", (), 2), Task("a", (), 1), Task("b", ("a",), 5)]
    assert remaining(tasks, {task.id: task.seconds for task in tasks})["a"] == 6
    assert lower_bound(tasks, 2) == 6
    assert scheduled(tasks, 2) == 8
    assert critical_path_schedule(tasks, 2) == 6
