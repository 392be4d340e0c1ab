"""Run commands, in a process group of their own that does not outlive the step."""

import math
import os
import signal
from collections.abc import Mapping
from typing import Annotated, Any, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
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
    """How the command ended. `exit_code` is minus the signal's number where a signal ended it; `duration` in seconds.

    `truncated` says that there was more output than `max_output`.
    """

    stdout: Annotated[str, "What the command printed."]
    stderr: Annotated[str, "What the command wrote to its error output."]
    exit_code: Annotated[int, "The exit code; 0 is success."]
    duration: Annotated[float, "How long the command ran, in seconds."]
    truncated: Annotated[bool, "Whether an output was longer than `max_output`, and cut."]


def _refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    command = known.get("command")
    if command is None:  # not known yet: refuse now only where no command at all is allowed
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
                message = f"setting `{name}` could put another program in the place of the allowed ones"
                return Refusal("env", message, "--allow-run")
    directory = known.get("cwd")
    if isinstance(directory, str):
        return permissions.check_read(directory, parameter="cwd")
    return None


@tool(primary="stdout", refusal=_refusal)
async def execute(
    command: Annotated[
        str | list[str], "A list of the program and its arguments (safe with any value), or a text for the shell."
    ],
    context: ToolContext,
    cwd: Annotated[str, "The directory to run in."] = ".",
    env: Annotated[dict[str, str] | None, "Environment variables to add to those of this process."] = None,
    stdin: Annotated[str, "Text for the command's standard input."] = "",
    timeout: Annotated[float | None, "Seconds after which the command and all it started are ended."] = None,  # noqa: ASYNC109 - the name that pipelines use
    max_output: Annotated[int, "Bytes of each output that are kept."] = 10_000_000,
    check: Annotated[bool, "Whether an exit status other than 0 is a failure."] = True,
) -> CommandResult:
    """Run a command and capture its output.

    Needs `--allow-run`, or `run` under `[allow]` in orchestrator.toml. Of too much standard output the beginning is
    kept, of too much standard error the end.

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
                "`command` is an empty list", code=codes.INVALID_PARAMETER, help="name a program", retryable=False
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
            help="check the program's name, that it is installed, and `cwd`",
            retryable=False,
        ) from error
    if done.timed_out and timeout is not None:
        raise StepTimeout(f"`{name}` ran longer than {timeout:g} s and was ended{_ending(done)}", seconds=timeout)
    if check and done.exit_code != 0:
        raise StepError(
            f"`{name}` {_how_it_ended(done.exit_code)}{_ending(done)}",
            code=codes.COMMAND_FAILED,
            help="mend the command, or give `check: false` to go on whatever its exit status",
        )
    return {
        "stdout": done.stdout.decode(errors="replace"),
        "stderr": done.stderr.decode(errors="replace"),
        "exit_code": done.exit_code,
        "duration": math.ceil(done.duration * 1000) / 1000,
        "truncated": done.truncated,
    }


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _ending(done: CompletedProcess) -> str:
    """The end of what the command said, for the message."""
    said = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
    return f":\n{said if len(said) <= _SHOWN else '…' + said[-_SHOWN:]}" if said else ""
