"""A process that makes processes which execute runs, so that a test can kill them.

It reads requests from stdin, one JSON object a line, and answers each with one line. Every worker is a fork of this
process, which has imported everything and started no thread: a worker costs milliseconds, and dies alone.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator as orc
from orchestrator.journal import Store
from orchestrator.models.messages import Embeddings, ModelName, ModelReply, ModelRequest, ToolRequest, current_step

if TYPE_CHECKING:
    from collections.abc import Sequence


def note(context: orc.ToolContext) -> None:
    """Append the step's name to the file of all calls."""
    note_in(context.directory, context.step)


def note_in(directory: Path, step: str) -> None:
    """Append a step's name to the file of all calls, in one write."""
    descriptor = os.open(directory / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{step}\n".encode())
    os.close(descriptor)


@orc.tool
async def add(context: orc.ToolContext, numbers: list[int]) -> int:
    """Return the sum, by one more."""
    note(context)
    return sum(numbers) % 1_000_003 + 1


@orc.tool(effects="none")
async def total(context: orc.ToolContext, numbers: list[int]) -> int:
    """Return the sum, without effects, but for the note that the test needs."""
    note(context)
    return sum(numbers)


@orc.tool
def gate(context: orc.ToolContext, value: Any = None) -> Any:
    """Wait until somebody writes to the pipe that has the step's name."""
    note(context)
    (context.directory / context.step).read_bytes()
    return value


@orc.tool
def second(context: orc.ToolContext) -> int:
    """Fail at first; the second attempt waits, as `gate` does."""
    note(context)
    if context.attempt == 1:
        raise orc.StepError("not yet")
    (context.directory / context.step).read_bytes()
    return context.attempt


@orc.tool
async def broken(context: orc.ToolContext, value: Any = None) -> None:
    """Fail."""
    note(context)
    raise orc.StepError("it broke")


@orc.tool
async def deadly(context: orc.ToolContext) -> int:
    """End the process the first time, as soon as it is called."""
    note(context)
    if (context.directory / "calls").read_text().split().count(context.step) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1


TOOLS = [add, total, gate, second, broken, deadly]


class Told:
    """A model that is told what to say: the prompt is a list, with a text or requests for tools for each turn.

    It answers at once, unless there is a pipe of the name of the step that asks: then it waits for that, as `gate`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def ask(self, name: ModelName, request: ModelRequest, *, on_text: Any = None) -> ModelReply:
        step = current_step.get()
        note_in(self._directory, step)
        pipe = self._directory / step
        if pipe.exists():
            await asyncio.to_thread(pipe.read_bytes)
        said = json.loads(str(request.messages[0].content))
        answer = said[sum(message.role == "assistant" for message in request.messages)]
        if isinstance(answer, str):
            return ModelReply(" ".join([answer, *(str(one.content) for one in request.messages if one.role == "tool")]))
        requests = (ToolRequest(str(number), tool, given) for number, (tool, given) in enumerate(answer))
        return ModelReply("", requests=tuple(requests), finish="tools")

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


def work(request: dict[str, Any], report: int) -> None:
    """Do what is asked in a process of its own, and write what came of it."""
    directory = Path(request["directory"])
    with orc.Orchestrator(directory=directory, tools=TOOLS, models=Told(directory)) as client:
        try:
            if "resume" in request:
                run = client.resume(request["resume"])
            else:
                run = client.compile(directory / "pipeline.yaml").start()
            os.write(report, json.dumps({"run": run.id}).encode() + b"\n")
            outputs = run.result().outputs
            os.write(report, json.dumps({"outputs": outputs}).encode() + b"\n")
        except orc.OrchestratorError as error:
            os.write(report, json.dumps({"error": error.code}).encode() + b"\n")


def warm_up() -> None:
    """Have everything imported before the first fork."""
    with tempfile.TemporaryDirectory() as directory, orc.Orchestrator(directory=directory, tools=TOOLS) as client:
        client.compile({"steps": [{"id": "a", "tool": "add", "parameters": {"numbers": [1]}}]})
        Store.open(f"sqlite:///{directory}/runs.db").close()
    gc.freeze()


def main() -> None:
    """Serve requests: fork a worker for each, wait for one to end."""
    warm_up()
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            print(json.dumps(status), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                with Path(request["report"]).open("wb", buffering=0) as report:
                    if "go" in request:
                        Path(request["go"]).read_bytes()
                    work(request, report.fileno())
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        print(json.dumps(pid), flush=True)


if __name__ == "__main__":
    main()
