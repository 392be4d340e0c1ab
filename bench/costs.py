"""Measurements of this project alone: compiling and importing."""

import statistics
import subprocess
import sys
from typing import Any

STEP = """\
  - id: s{number}
    tool: work
    parameters:
      before: "{before}"
      title: "step {number} on {{{{ topic | upper }}}}"
      size: "{{{{ (topic | length) + {number} }}}}"
"""


def pipeline_text(length: int) -> str:
    """Return a pipeline of as many steps, with three expressions each."""
    lines = ["id: compiled\ninputs:\n  topic: solar cells\nsteps:\n"]
    for number in range(length):
        before = f"{{{{ s{number - 1} }}}}" if number else "{{ topic | lower }}"
        lines.append(STEP.format(number=number, before=before))
    return "".join(lines)


def compile_once(length: int, clock: Any) -> dict[str, Any]:
    """Compile a pipeline in a process that has compiled a small one before, so that everything is loaded."""
    import orchestrator as orc

    @orc.tool
    async def work(before: object, title: str, size: int) -> int:
        """Take three parameters."""
        return 1

    with orc.Orchestrator(tools=[work]) as client:
        client.compile(pipeline_text(1))
        text = pipeline_text(length)
        clock.start()
        pipeline = client.compile(text)
        clock.stop()
        return {"stored": len(pipeline.steps)}


IMPORTS = {
    "orchestrator": "import orchestrator",
    "pydantic": "import pydantic",
    "pydantic.BaseModel": "from pydantic import BaseModel",
    "orchestrator.compile": "from orchestrator import compile",
    "langgraph.graph": "import langgraph.graph",
}
"""The timed statements. Both libraries load lazily, so the second of each shows what the first use adds."""


def import_times(repeat: int) -> dict[str, list[float]]:
    """Return the seconds that each import took, each time in a fresh interpreter, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(repeat + 1):
        for name, statement in IMPORTS.items():
            code = f"from time import perf_counter as t; a = t(); {statement}; print(t() - a)"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                times[name].append(float(done.stdout))
    # The first of each warmed the cache of files.
    return {name: found[1:] for name, found in times.items() if len(found) > 1}


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)
