"""Exceptions of tools, of every kind: each ends its step, and none the run."""

import asyncio
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
async def cancel_everything() -> int:
    for task in asyncio.all_tasks():
        task.cancel()
    return 1


@orc.tool
async def fine() -> int:
    return 1


@pytest.mark.parametrize(
    ("tool", "state", "message"),
    [
        ("stop_the_loop", "failed", "the event loop belongs to Orchestrator; a tool must not stop it"),
        ("stop_the_loop_soon", "succeeded", ""),  # nobody can tell who asked, and the loop runs again
        ("close_the_loop", "failed", "Cannot close a running event loop"),
        ("cancel_everything", "interrupted", ""),
    ],
)
def test_a_tool_cannot_end_the_event_loop_of_all_runs(tmp_path: Path, tool: str, state: str, message: str) -> None:
    tools = [stop_the_loop, stop_the_loop_soon, close_the_loop, cancel_everything, fine]
    with orc.Orchestrator(directory=tmp_path, tools=tools) as client:
        result = client.compile({"steps": [{"id": "a", "tool": tool}]}).start().wait(timeout=20)
        assert result.state == state
        assert message in str(result.error)
        assert client.compile({"steps": [{"id": "a", "tool": "fine"}]}).start().wait(timeout=20).state == "succeeded"
