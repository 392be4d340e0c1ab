"""Run Python code in a process of its own, with JSON data in and out."""

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from orchestrator.tools.builtin.access import permitted_location
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.sandbox.isolated_python import run_python
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal


class PythonResult(TypedDict):
    """The value of the variable `result` when the code has ended, and what it printed."""

    result: Annotated[Any, "What the code assigned to `result`."]
    stdout: Annotated[str, "What the code printed."]
    stderr: Annotated[str, "What the code wrote to its error output."]


def _refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    refusal = permissions.check_run(["python"])
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
    timeout: Annotated[  # noqa: ASYNC109 - the name that pipelines use
        float | None, "Seconds after which the process and all it started are ended."
    ] = None,
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
    directory = permitted_location(context, cwd, "read").path
    done = await run_python(code, inputs, directory=directory, environment=env, timeout=timeout, max_output=max_output)
    return {"result": done.result, "stdout": done.stdout, "stderr": done.stderr}
