"""Exceptions of tools, of every kind: each ends its step, and none the run."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc


class Stop(BaseException):
    """What a library raises that wants to get past `except Exception`."""


class Unreadable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    "error",
    [
        Stop("no more"),
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
        BaseExceptionGroup("both", [Stop(), ValueError()]),
        StopIteration(),
        Unreadable(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("place", ["coroutine", "thread", "result", "thread's result"])
def test_whatever_a_tool_raises_ends_its_step_and_not_the_run(error: BaseException, place: str, tmp_path: Path) -> None:
    class Result:
        def model_dump(self, mode: str) -> Any:
            raise error

    async def in_coroutine() -> Any:
        if place == "coroutine":
            raise error
        return Result()

    def in_thread() -> Any:
        if place == "thread":
            raise error
        return Result()

    in_coroutine.__name__ = in_thread.__name__ = "work"
    work = orc.tool(in_thread) if place.startswith("thread") else orc.tool(in_coroutine)
    with orc.Orchestrator(directory=tmp_path, store="sqlite://", tools=[work]) as client:
        steps = [{"id": "s", "tool": "work", "on_failure": "continue"}]
        last = [{"id": "f", "tool": "log", "parameters": {"message": "x"}}]
        steps = client.compile({"steps": steps, "finally": last}).run().steps
        failed, last = steps["s"].error, steps["finally.f"].state
    assert failed is not None
    kind = "RuntimeError" if isinstance(error, StopIteration) and place == "coroutine" else type(error).__name__
    assert failed["type"] == kind
    assert last == "succeeded"


@pytest.mark.parametrize(
    ("code", "listed", "type"),
    [
        ("raise ValueError('boom')", "ValueError", "ValueError"),
        ("class Odd(LookupError): ...\nraise Odd('boom')", "LookupError", "Odd"),
        ("class Odd(LookupError): ...\nraise Odd('boom')", "Odd", "Odd"),
        ("import json\njson.loads('{')", "ValueError", "JSONDecodeError"),
        ("raise SystemExit(3)", "SystemExit", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("1 +", "SyntaxError", "SyntaxError"),
    ],
)
def test_handlers_and_retries_know_exceptions_of_python_code_by_name(
    code: str, listed: str, type: str, tmp_path: Path
) -> None:
    step = {
        "id": "s",
        "tool": "python",
        "parameters": {"code": code},
        "retry": {"max_attempts": 2, "delay": 0, "on": [listed]},
        "on_error": {"error_types": [listed], "fallback_value": "{{ error.type }} after {{ error.attempts }}"},
    }
    allowed = orc.Permissions(tmp_path).extended(run=["python"])
    with orc.Orchestrator(directory=tmp_path, store="sqlite://", permissions=allowed) as client:
        result = client.compile({"steps": [step], "outputs": {"s": "{{ s }}"}}).run()
    assert result.outputs == {"s": f"{type} after 2"}


STARTED = threading.Event()
RELEASE = threading.Event()


@orc.tool
async def stop_the_loop() -> int:
    asyncio.get_running_loop().stop()
    return 1


@orc.tool
async def stop_the_loop_soon() -> int:
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.stop)
    await asyncio.sleep(0)
    return 1


@orc.tool
async def close_the_loop() -> int:
    asyncio.get_running_loop().close()
    return 1


@orc.tool
async def run_the_loop() -> int:
    work = asyncio.sleep(0)
    try:
        asyncio.get_running_loop().run_until_complete(work)
    finally:
        work.close()
    return 1


@orc.tool
async def replace_the_handler() -> int:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    return 1


@orc.tool
async def cancel_everything() -> int:
    for task in asyncio.all_tasks():
        if task.get_name() != "the caller":
            task.cancel()
    return 1


@orc.tool
async def cancel_everything_else() -> int:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if task.get_name() != "the caller":
            task.cancel()
    return 1


@orc.tool
async def cancel_itself() -> int:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return 1


@orc.tool
def cancel_everything_from_a_thread(context: orc.ToolContext) -> int:
    for task in asyncio.all_tasks(LOOPS[-1]):
        if task.get_name() != "the caller":
            task.cancel()
    return 1


@orc.tool
def exit_a_thread() -> int:
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    return 1


LOOPS: list[asyncio.AbstractEventLoop] = []


@orc.tool
async def wait_with_children() -> int:
    """What a run next to the bad tool does: it has tasks of its own."""
    LOOPS.append(asyncio.get_running_loop())

    async def wait() -> int:
        await asyncio.to_thread(RELEASE.wait)
        return 1

    children = [asyncio.ensure_future(wait()) for _ in range(3)]
    await asyncio.sleep(0)
    STARTED.set()
    return sum(await asyncio.gather(*children))


NOT_ITS_TASKS = "a tool must not cancel tasks that it did not start"
BAD_TOOLS = [
    (stop_the_loop, "failed", "a tool must not stop the event loop"),
    (stop_the_loop_soon, "succeeded", ""),
    (close_the_loop, "failed", "Cannot close a running event loop"),
    (run_the_loop, "failed", "RuntimeError"),
    (replace_the_handler, "succeeded", ""),
    (cancel_everything, "failed", "cancel"),
    (cancel_everything_else, "failed", NOT_ITS_TASKS),
    (cancel_everything_from_a_thread, "failed", "cancel"),  # its own task may be the first of the set
    (cancel_itself, "failed", "cancelled its own task"),
    pytest.param(
        *(exit_a_thread, "succeeded", ""),
        marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    ),
]


@pytest.fixture
def bad_client(tmp_path: Path) -> Iterator[orc.Orchestrator]:
    STARTED.clear()
    RELEASE.clear()
    with orc.Orchestrator(
        directory=tmp_path, tools=[wait_with_children, exit_a_thread, *(each[0] for each in BAD_TOOLS[:-1])]
    ) as client:
        yield client
        RELEASE.set()


def named(tool: Any) -> dict[str, Any]:
    return {"steps": [{"id": "a", "tool": tool.__name__}]}


def check(status: Any, state: str, message: str) -> None:
    assert status.state == state
    if state == "failed":
        assert status.error["code"] == "ORC701"
        assert message in status.error["message"]


@pytest.mark.parametrize(("tool", "state", "message"), BAD_TOOLS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_tool_cannot_harm_the_event_loop_or_the_runs_next_to_it(
    bad_client: orc.Orchestrator, tool: Any, state: str, message: str
) -> None:
    other = bad_client.compile(named(wait_with_children)).start()
    STARTED.wait()
    check(bad_client.compile(named(tool)).start().wait(timeout=20), state, message)
    RELEASE.set()
    assert other.wait(timeout=20).state == "succeeded"


@pytest.mark.parametrize(("tool", "state", "message"), BAD_TOOLS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_tool_cannot_harm_the_runs_on_a_loop_of_the_caller(
    bad_client: orc.Orchestrator, tool: Any, state: str, message: str
) -> None:
    async def main() -> tuple[Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("the caller")
        other = await bad_client.compile(named(wait_with_children)).astart()
        await asyncio.to_thread(STARTED.wait)
        run = await bad_client.compile(named(tool)).astart()
        ended = await run.wait_async()
        RELEASE.set()
        return ended, await other.wait_async()

    ended, other = asyncio.run(main())
    check(ended, state, message)
    assert other.state in (("succeeded", "failed") if "cancel_everything" in tool.__name__ else ("succeeded",))


def test_the_caller_can_stop_the_loop_that_executes_a_run(bad_client: orc.Orchestrator) -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        run = loop.run_until_complete(bad_client.compile(named(wait_with_children)).astart())
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        RELEASE.set()
        assert loop.run_until_complete(run.wait_async()).state == "succeeded"


@orc.tool
async def cancel_its_own_children() -> str:
    async def wait() -> None:
        await asyncio.sleep(60)

    child = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    child.cancel()
    with suppress(asyncio.CancelledError):
        await child
    try:
        async with asyncio.timeout(0.01):
            await wait()
    except TimeoutError:
        return "in time"
    return "late"


def test_a_tool_can_cancel_what_it_has_started_itself(tmp_path: Path) -> None:
    pipeline = {"steps": [{"id": "a", "tool": "cancel_its_own_children"}], "outputs": {"a": "{{ a }}"}}
    with orc.Orchestrator(directory=tmp_path, tools=[cancel_its_own_children]) as client:
        assert client.compile(pipeline).run().outputs == {"a": "in time"}


def test_a_tool_can_cancel_a_run_that_it_has_started(tmp_path: Path) -> None:
    @orc.tool
    async def slow() -> int:
        await asyncio.sleep(60)
        return 1

    @orc.tool
    async def outer() -> str:
        inner = client.compile({"steps": [{"id": "s", "tool": "slow"}]})
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await inner.arun()
        run = await inner.astart()
        await run.acancel()
        return (await run.wait_async()).state

    with orc.Orchestrator(directory=tmp_path, tools=[slow, outer]) as client:
        pipeline = {"steps": [{"id": "a", "tool": "outer"}], "outputs": {"a": "{{ a }}"}}
        assert client.compile(pipeline).run().outputs == {"a": "cancelled"}
        assert {status.state for status in client.list_runs()} == {"cancelled", "succeeded"}


EXITS = """
import os
import orchestrator as orc

@orc.tool
def leave(path: str) -> int:
    if not os.path.exists(path):
        open(path, "w").close()
        os._exit(3)
    return 1

if __name__ == "__main__":
    steps = [{"id": "first", "tool": "log", "parameters": {"message": "x"}},
             {"id": "a", "tool": "leave", "dependencies": ["first"], "parameters": {"path": "left"}}]
    orc.Orchestrator(tools=[leave]).compile({"steps": steps, "outputs": {"a": "{{ a }}"}}).run()
"""


def test_a_tool_that_ends_the_process_is_a_crash_after_which_the_run_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving.py").write_text(EXITS)
    assert subprocess.run([sys.executable, "leaving.py"], cwd=tmp_path, check=False).returncode == 3
    monkeypatch.chdir(tmp_path)
    with orc.Orchestrator(tools="leaving.py") as client:
        assert client.resume("last").result().outputs == {"a": 1}
