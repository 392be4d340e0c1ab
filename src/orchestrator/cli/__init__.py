"""The `orchestrator` command. It talks to runs and pipelines through `orchestrator.api` alone."""

from __future__ import annotations

import gc

__all__ = ["main"]

_COLLECT_AFTER = 200_000
"""New objects before a collection of garbage. With Python's default, a tenth of the time to load a command is spent in
collections that find nothing."""


def main() -> None:
    """Run the command with the process's arguments and exit with its code."""
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])

    from orchestrator.cli.app import run_command

    raise SystemExit(run_command())
