"""Tools for the tests of the runtime: they note what they are asked to do, and end when a test says so."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20.0
"""Seconds after which a test that waits for something gives up."""


class Bench:
    """One set of tools and what became of their calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.running = 0
        self.most_running = 0
        self.entered: dict[str, threading.Event] = defaultdict(threading.Event)
        self.opened: dict[str, threading.Event] = defaultdict(threading.Event)
        self.stopped: dict[str, threading.Event] = defaultdict(threading.Event)
        self.failures: dict[str, int] = {}
        self.finished: Callable[[str], None] = lambda step: None

    def tools(self) -> list[Any]:
        """The tools, for `Orchestrator(tools=...)`."""

        @orc.tool
        async def echo(context: orc.ToolContext, value: Any = None) -> Any:
            self.calls.append(context.step)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            await asyncio.sleep(0)
            self.running -= 1
            return value

        @orc.tool
        def gate(context: orc.ToolContext, value: Any = None) -> Any:
            """Hold a thread until the test opens the gate."""
            self.calls.append(context.step)
            self.entered[context.step].set()
            assert self.opened[context.step].wait(PATIENCE)
            return value

        @orc.tool
        async def hang(context: orc.ToolContext) -> None:
            """Never end, unless stopped."""
            self.calls.append(context.step)
            self.entered[context.step].set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped[context.step].set()

        @orc.tool
        async def fail(context: orc.ToolContext, message: str = "it broke", retryable: bool = True) -> None:
            self.calls.append(context.step)
            raise orc.StepError(message, retryable=retryable)

        @orc.tool
        async def flaky(context: orc.ToolContext, value: Any = None) -> Any:
            """Fail as often as `failures` says for this step."""
            self.calls.append(context.step)
            left = self.failures.get(context.step, 0)
            if left:
                self.failures[context.step] = left - 1
                raise orc.StepError(f"{left} failures left")
            return value

        @orc.tool
        async def report(context: orc.ToolContext, fraction: float, message: str) -> None:
            """Report progress, then wait for the gate without holding the loop."""
            context.progress(fraction, message)
            context.log("a line")
            self.entered[context.step].set()
            await asyncio.to_thread(self.opened[context.step].wait, PATIENCE)

        @orc.tool
        async def stuck_second(context: orc.ToolContext) -> None:
            """Fail, but be under way for ever the first time that a second attempt is made."""
            self.calls.append(context.step)
            if len(self.calls) == 2:
                self.entered[context.step].set()
                await asyncio.Event().wait()
            raise orc.StepError("it broke")

        return [echo, gate, hang, fail, flaky, report, stuck_second]

    def open(self, *steps: str) -> None:
        """Let these steps end."""
        for step in steps:
            self.opened[step].set()

    def wait_for(self, *steps: str) -> None:
        """Return when these steps run."""
        for step in steps:
            assert self.entered[step].wait(PATIENCE), f"{step} was not started"


def step(id: str, tool: str = "echo", *after: str, **more: Any) -> dict[str, Any]:
    """A step as it stands in a file; keys that are no keys of a step are parameters."""
    keys = {"condition", "retry", "timeout", "on_failure", "on_success", "on_false"}
    entry: dict[str, Any] = {"id": id, "tool": tool}
    if after:
        entry["dependencies"] = list(after)
    entry |= {key: value for key, value in more.items() if key in keys}
    parameters = {key: value for key, value in more.items() if key not in keys}
    return entry | ({"parameters": parameters} if parameters else {})


def pipeline(*steps: dict[str, Any], outputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A pipeline as it stands in a file."""
    return {"id": "test", **more, "steps": list(steps), **({"outputs": outputs} if outputs else {})}


def states(result: orc.Result) -> dict[str, str]:
    """The state of each step."""
    return {path: one.state for path, one in result.steps.items()}


def ended(pipeline: orc.Pipeline, **inputs: Any) -> orc.Result:
    """Run a pipeline and return the result, however it ended."""
    try:
        return pipeline.run(inputs)
    except (orc.RunFailed, orc.RunCancelled) as stop:
        result: orc.Result = stop.result
        return result


def crash(client: orc.Orchestrator, run: orc.Run, *, lost: Callable[[], object] = lambda: None) -> None:
    """Have the run lost by its process, as if that had died: what is recorded stays, and nothing is added.

    `lost` is called when nothing can be recorded any more.
    """
    engine = client.backend.engine
    execution = engine.execution(run.id)
    assert execution is not None
    execution.journal.flush(PATIENCE)
    error = engine.store.lease_lost(execution.lease)
    execution.journal.error = error
    execution.lose(error)
    lost()
    with pytest.raises(orc.LeaseLost):
        run.wait(timeout=PATIENCE)
