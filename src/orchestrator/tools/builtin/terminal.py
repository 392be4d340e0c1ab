"""Run commands, whose processes do not outlive the step."""

import math
import os
import signal
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.remedies import AllowCommands
from orchestrator.text.words import shorten
from orchestrator.tools.builtin.access import permitted_location
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.processes import CompletedProcess, run_program
from orchestrator.tools.sandbox.refusal import Refusal

_LOADER_VARIABLES = ("PATH", "LD_", "DYLD_")
_SHOWN = 2_000


class CommandResult(TypedDict):
    """The result of a command. `exit_code` is the negative signal number after a signal; `duration` is in seconds.

    `truncated` is true if there was more output than `max_output`.
    """

    stdout: Annotated[str, "The standard output of the command."]
    stderr: Annotated[str, "The standard error of the command."]
    exit_code: Annotated[int, "The exit code; 0 is success."]
    duration: Annotated[float, "The running time of the command, in seconds."]
    truncated: Annotated[bool, "Whether an output exceeded `max_output` and was cut."]


def _refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    command = known.get("command")
    if command is None:  # not known yet: refuse only if no commands are allowed
        return None if permissions.allow_run else permissions.check_run("", parameter=None)
    if not isinstance(command, str | list):
        return None
    refusal = permissions.check_run(command, parameter="command")
    if refusal is not None:
        return refusal
    environment = known.get("env")
    if permissions.allow_run is not True and isinstance(environment, dict):
        for name in environment:
            if name.upper() == "PATH" or name.upper().startswith(_LOADER_VARIABLES[1:]):
                message = f"setting `{name}` could replace the allowed programs"
                return Refusal("env", message, AllowCommands())
    directory = known.get("cwd")
    if isinstance(directory, str):
        return permissions.check_read(directory, parameter="cwd")
    return None


@tool(name="execute", primary="stdout", refusal=_refusal)
async def run_command(
    command: Annotated[
        str | list[str], "A list of the program and its arguments (safe with any value), or a string for the shell."
    ],
    context: ToolContext,
    cwd: Annotated[str, "The working directory."] = ".",
    env: Annotated[dict[str, str] | None, "Environment variables, in addition to those of this process."] = None,
    stdin: Annotated[str, "The standard input of the command."] = "",
    timeout: Annotated[float | None, "Seconds after which the command and its child processes are stopped."] = None,  # noqa: ASYNC109 - the name that pipelines use
    max_output: Annotated[int, "The maximum number of bytes kept of each output."] = 10_000_000,
    check: Annotated[bool, "Fail if the exit status is not 0."] = True,
) -> CommandResult:
    """Run a command and capture its output.

    Requires `--allow-run`, or `run` under `[allow]` in orchestrator.toml. If the output is too long, the start of
    standard output and the end of standard error are kept.

    Example:
        - id: count
          tool: terminal
          action: execute
          parameters:
            command: [git, rev-list, --count, HEAD]
            timeout: 30
    """
    shown = command if isinstance(command, str) else " ".join(command)
    name = shorten(shown, 80)
    if isinstance(command, list):
        if not command:
            raise StepError(
                "`command` is an empty list", code=codes.INVALID_PARAMETER, help="add a program", retryable=False
            )
        command = [context.permissions.find_program(command[0]), *command[1:]]
    try:
        done = await run_program(
            command,
            directory=permitted_location(context, cwd, "read").path,
            environment={**os.environ, **(env or {})},
            stdin=stdin.encode(),
            timeout=timeout,
            max_output=max_output,
        )
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise StepError(
            f"`{name}` cannot be started: {reason}",
            code=codes.COMMAND_FAILED,
            help="check the name of the program, that it is installed, and `cwd`",
            retryable=False,
        ) from error
    if done.timed_out and timeout is not None:
        raise StepTimeout(
            f"`{name}` ran longer than {timeout:g} s and was stopped{_output_tail(done)}", seconds=timeout
        )
    if check and done.exit_code != 0:
        raise StepError(
            f"`{name}` {_exit_text(done.exit_code)}{_output_tail(done)}",
            code=codes.COMMAND_FAILED,
            help="fix the command, or set `check: false` to ignore its exit status",
        )
    return {
        "stdout": done.stdout.decode(errors="replace"),
        "stderr": done.stderr.decode(errors="replace"),
        "exit_code": done.exit_code,
        "duration": math.ceil(done.duration * 1000) / 1000,
        "truncated": done.truncated,
    }


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"failed with exit status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _output_tail(done: CompletedProcess) -> str:
    """Return the end of the output, for the message."""
    output = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
    return f":\n{output if len(output) <= _SHOWN else '…' + output[-_SHOWN:]}" if output else ""
