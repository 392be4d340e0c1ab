"""The module-level functions, for programs that need no configuration."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from orchestrator.api.orchestrator import Orchestrator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api.pipeline import Pipeline, Report
    from orchestrator.api.run import Run
    from orchestrator.api.source import Source
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
        if _default is None or _default.closed:
            _default = Orchestrator()
        return _default


def compile(source: Source) -> Pipeline:
    """Check a pipeline and make it ready to run. Nothing is executed or stored, and no model is called.

    The default orchestrator is used: the store, tools and permissions of the project of the working directory.

    Args:
        source: the path of a YAML file, YAML text, an open file, or a mapping.

    Raises:
        CompilationError: The pipeline has errors; `.diagnostics` has each of them with its location.
        ConfigurationError: `orchestrator.toml` is invalid, or `source` is not a pipeline.

    Example:
        >>> import orchestrator as orc
        >>> nap = orc.compile({"steps": [{"id": "nap", "action": "sleep", "parameters": {"seconds": 0}}]})
        >>> [step.id for step in nap.steps]
        ['nap']
    """
    return default().compile(source)


def check(source: Source, *, canonical: bool = False) -> Report:
    """Check a pipeline and return all diagnostics. Never raises for an invalid pipeline.

    Args:
        source: the path of a YAML file, YAML text, an open file, or a mapping.
        canonical: also warn of accepted spellings that are not the canonical ones.

    Raises:
        ConfigurationError: `orchestrator.toml` is invalid, or `source` is not a pipeline.

    Example:
        >>> import orchestrator as orc
        >>> report = orc.check("steps: [{id: a, tol: sleep}]")
        >>> report.ok, report.diagnostics[0].help
        (False, 'did you mean `tool`?')
    """
    return default().check(source, canonical=canonical)


def get_run(run_id: str) -> Run:
    """Return a handle on a run of the project's store, whichever process executes it.

    Args:
        run_id: its id, a unique prefix of it, or `last` for the newest run.

    Raises:
        RunNotFound: No run matches, or several do.
    """
    return default().get_run(run_id)


def list_runs(*, state: RunState | None = None, limit: int = 50) -> list[RunStatus]:
    """Return the status of the runs in the project's store, newest first.

    Args:
        state: only runs in this state, such as `failed`.
        limit: the maximum number of runs.
    """
    return default().list_runs(state=state, limit=limit)


def resume(
    run_id: str,
    *,
    pipeline: Source | Pipeline | None = None,
    inputs: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
    by: str | None = None,
) -> Run:
    """Resume a run that is paused, failed, cancelled or interrupted, or whose questions are answered.

    Steps that succeeded are not run again.

    Args:
        run_id: its id, a unique prefix of it, or `last`.
        pipeline: an edited pipeline to resume it with: what has changed, and what depends on it, runs again.
        inputs: its secrets, which are never stored, and further inputs of an edited pipeline.
        budget: what it may spend on models, including what it has spent already.
        by: recorded as who resumed it; by default, the current user.

    Raises:
        RunOwned: Another process executes it.
        RunNotResumable: It has succeeded, its tools have changed, or it needs permissions that are not given here.
        CompilationError: The edited pipeline has errors.
        InputError: A secret is needed again.
    """
    return default().resume(run_id, pipeline=pipeline, inputs=inputs, budget=budget, by=by)


def fork(run_id: str, *, from_step: str, inputs: Mapping[str, Any] | None = None, by: str | None = None) -> Run:
    """Start a new run that shares the results of another one, except those of a step and its dependents.

    Args:
        run_id: the other run, which does not change.
        from_step: the first step that is not shared, by its path, such as `draft` or `translate[17]`.
        inputs: the inputs that differ, and the secrets.
        by: recorded as who started it; by default, the current user.

    Raises:
        RunError: The run has no such step (ORC809).
        InputError: An input is invalid, or a secret is needed again.
    """
    return default().fork(run_id, from_step=from_step, inputs=inputs, by=by)


def retry(run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None, by: str | None = None) -> Run:
    """Run one step of a run again, with all steps that depend on it; also in a run that succeeded.

    Args:
        run_id: the run.
        step: the step's path, such as `draft`, `translate[17]` or `translate[17].draft`.
        inputs: the run's secrets.
        by: recorded as who gave the command; by default, the current user.

    Raises:
        RunError: The run has no such step (ORC809).
        RunOwned: A process executes it.
        InputError: A secret is needed again.
    """
    return default().retry(run_id, step, inputs=inputs, by=by)
