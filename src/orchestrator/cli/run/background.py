"""`run --detach`: the same command in a separate process, which survives this one and its terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.terminal.output import FAILED, say
from orchestrator.config.project_file import project_directory
from orchestrator.errors import ConfigurationError
from orchestrator.text.content import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGS = Path(".orchestrator", "logs")
"""Where detached runs write what a terminal would have shown: `<run id>.log`, below the project's directory."""


def start_detached(arguments: Sequence[str], inputs: str) -> tuple[str, Path] | int:
    """Start `orchestrator ARGUMENTS --inputs - --announce FD` in a new session.

    `inputs` is written to its stdin, so that no secret appears in the process list. The new process writes the run's id
    to the announced pipe as soon as the run is recorded. Return the id and the log file, or the exit code of a process
    that ended before, whose output was forwarded.
    """
    logs = Path(os.path.relpath(project_directory() / LOGS))
    try:
        make_private_directory(logs)
        log_descriptor, log_name = tempfile.mkstemp(prefix="starting-", suffix=".log", dir=logs)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(
            f"the log of the background run cannot be written in {logs}: {reason}",
            help="run in a writable directory, or without --detach",
        ) from error
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "orchestrator.cli", *arguments, "--inputs", "-", "--announce", str(writing)],
            stdin=subprocess.PIPE,
            stdout=log_descriptor,
            stderr=log_descriptor,
            pass_fds=(writing,),
            start_new_session=True,
        )
    finally:
        os.close(writing)
        os.close(log_descriptor)
    assert process.stdin is not None  # noqa: S101 - PIPE was asked for
    try:
        process.stdin.write(inputs.encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it has already ended; its output explains why
    with os.fdopen(reading, encoding="utf-8") as announced:
        run_id = announced.readline().strip()
    log = Path(log_name)
    if not run_id:
        code = process.wait()
        words = log.read_text(encoding="utf-8", errors="replace").rstrip("\n")
        say(words or f"error: the background run did not start, and its log {log} is empty; run without --detach")
        log.unlink()
        return code if code > 0 else FAILED
    # The child outlives us on purpose; without this the interpreter warns of a process that still runs.
    process.returncode = 0
    return run_id, log.rename(log.with_name(f"{run_id}.log"))


def announce(descriptor: int, run_id: str) -> None:
    """Tell the process that started us that the run is recorded."""
    with os.fdopen(descriptor, "w", encoding="utf-8") as pipe:
        pipe.write(run_id + "\n")
