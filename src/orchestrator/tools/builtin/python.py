"""Run Python code in a process of its own, with JSON data in and out."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypedDict

from orchestrator.errors import StepError, StepTimeout
from orchestrator.tools import python_driver
from orchestrator.tools.builtin.access import permitted
from orchestrator.tools.contract import Refusal, ToolContext
from orchestrator.tools.definition import tool
from orchestrator.tools.permissions import Permissions
from orchestrator.tools.processes import Completed, run_program

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "TZ", "SSL_CERT_FILE")
_SHOWN = 2_000


class PythonResult(TypedDict):
    """The value of the variable `result` when the code has ended, and what it printed."""

    result: Any
    stdout: str
    stderr: str


def _refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    refusal = permissions.check_run(["python"], parameter=None)
    directory = known.get("cwd")
    if refusal is None and isinstance(directory, str):
        return permissions.check_read(directory, parameter="cwd")
    return refusal


@tool(primary="result", refusal=_refusal)
async def execute(
    code: Annotated[str, "The code. It reads `inputs` and assigns `result`, which must be JSON data."],
    context: ToolContext,
    inputs: Annotated[Any, "The value of the variable `inputs`."] = None,
    cwd: Annotated[str, "The directory to run in."] = ".",
    env: Annotated[dict[str, str] | None, "Environment variables; no others but `PATH`, `HOME` and the like."] = None,
    timeout: Annotated[float | None, "Seconds after which the process and all it started are ended."] = None,  # noqa: ASYNC109 - the name that pipelines use
    max_output: Annotated[int, "Bytes of each output that are kept."] = 1_000_000,
) -> PythonResult:
    """Run Python code in a separate process, with the interpreter and the packages that run Orchestrator.

    Needs `--allow-run`, or `run = ["python"]` under `[allow]` in orchestrator.toml. The process is isolated from the
    environment (no `PYTHONPATH`, no secrets in variables), but it may do what this user may do.

    Example:
        - id: mean
          tool: python
          action: execute
          parameters:
            inputs: "{{ numbers }}"
            code: |
              from statistics import mean
              result = mean(inputs)
    """
    variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="orchestrator-") as scratch:
        report = Path(scratch) / "report.json"
        task = json.dumps({"code": code, "inputs": inputs, "report": str(report)})
        done = await run_program(
            [sys.executable, "-I", "-X", "utf8", str(Path(python_driver.__file__))],
            directory=permitted(context, cwd, "read").path,
            environment={**variables, **(env or {})},
            stdin=task.encode(),
            timeout=timeout,
            max_output=max_output,
        )
        if done.timed_out and timeout is not None:
            raise StepTimeout(f"the code ran longer than {timeout:g} s and was ended", seconds=timeout)
        outcome = _outcome(report, done)
    return {
        "result": outcome["result"],
        "stdout": done.stdout.decode(errors="replace"),
        "stderr": done.stderr.decode(errors="replace"),
    }


def _outcome(report: Path, done: Completed) -> dict[str, Any]:
    """Read what the process reported, and raise what went wrong in it."""
    try:
        outcome: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        said = done.stderr.decode(errors="replace").strip()[-_SHOWN:]
        message = f"the process ended by itself with exit status {done.exit_code}{': ' + said if said else ''}"
        raise StepError(message, code="ORC707", help="let the code run to its end") from error
    if "not_json" in outcome:
        raise StepError(
            f"`result` is no JSON data: {outcome['not_json']}",
            code="ORC705",
            help="assign text, numbers, booleans, None, lists or dicts of these",
            retryable=False,
        )
    if "error" in outcome:
        raised = outcome["error"]
        place = f"line {raised['line']} of the code" if raised["line"] else "the code"
        text = f" (`{raised['text']}`)" if raised["text"] else ""
        said = f": {raised['message']}" if raised["message"] else ""
        raise StepError(f"{place}{text} raised {raised['type']}{said}", code="ORC707")
    return outcome
