"""Runs Python code in a separate process."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.tools.sandbox import python_driver
from orchestrator.tools.sandbox.processes import CompletedProcess, run_program

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "TZ", "SSL_CERT_FILE")
_SHOWN = 2_000


class PythonOutcome(Struct, frozen=True):
    """The result of the code: the value of `result`, and its output."""

    result: Any
    stdout: str
    stderr: str


async def run_python(
    code: str,
    inputs: Any,
    *,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the process must have ended before this returns
    max_output: int = 1_000_000,
) -> PythonOutcome:
    """Execute code that reads `inputs` and assigns `result`, in a new interpreter without this environment.

    Raises:
        StepTimeout: It ran longer than `timeout` seconds and was ended.
        StepError: ORC707 it raised an exception or exited; ORC705 `result` is not JSON data.
    """
    variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="orchestrator-") as scratch:
        report = Path(scratch) / "report.json"
        task = json.dumps({"code": code, "inputs": inputs, "report": str(report)})
        done = await run_program(
            [sys.executable, "-I", "-X", "utf8", str(Path(python_driver.__file__))],
            directory=directory,
            environment={**variables, **(environment or {})},
            stdin=task.encode(),
            timeout=timeout,
            max_output=max_output,
        )
        if done.timed_out and timeout is not None:
            raise StepTimeout(f"the code ran longer than {timeout:g} s and was stopped", seconds=timeout)
        result = _result(report, done)
    return PythonOutcome(result, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def _result(report: Path, done: CompletedProcess) -> Any:
    """Return the result that the process reported, or raise its error."""
    try:
        outcome: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        stderr = done.stderr.decode(errors="replace").strip()[-_SHOWN:]
        message = f"the process exited with status {done.exit_code}{': ' + stderr if stderr else ''}"
        raise StepError(message, code=codes.COMMAND_FAILED, help="do not exit the process in the code") from error
    if "not_json" in outcome:
        raise StepError(
            f"`result` is not JSON data: {outcome['not_json']}",
            code=codes.RESULT_NOT_JSON,
            help="assign strings, numbers, booleans, None, or lists or dicts of these",
            retryable=False,
        )
    if "error" in outcome:
        raised = outcome["error"]
        place = f"line {raised['line']} of the code" if raised["line"] else "the code"
        text = f" (`{raised['text']}`)" if raised["text"] else ""
        message = f": {raised['message']}" if raised["message"] else ""
        names = tuple(raised["names"])
        raise StepError(f"{place}{text} raised {names[0]}{message}", code=codes.COMMAND_FAILED, raised=names)
    return outcome["result"]
