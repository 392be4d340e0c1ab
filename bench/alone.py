"""Measurements of this project alone: long loops and batches, in bounded memory, and concurrent runs."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from control import cancels, commands
from large_store import pruned, shown
from many_runs import lists
from model_calls import STREAMS, WORK, asking, first, first_step, steps, streamed
from own import load_engine, noop
from readers import readings
from served import services
from workflow_runs import workflows

import orchestrator as orc

AT_ONCE = 200
"""The number of parallel runs of a batch."""

CHAIN = [
    {"id": f"s{number}", "tool": "noop", "parameters": {"value": f"{{{{ s{number - 1} }}}}" if number else "{{ n }}"}}
    for number in range(5)
]
ROW: dict[str, Any] = {"id": "row", "inputs": {"n": {"type": "integer"}}, "steps": CHAIN, "outputs": {"n": "{{ s4 }}"}}


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement: `count` of its `unit`, by a function that returns what it did."""

    title: str
    unit: str
    count: int
    run: Callable[["Measured", Path, Any], dict[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)


def client(directory: Path) -> orc.Orchestrator:
    """Return a client with a separate store."""
    return orc.Orchestrator(store=f"sqlite:///{directory / 'runs.db'}", tools=[noop], directory=directory)


def loop(work: Measured, directory: Path, clock: Any) -> dict[str, Any]:
    """Iterate over the lines of a file, with two steps for each."""
    with (directory / "rows.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"n": number}) + "\n" for number in range(work.count))
    steps = [
        {"id": "first", "tool": "noop", "parameters": {"value": "{{ item.n }}"}},
        {"id": "second", "tool": "noop", "parameters": {"value": "{{ first }}"}},
    ]
    each = {"id": "each", "for_each": {"file": "rows.jsonl"}, "max_parallel": 32, "steps": steps}
    with client(directory) as one:
        pipeline = one.compile({"id": "loop", "steps": [each], "outputs": {"count": "{{ each.count }}"}})
        load_engine(one)
        clock.start()
        run = pipeline.start()
        status = run.wait()
        clock.stop()
        events = sum(1 for event in run.events(follow=False) if event.type == "step.succeeded")
    return {"stored": (events - 1) // 3 if status.state == "succeeded" else 0}


def batch(work: Measured, directory: Path, clock: Any) -> dict[str, Any]:
    """Run a pipeline of five steps once for each row."""

    def rows() -> Iterator[dict[str, int]]:
        for number in range(work.count):
            yield {"n": number}

    with client(directory) as one:
        pipeline = one.compile(ROW)
        load_engine(one)
        clock.start()
        good = sum(result.ok for result in pipeline.map(rows(), max_parallel=AT_ONCE))
        clock.stop()
    return {"stored": good}


def contended(width: int, work: Measured, directory: Path, clock: Any) -> dict[str, Any]:
    """Run five steps, alone and during a run of `width` independent steps; `latency` and `worst` in seconds."""
    huge: dict[str, Any] = {"id": "huge", "steps": [{"id": f"h{n}", "tool": "noop"} for n in range(width)]}
    with client(directory) as one:
        small = one.compile(ROW)
        wide = one.compile(huge).with_options(max_parallel=width)

        async def latencies() -> list[float]:
            found = []
            for number in range(work.count):
                began = time.perf_counter()
                await small.arun(n=number)
                found.append(time.perf_counter() - began)
            return found

        async def main() -> tuple[list[float], list[float]]:
            await latencies()
            alone = await latencies()
            found: list[float] = []
            while len(found) < work.count:
                run = await wide.astart()
                while (await run.astatus()).state == "running" and len(found) < work.count:
                    began = time.perf_counter()
                    await small.arun(n=0)
                    found.append(time.perf_counter() - began)
                await run.wait_async()
            return alone, found

        clock.start()
        alone, found = asyncio.run(main())
        clock.stop()
    return {
        "stored": len(found),
        "alone": statistics.median(alone),
        "latency": statistics.median(found),
        "worst": max(found),
    }


MEASURED: Mapping[str, Callable[[bool], list[Measured]]] = {
    "loop": lambda quick: [
        Measured(f"`for_each` over {count:,} lines, 2 steps each", "item", count, loop)
        for count in ((20, 40) if quick else (10_000, 100_000))
    ],
    "batch": lambda quick: [
        Measured(f"batch of {count:,} rows, 5 steps each, {AT_ONCE} at once", "row", count, batch)
        for count in ((20, 40) if quick else (1_000, 10_000))
    ],
    "models": lambda quick: [
        *(
            Measured(f"model asked by {name}, {at_once} at once", "call", 20 if quick else 1_000, asking(who, at_once))
            for name, who, at_once in WORK
        ),
        *(
            Measured(f"answer streamed to {name}, 1 at once", "call", 20 if quick else 1_000, asking(who, 1))
            for name, who in STREAMS
        ),
        *(
            Measured(f"streams of a model, {count:,} at once", "stream", count, asking(streamed, count))
            for count in ((20,) if quick else (100, 1_000))
        ),
        *(
            Measured(f"steps that ask a model, {at_once} at once", "step", 20 if quick else 1_000, steps(at_once))
            for at_once in (1, 100)
        ),
        Measured("first call of a model in a process", "call", 1, first),
        Measured("first step that asks a model in a process", "step", 1, first_step),
    ],
    "control": lambda quick: [
        Measured("commands from another process", "command", 4 if quick else 40, commands),
        Measured("cancel of a program that ignores SIGTERM", "cancel", 1, cancels),
    ],
    "show": lambda quick: [
        Measured(f"`show` of a loop of {count:,} items", "item", count, shown)
        for count in ([4_000] if quick else [1_000_000])
    ],
    "prune": lambda quick: [
        Measured(f"p95 of a small run, and next to pruning {count:,} of {2 * count:,} runs", "run", count, pruned)
        for count in ([20] if quick else [50_000])
    ],
    "workflows": lambda quick: [Measured(*each) for each in workflows(quick)],
    "list": lambda quick: [Measured(*each) for each in lists(200 if quick else 100_000)],
    "serve": lambda quick: [Measured(*each) for each in services(quick)],
    "readers": lambda quick: [Measured(*each) for each in readings(quick)],
    "contended": lambda quick: [
        Measured(f"5 steps during a run of {width:,}", "run", count, partial(contended, width))
        for width, count in ([(100, 5)] if quick else [(10_000, 100)])
    ],
}
"""Measurements by name, each in sizes that show what grows with the size."""
