"""The functions of the module, for programs that need no configuration of their own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from orchestrator.api.orchestrator import Orchestrator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api.pipeline import Pipeline, Report, Source
    from orchestrator.api.run import Run
    from orchestrator.journal import RunState, RunStatus
    from orchestrator.models.budget import Budget

_default: Orchestrator | None = None
_default_lock = threading.Lock()


def _reset_lock() -> None:
    """In a child of `fork`: another thread of the parent may have held it."""
    global _default_lock
    _default_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_lock)


def default() -> Orchestrator:
    """The orchestrator of the module-level functions: no arguments, made on first use."""
    global _default
    with _default_lock:
        if _default is None or _default._closed:
            _default = Orchestrator()
        return _default


def compile(source: Source) -> Pipeline:
    """As `Orchestrator.compile`, with the default orchestrator."""
    return default().compile(source)


def check(source: Source) -> Report:
    """As `Orchestrator.check`, with the default orchestrator."""
    return default().check(source)


def get_run(run_id: str) -> Run:
    """As `Orchestrator.get_run`, with the default orchestrator."""
    return default().get_run(run_id)


def list_runs(*, state: RunState | None = None, limit: int = 50) -> list[RunStatus]:
    """As `Orchestrator.list_runs`, with the default orchestrator."""
    return default().list_runs(state=state, limit=limit)


def resume(
    run_id: str,
    *,
    pipeline: Source | Pipeline | None = None,
    inputs: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
) -> Run:
    """As `Orchestrator.resume`, with the default orchestrator."""
    return default().resume(run_id, pipeline=pipeline, inputs=inputs, budget=budget)


def fork(run_id: str, *, from_step: str, inputs: Mapping[str, Any] | None = None) -> Run:
    """As `Orchestrator.fork`, with the default orchestrator."""
    return default().fork(run_id, from_step=from_step, inputs=inputs)


def retry(run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None) -> Run:
    """As `Orchestrator.retry`, with the default orchestrator."""
    return default().retry(run_id, step, inputs=inputs)
