"""This project, through its public interface."""

import asyncio
from pathlib import Path
from typing import Any

from jobs import Job, Step

import orchestrator as orc


def load_engine(client: orc.Orchestrator) -> None:
    """Open the store, and load what executes runs: the start of a process has rows of its own."""
    assert client.backend.engine


@orc.tool
async def noop(value: object = None) -> int:
    """Ignore the argument."""
    return 1


@orc.tool
async def fails() -> int:
    """Fail."""
    raise ValueError("as it is meant to")


@orc.tool(effects="none")
async def compute(value: object = None) -> int:
    """Ignore the argument."""
    return 1


@orc.tool
async def nap(seconds: float, value: object = None) -> int:
    """Sleep."""
    await asyncio.sleep(seconds)
    return 1


def run(job: Job, directory: Path, postgres: str | None, clock: Any, max_parallel: int) -> dict[str, Any]:
    """Run the job; `clock` measures the part between its `start` and `stop`."""
    store = postgres or f"sqlite:///{directory / 'runs.db'}"
    with orc.Orchestrator(
        store=store, tools=[noop, compute, nap], directory=directory, max_parallel=max_parallel
    ) as client:
        pipeline = client.compile({"id": job.name, "steps": [_step(step, effects=job.effects) for step in job.steps]})
        load_engine(client)
        results: list[orc.Result] = []

        async def main() -> None:
            places = asyncio.Semaphore(job.at_once)

            async def one() -> orc.Result:
                async with places:
                    return await pipeline.arun()

            clock.start()
            results.extend(await asyncio.gather(*(one() for _ in range(job.runs))))
            clock.stop()

        asyncio.run(main())
        # What was recorded is read back after the clock has stopped, as with the others.
        return {"stored": sum(step.state == "succeeded" for result in results for step in result.steps.values())}


def _step(step: Step, *, effects: bool) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if step.after:
        parameters["value"] = f"{{{{ {step.after[0]} }}}}"
    if step.seconds:
        parameters["seconds"] = step.seconds
    tool = "nap" if step.seconds else "noop" if effects else "compute"
    spec: dict[str, Any] = {"id": step.id, "tool": tool, "parameters": parameters}
    if len(step.after) > 1:
        spec["dependencies"] = list(step.after)
    return spec
