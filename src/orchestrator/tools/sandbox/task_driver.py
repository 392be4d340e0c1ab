"""Calls the function `run_task` of a driver. It does not import Orchestrator, and runs in a separate process.

Standard input is a JSON object: the file of the `driver`, its `task`, its limit of `memory` in bytes and what of it is
`counted`. What the function returns is written as JSON into the file `report`, or why it failed.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any


def limit_memory(most: int, counted: str) -> None:
    """Limit the memory of this process, in bytes, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        kind = resource.RLIMIT_AS if counted == "addresses" else resource.RLIMIT_DATA
        resource.setrlimit(kind, (most, most))


def main() -> None:
    """Carry out the order in standard input."""
    order: dict[str, Any] = json.load(sys.stdin)
    limit_memory(order["memory"], order["counted"])
    try:
        outcome = runpy.run_path(order["driver"])["run_task"](order["task"])
    except Exception as error:
        outcome = {"failure": f"{type(error).__name__}: {error}"}
    Path(order["report"]).write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main()
