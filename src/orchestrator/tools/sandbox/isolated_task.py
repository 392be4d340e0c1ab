"""A task of a library in a process of its own, with limits on memory, time and size, that no input can escape."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from orchestrator.errors import StepTimeout
from orchestrator.tools.sandbox import task_driver
from orchestrator.tools.sandbox.processes import run_program

if TYPE_CHECKING:
    from types import ModuleType

MEMORY: Final = 4_000_000_000
"""Bytes that a task may use, unless it is given another limit."""

_LARGEST: Final = 200_000_000
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "XDG_CACHE_HOME")


class TaskResult(Struct, frozen=True):
    """What a task has returned, or the reason why it failed; and the file that it wrote, if it did."""

    outcome: Mapping[str, Any]
    content: bytes | None = None
    failure: str = ""


async def run_isolated(
    driver: ModuleType,
    task: Mapping[str, Any],
    *,
    doing: str,
    timeout: float,  # noqa: ASYNC109 - the process must have ended before this returns
    document: bytes | None = None,
    memory: int = MEMORY,
    counted: Literal["addresses", "data"] = "addresses",
    environment: Mapping[str, str] | None = None,
) -> TaskResult:
    """Call the function `run_task` of a driver in a new interpreter, which does not import Orchestrator.

    It is given the task, with the path of the `document` if there is one, and that of the `target` that it may write.

    Args:
        driver: The module; only its file is used.
        task: JSON data.
        doing: What the task does, for messages.
        timeout: Seconds.
        document: The bytes of a file that the task reads.
        memory: Its limit in bytes, where the system can set one.
        counted: What is limited: all addresses, or, for engines that reserve more of them than they use, its data.
        environment: Variables in addition to a few harmless ones.

    Raises:
        StepTimeout: It took longer than `timeout` and was ended.
    """
    with tempfile.TemporaryDirectory(prefix="orchestrator-") as scratch:
        place = Path(scratch)
        source, target, report = place / "document", place / "target", place / "report.json"
        if document is not None:
            source.write_bytes(document)
        order = {
            "driver": str(Path(str(driver.__file__))),
            "task": {**task, "document": str(source), "target": str(target)},
            "report": str(report),
            "memory": memory,
            "counted": counted,
        }
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        done = await run_program(
            [sys.executable, "-I", "-X", "utf8", str(Path(task_driver.__file__))],
            directory=place,
            environment={**passed_on, **(environment or {})},
            stdin=json.dumps(order).encode(),
            timeout=timeout,
            max_output=100_000,
        )
        if done.timed_out:
            raise StepTimeout(f"{doing} took longer than {timeout:g} s", seconds=timeout)
        try:
            outcome: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return TaskResult({}, failure=f"the process ended with status {done.exit_code}")
        if "failure" in outcome or not target.exists():
            return TaskResult(outcome, failure=str(outcome.get("failure", "")))
        if target.stat().st_size > _LARGEST:
            return TaskResult(outcome, failure=f"it exceeds {_LARGEST // 1_000_000} MB")
        return TaskResult(outcome, target.read_bytes())
