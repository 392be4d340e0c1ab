"""Run Python code in a separate process, with JSON input and output."""

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from orchestrator.tools.builtin.access import permitted_location
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.sandbox.isolated_python import run_python
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal


class PythonResult(TypedDict):
    """The value of the variable `result` when the code has ended, and its output."""

    result: Annotated[Any, "The value that the code assigned to `result`."]
    stdout: Annotated[str, "The standard output of the code."]
    stderr: Annotated[str, "The standard error of the code."]


def _refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    refusal = permissions.check_run(["python"])
    directory = known.get("cwd")
    if refusal is None and isinstance(directory, str):
        return permissions.check_read(directory, parameter="cwd")
    return refusal


@tool(name="execute", primary="result", refusal=_refusal)
async def execute_code(
    code: Annotated[str, "The code. It reads `inputs` and assigns `result`, which must be JSON data."],
    context: ToolContext,
    inputs: Annotated[Any, "The value of the variable `inputs`."] = None,
    cwd: Annotated[str, "The working directory."] = ".",
    env: Annotated[dict[str, str] | None, "Environment variables, in addition to `PATH`, `HOME` and the like."] = None,
    timeout: Annotated[  # noqa: ASYNC109 - the name that pipelines use
        float | None, "Seconds after which the process and its child processes are stopped."
    ] = None,
    max_output: Annotated[int, "The maximum number of bytes kept of each output."] = 1_000_000,
) -> PythonResult:
    """Run Python code in a separate process, with the interpreter and the packages that run Orchestrator.

    Requires `--allow-run`, or `run = ["python"]` under `[allow]` in orchestrator.toml. The process does not inherit
    the environment (no `PYTHONPATH`, no secrets in variables), but it has the permissions of the current user.

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
