"""The start of a process: commands on a small pipeline and a small store, imports, and the memory after a compilation.

Each is measured from outside, by what the system counts for the process that has ended.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from contenders import is_installed
from machine import environment

PIPELINE = """\
id: started
inputs:
  topic: solar cells
steps:
  - id: title
    tool: text
    action: template
    parameters:
      template: "A report on {{ topic | upper }}"
  - id: parts
    tool: json
    action: query
    parameters:
      data: {title: "{{ title }}", size: "{{ topic | length }}"}
      path: title
  - id: noted
    tool: log
    parameters:
      message: "{{ parts }}"
outputs:
  title: "{{ title }}"
"""
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "check": ("check", "started.yaml"),
    "run": ("run", "started.yaml", "--quiet"),
    "status": ("status", "last"),
    "runs": ("runs",),
    "show": ("show", "last"),
}
IMPORTS = (
    "import orchestrator",
    "import pydantic",
    "from pydantic import BaseModel",  # Pydantic loads lazily, as this project does: this is what the first use adds
    "import dbos",
    "import langgraph.graph",
)
NOTHING = "`python -c pass`"
COMPILED = "`import orchestrator` and `compile`"
SCRIPT = "from orchestrator.cli import main; main()"
MEMORY = "print(open('/proc/self/status').read().split('VmRSS:')[1].split()[0])"
STARTS: Mapping[str, tuple[str, ...]] = {
    NOTHING: ("pass",),
    **{f"`orchestrator {name}`": (SCRIPT, *words) for name, words in COMMANDS.items()},
    COMPILED: (f"import orchestrator; orchestrator.compile('started.yaml'); {MEMORY}",),
    **{f"`{statement}`": (statement,) for statement in IMPORTS},
}
"""The code that Python executes, and its arguments."""

TIMES = 5
"""A sample is the median of so many processes."""


def starts() -> list[str]:
    """Return the names of the starts that can be measured here."""
    return [name for name, (code, *_) in STARTS.items() if name[1:-1] not in IMPORTS or is_installed(code.split()[1])]


def started(name: str, directory: Path, *, quick: bool) -> dict[str, Any]:
    """Start a process some times, and return the medians of its wall and processor time."""
    (directory / "started.yaml").write_text(PIPELINE, encoding="utf-8")
    if name in ("`orchestrator status`", "`orchestrator runs`", "`orchestrator show`"):
        process((SCRIPT, *COMMANDS["run"]), directory)
    process(STARTS[name], directory)  # reads the files and writes their bytecode
    found = [process(STARTS[name], directory) for _ in range(1 if quick else TIMES)]
    figures = {key: median(each[key] for each in found) for key in ("wall", "cpu")}
    if name == COMPILED:
        figures["memory"] = median(int(each["text"]) / 1024 for each in found)
    return {"stored": 1, **figures}


def process(words: tuple[str, ...], directory: Path) -> dict[str, Any]:
    """Run one process; return the seconds that it took, of the clock and of processors, and what it printed."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", *words],
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        assert running.stdout is not None
        text = running.stdout.read()
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if running.returncode:
        raise SystemExit(f"{words} failed: {text}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "text": text}
