"""A caller who is cancelled, blocks, or forks: no run is left that nobody executes, and nothing hangs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.errors import ConfigurationError
from tests.runtime.support import pipeline, step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

TWO = pipeline(step("a", value="x"), step("b", "hang", "a"))
SIMPLE = pipeline(step("a", value="x"), outputs={"a": "{{ a }}"})


async def cancelled_after(turns: int, work: Awaitable[object]) -> None:
    """Cancel something after so many turns of the event loop."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def states_of_runs_left(client: orc.Orchestrator) -> set[str]:
    """The states of all runs, as soon as those that are not executed here have been given back."""
    while True:
        found = await asyncio.to_thread(lambda: client.list_runs(limit=1000))
        if not [each for each in found if each.owner and client.backend.engine.execution(each.run_id) is None]:
            return {each.state for each in found if client.backend.engine.execution(each.run_id) is None}
        await asyncio.sleep(0.01)


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["arun", "astart"])
async def test_a_start_that_is_cancelled_at_any_moment_leaves_no_run_that_nobody_executes(
    client: orc.Orchestrator, method: str
) -> None:
    compiled = client.compile(TWO)
    for turns in range(25):
        await cancelled_after(turns, getattr(compiled, method)())
    assert await states_of_runs_left(client) <= {"cancelled"}


@pytest.mark.anyio
async def test_a_resume_that_is_cancelled_at_any_moment_leaves_the_run_to_the_next(client: orc.Orchestrator) -> None:
    run = await client.compile(SIMPLE).astart()
    await run.aresult()
    for turns in range(25):
        await cancelled_after(turns, client.aretry(run.id, "a"))
        if (execution := client.backend.engine.execution(run.id)) is not None:
            await asyncio.wrap_future(execution.left)
        assert await states_of_runs_left(client) <= {"succeeded", "interrupted"}
    assert (await (await client.aretry(run.id, "a")).aresult()).state == "succeeded"


@pytest.mark.anyio
async def test_a_fork_that_is_cancelled_at_any_moment_leaves_no_run_that_nobody_executes(
    client: orc.Orchestrator,
) -> None:
    run = await client.compile(SIMPLE).astart()
    await run.aresult()
    for turns in range(25):
        await cancelled_after(turns, client.afork(run.id, from_step="a"))
    for execution, _ in list(client.backend.engine._live.values()):
        await asyncio.wrap_future(execution.left)
    assert await states_of_runs_left(client) <= {"succeeded", "cancelled"}


@pytest.mark.parametrize("turns", range(5))
def test_a_loop_that_ends_right_after_the_start_leaves_the_run_to_be_resumed(
    client: orc.Orchestrator, turns: int
) -> None:
    async def leave() -> str:
        run = await client.compile(SIMPLE).astart()
        for _ in range(turns):
            await asyncio.sleep(0)
        return run.id

    run = client.get_run(asyncio.run(leave()))
    assert run.wait().state in ("interrupted", "succeeded")
    if run.status().state == "interrupted":
        client.resume(run.id)
    assert run.result().outputs == {"a": "x"}


# --- sync methods where the run is executed


BLOCKING: dict[str, Callable[[orc.Run], object]] = {
    "await run.aresult()": lambda run: run.result(),
    "await run.wait_async()": lambda run: run.wait(timeout=60),
    "async for event in run.aevents()": lambda run: run.events(),
}


@pytest.mark.anyio
@pytest.mark.parametrize("twin", BLOCKING)
@pytest.mark.parametrize("other", [False, True], ids=["this handle", "another orchestrator's"])
async def test_a_sync_method_that_would_block_the_runs_own_loop_names_its_twin(
    client: orc.Orchestrator, url: str, tmp_path: Path, twin: str, other: bool
) -> None:
    run = await client.compile(TWO).astart()
    with orc.Orchestrator(directory=tmp_path, store=url) as second:
        handle = second.get_run(run.id) if other else run
        with pytest.raises(ConfigurationError) as caught:
            BLOCKING[twin](handle)
        assert twin in str(caught.value.help)
    assert run.status().state == "running"
    assert [event.type for event in run.events(follow=False)][:1] == ["run.created"]
    await run.acancel()
    await run.wait_async()
    assert run.wait().state == "cancelled"


@pytest.mark.anyio
async def test_resume_and_retry_of_a_run_on_its_own_loop_name_their_twins(client: orc.Orchestrator) -> None:
    run = await client.compile(TWO).astart()
    with pytest.raises(ConfigurationError, match="aretry"):
        client.retry(run.id, "a")
    await run.acancel()


def test_a_batch_inside_of_an_async_tool_names_its_twin(tmp_path: Path) -> None:
    inner: list[orc.Pipeline] = []

    @orc.tool
    async def nested() -> list[Any]:
        """Run a batch from inside of the loop that would have to carry it out."""
        return list(inner[0].map([{}]))

    with orc.Orchestrator(directory=tmp_path, tools=[nested]) as client:
        inner.append(client.compile({"steps": [{"id": "a", "action": "sleep", "parameters": {"seconds": 0}}]}))
        with pytest.raises(orc.RunFailed, match="blocking call"):
            client.compile({"steps": [{"id": "n", "tool": "nested"}]}).run()


# --- fork


FORKED = """
import os
import sys

import orchestrator as orc

pipeline = orc.compile({"steps": [{"id": "a", "tool": "text", "action": "template",
                                   "parameters": {"template": "x{{ n }}"}}],
                        "inputs": {"n": 0}, "outputs": {"a": "{{ a }}"}})
handle = pipeline.start(n=1)
handle.result()
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        assert pipeline.run(n=number).outputs == {"a": f"x{number}"}
        assert orc.compile(pipeline.plan.source_text).run(n=7).outputs == {"a": "x7"}
        assert handle.status().state == "succeeded" and handle.result().outputs == {"a": "x1"}
        assert len(list(pipeline.map([{"n": 1}, {"n": 2}]))) == 2
        sys.exit(0)
    children.append(child)
assert pipeline.run(n=9).outputs == {"a": "x9"}
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0, 0, 0], codes
assert {status.state for status in orc.list_runs()} == {"succeeded"}
print(len(orc.list_runs()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked on this system")
def test_a_child_of_fork_uses_what_its_parent_has_used(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "14"
