"""The real command, run as a process in a project directory of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.app import run_command

TOOLS = '''
import asyncio
from pathlib import Path

import orchestrator as orc


@orc.tool
def echo(value: str) -> str:
    """Return the value."""
    return value


@orc.tool
def flaky(file: str, context: orc.ToolContext) -> int:
    """Fail until the file holds two lines; each attempt adds one."""
    path = context.directory / file
    tries = len(path.read_text().splitlines()) if path.exists() else 0
    with path.open("a") as out:
        print("tried", file=out)
    if tries < 2:
        raise ValueError(f"try number {tries + 1}")
    return tries


@orc.tool
def broken(context: orc.ToolContext) -> str:
    """Fail unless the file `mended` is there."""
    if not (context.directory / "mended").exists():
        raise RuntimeError("not mended yet")
    return "mended"


@orc.tool
async def hang(context: orc.ToolContext) -> str:
    """Report progress and never end by itself."""
    context.progress(0.4, "page 4 of 10")
    await asyncio.Event().wait()
    return ""


@orc.tool
async def gate(fifo: str, context: orc.ToolContext) -> str:
    """Wait until somebody writes to a named pipe."""
    context.progress(None, "at the gate")
    return await asyncio.to_thread((context.directory / fifo).read_text)
'''

GREET = """
id: greet
inputs:
  who: world
  times:
    type: integer
    default: 1
steps:
  - id: hello
    tool: echo
    parameters:
      value: "Hello, {{ who }}!"
  - id: again
    tool: echo
    condition: times > 1
    parameters:
      value: "{{ hello }} And again."
  - id: tried
    tool: flaky
    parameters:
      file: "{{ run.id }}.tries"
    retry: {max_attempts: 3, delay: 0.01s}
outputs:
  greeting: "{{ hello }}"
  tries: "{{ tried }}"
"""

BROKEN = """
id: broken
steps:
  - id: first
    tool: echo
    parameters: {value: one}
  - id: second
    tool: broken
    dependencies: [first]
outputs:
  second: "{{ second }}"
"""

HANG = """
id: hang
steps:
  - id: first
    tool: echo
    parameters: {value: one}
  - id: forever
    tool: hang
    dependencies: [first]
"""

GATE = """
id: gate
steps:
  - id: waits
    tool: gate
    parameters: {fifo: fifo}
  - id: after
    tool: echo
    parameters: {value: "{{ waits }}"}
outputs:
  after: "{{ after }}"
"""

WRONG = """
id: wrong
inputs:
  topic: tides
steps:
  - id: one
    tool: echo
    parameters:
      value: "{{ topik }}"
"""

FILES = {
    "tools.py": TOOLS,
    "greet.yaml": GREET,
    "broken.yaml": BROKEN,
    "hang.yaml": HANG,
    "gate.yaml": GATE,
    "wrong.yaml": WRONG,
}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Started(subprocess.Popen[str]):
    """A process that does not outlive a test that fails."""

    def __exit__(self, kind: Any, *exception: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *exception)


@dataclass(frozen=True)
class Project:
    """A directory with pipelines, and the command run in it."""

    directory: Path
    tools: str | None = "tools.py"

    def argv(self, *words: str) -> list[str]:
        takes_tools = words[0] in ("run", "resume", "retry", "fork", "answer", "check", "graph", "tools")
        tools = ["--tools", self.tools] if self.tools and takes_tools and "--help" not in words else []
        return [sys.executable, "-P", "-m", "orchestrator.cli", *words, *tools]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORCHESTRATOR_", "COV"))}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):  # a terminal says for itself how large it is
            kept.pop(name, None)
        return {**kept, "TERM": "xterm-256color", "PYTHONWARNINGS": "error", **more}

    def __call__(self, *words: str) -> Done:
        """Run a command within this process: the same code without the start of an interpreter."""
        argv = self.argv(*words)
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
        with chdir(self.directory), redirect_stdout(streams[0]), redirect_stderr(streams[1]):
            code = run_command(argv[argv.index("orchestrator.cli") + 1 :])
        out, err = (stream.buffer.getvalue().decode() for stream in streams if not stream.flush())
        assert "Traceback" not in err, err
        return Done(code, out, err)

    def process(self, *words: str, input: str | None = None, env: dict[str, str] | None = None) -> Done:
        """Run a command in a process of its own."""
        done = subprocess.run(
            self.argv(*words),
            cwd=self.directory,
            env=self.environment(**(env or {})),
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **options: Any) -> "Started":
        return Started(
            self.argv(*words),
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def detach(self, file: str) -> str:
        """Start a run in the background and return its id."""
        done = self.process("run", file, "--detach", "--quiet")
        assert done.code == 0, done.err
        return done.out.strip()

    def until(self, run_id: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Follow a run's events until one is wanted."""
        with self.start("events", run_id, "--follow", "--json") as process:
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                if wanted(event):
                    process.kill()
                    return event
        raise AssertionError("the run ended before")


def make_project(directory: Path, names: Sequence[str] = tuple(FILES)) -> Project:
    for name in names:
        (directory / name).write_text(FILES[name].lstrip(), encoding="utf-8")
    return Project(directory)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without runs."""
    return make_project(tmp_path)


@dataclass(frozen=True)
class Finished:
    """A project with one run that succeeded and one, the newest, that failed."""

    project: Project
    succeeded: Done
    failed: Done


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    project = make_project(tmp_path_factory.mktemp("finished"))
    succeeded = project.process("run", "greet.yaml", "--json", "-i", "who=Ada")
    return Finished(project, succeeded, project.process("run", "broken.yaml"))
