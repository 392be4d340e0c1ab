"""How near the runs of scientific workflows come to the best order of their steps, with few steps at once."""

import asyncio
import time
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
    title = f"{shape} of {len(tasks)}, {places} at once, {mean * 1000:g} ms each"

    def run(_: Any, directory: Path, clock: Any) -> dict[str, Any]:
        return runs(tasks, places, directory, clock)

    return title, "step", 2 * len(tasks), run


def runs(tasks: Graph, places: int, directory: Path, clock: Any) -> dict[str, Any]:
    """Run the graph without a history and again with one; return both makespans per that of the ideal schedule.

    The durations of the second run differ from those of the first by about 10 %. `fifo` is the makespan of the schedule
    in the order of arrival, without any overhead, and `bound` what no schedule is shorter than.
    """
    seconds: dict[str, float] = {}

    @orc.tool
    async def work(context: orc.ToolContext) -> None:
        await asyncio.sleep(seconds[context.step])

    steps = [{"id": task.id, "tool": "work", "dependencies": list(task.after)} for task in tasks]
    found: dict[str, Any] = {"stored": 0}
    store = f"sqlite:///{directory / 'runs.db'}"
    with orc.Orchestrator(store=store, tools=[work], directory=directory, max_parallel=places) as client:
        pipeline = client.compile({"id": "workflow", "steps": steps})
        load_engine(client)
        clock.start()
        for seed, name in enumerate(("first", "second")):
            actual = varied(tasks, seed=seed)
            seconds.update((task.id, task.seconds) for task in actual)
            begun = time.perf_counter()
            result = asyncio.run(pipeline.arun())
            took = time.perf_counter() - begun
            ideal = critical_path_schedule(actual, places)
            found |= {name: took / ideal, "ideal": ideal, "fifo": scheduled(actual, places) / ideal}
            found |= {"bound": lower_bound(actual, places) / ideal}
            found["stored"] += sum(step.state == "succeeded" for step in result.steps.values())
        clock.stop()
    return found
