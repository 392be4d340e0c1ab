"""Which runs the event loop of a thread executes: waiting for one of them on that thread would block both."""

from __future__ import annotations

import threading

from orchestrator.errors import ConfigurationError

_here = threading.local()


def executed_here(run_id: str) -> None:
    """Note that the event loop of this thread executes a run."""
    _here.runs = {*getattr(_here, "runs", ()), run_id}


def executed_no_more(run_id: str) -> None:
    """Note that the event loop of this thread has executed a run."""
    _here.runs.discard(run_id)


def refuse_blocking(run_id: str, method: str, twin: str) -> None:
    """Refuse a call that waits for a run on the thread whose event loop executes it: both would stand still.

    Raises:
        ConfigurationError: This is that thread.
    """
    if run_id in getattr(_here, "runs", ()):
        raise ConfigurationError(
            f"`{method}` would wait for run `{run_id}` and block the event loop that executes it",
            help=f"use its async twin: `await {twin}`" if not twin.startswith("async ") else f"use `{twin}`",
        )
