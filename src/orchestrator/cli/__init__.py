"""The `orchestrator` command. It talks to runs and pipelines through `orchestrator.api` alone."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command with the process's arguments and exit with its code."""
    from orchestrator.cli.app import run_command

    raise SystemExit(run_command())
