"""How near runs of scientific workflows come to the best order of their steps, with few of them at once."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

from own import load_engine
from workflows import SHAPES, Graph, critical_path_schedule, graph, lower_bound, scheduled, varied

import orchestrator as orc

PLACES = (4, 8, 16)
MEAN, SHORT = 0.1, 0.02
"""The mean duration of a task, in seconds."""


def workflows(quick: bool) -> list[tuple[Any, ...]]:
    """Return a row for each shape and number of steps at once, and for short tasks."""
    cases = [(shape, places, MEAN) for places in PLACES for shape in SHAPES]
    cases += [(shape, 4, SHORT) for shape in SHAPES]
    if quick:
        cases = [(shape, 4, 0.001) for shape in SHAPES]
    return [_row(*case) for case in cases]


def _row(shape: str, places: int, mean: float) -> tuple[Any, ...]:
    tasks = graph(shape, mean=mean)
    title = f"{shape}: {len(tasks)} steps of {mean * 1000:g} ms, {places} at once"
    return title, "step", 2 * len(tasks), partial(_measured, tasks, places)


def _measured(tasks: Graph, places: int, _: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Run the graph without a history, and again with one; its tasks then take about 10 % more or less.

    `first` and `second` are the makespans per that of the ideal schedule of the same durations, which costs nothing and
    takes `ideal` seconds. `fifo` is that of the schedule in the order of arrival, `bound` what no schedule goes below.
    """
    seconds: dict[str, float] = {}

    @orc.tool
    async def work(context: orc.ToolContext) -> None:
        await asyncio.sleep(seconds.get(context.step, 0.0))

    async def run_both() -> dict[str, Any]:
        await client.compile({"id": "warm_up", "steps": [{"id": "first", "tool": "work"}]}).arun()
        found: dict[str, Any] = {"stored": 0}
        clock.start()
        for seed, name in enumerate(("first", "second")):
            actual = varied(tasks, seed=seed)
            ideal = critical_path_schedule(actual, places)
            seconds.update((task.id, task.seconds) for task in actual)
            begun = time.perf_counter()
            result = await pipeline.arun()
            found[name] = (time.perf_counter() - begun) / ideal
            found["ideal"] = ideal
            found["fifo"] = scheduled(actual, places) / ideal
            found["bound"] = lower_bound(actual, places) / ideal
            found["stored"] += sum(step.state == "succeeded" for step in result.steps.values())
        clock.stop()
        return found

    steps = [{"id": task.id, "tool": "work", "dependencies": list(task.after)} for task in tasks]
    store = f"sqlite:///{directory / 'runs.db'}"
    with orc.Orchestrator(store=store, tools=[work], directory=directory, max_parallel=places) as client:
        pipeline = client.compile({"id": "workflow", "steps": steps})
        load_engine(client)
        return asyncio.run(run_both())
