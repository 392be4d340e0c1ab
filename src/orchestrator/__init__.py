"""Checked, durable pipelines of AI and tool steps, written in YAML.

    import orchestrator as orc

    pipeline = orc.compile("report.yaml")
    result = pipeline.run(topic="solar cells")

Everything is loaded when it is first used, so the import itself costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.distribution import VERSION

if TYPE_CHECKING:
    from orchestrator.api import (
        AsyncBatchResults,
        BatchResults,
        Changes,
        Finding,
        Judgement,
        Orchestrator,
        Pipeline,
        Quality,
        Reason,
        Report,
        Result,
        RowResult,
        Run,
        StepChange,
        StepResult,
        Why,
        check,
        compile,
        default,
        fork,
        get_run,
        list_runs,
        resume,
        retry,
    )
    from orchestrator.api.lock import LockedPlace, Locking
    from orchestrator.diagnostics import Diagnostic
    from orchestrator.errors import (
        BudgetExceeded,
        CheckFailed,
        CompilationError,
        ConfigurationError,
        EvaluationError,
        InputError,
        LeaseLost,
        MissingExtra,
        ModelAnswerInvalid,
        ModelError,
        ModelMissing,
        ModelRateLimited,
        ModelRefused,
        ModelRejected,
        ModelUnavailable,
        OrchestratorError,
        PermissionDenied,
        RecordingMissing,
        RunCancelled,
        RunError,
        RunFailed,
        RunNotFound,
        RunNotResumable,
        RunOwned,
        RunPaused,
        StepError,
        StepTimeout,
        StoreError,
        StoreUnavailable,
    )
    from orchestrator.journal import Event, RunStatus
    from orchestrator.models.budget import Budget
    from orchestrator.tools import Permissions, Registry, Tool, ToolContext, tool

_HOMES = {
    "orchestrator.api": (
        *(
            "AsyncBatchResults",
            "BatchResults",
            "Changes",
            "Finding",
            "Judgement",
            "Orchestrator",
            "Pipeline",
            "Quality",
        ),
        *("Reason", "Report", "Result", "RowResult", "Run", "StepChange", "StepResult", "Why"),
        *("check", "compile", "default", "fork", "get_run", "list_runs", "resume", "retry"),
    ),
    "orchestrator.api.lock": ("LockedPlace", "Locking"),
    "orchestrator.diagnostics": ("Diagnostic",),
    "orchestrator.errors": (
        *("BudgetExceeded", "CheckFailed", "CompilationError", "ConfigurationError", "EvaluationError", "InputError"),
        "LeaseLost",
        *("MissingExtra", "ModelAnswerInvalid", "ModelError", "ModelMissing", "ModelRateLimited", "ModelRefused"),
        *("ModelRejected", "ModelUnavailable", "OrchestratorError", "PermissionDenied", "RecordingMissing"),
        *("RunCancelled", "RunError", "RunFailed", "RunNotFound", "RunNotResumable", "RunOwned", "RunPaused"),
        *("StepError", "StepTimeout", "StoreError", "StoreUnavailable"),
    ),
    "orchestrator.journal": ("Event", "RunStatus"),
    "orchestrator.models.budget": ("Budget",),
    "orchestrator.tools": ("Permissions", "Registry", "Tool", "ToolContext", "tool"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__version__ = VERSION

__all__ = [
    "AsyncBatchResults",
    "BatchResults",
    "Budget",
    "BudgetExceeded",
    "Changes",
    "CheckFailed",
    "CompilationError",
    "ConfigurationError",
    "Diagnostic",
    "EvaluationError",
    "Event",
    "Finding",
    "InputError",
    "Judgement",
    "LeaseLost",
    "LockedPlace",
    "Locking",
    "MissingExtra",
    "ModelAnswerInvalid",
    "ModelError",
    "ModelMissing",
    "ModelRateLimited",
    "ModelRefused",
    "ModelRejected",
    "ModelUnavailable",
    "Orchestrator",
    "OrchestratorError",
    "PermissionDenied",
    "Permissions",
    "Pipeline",
    "Quality",
    "Reason",
    "RecordingMissing",
    "Registry",
    "Report",
    "Result",
    "RowResult",
    "Run",
    "RunCancelled",
    "RunError",
    "RunFailed",
    "RunNotFound",
    "RunNotResumable",
    "RunOwned",
    "RunPaused",
    "RunStatus",
    "StepChange",
    "StepError",
    "StepResult",
    "StepTimeout",
    "StoreError",
    "StoreUnavailable",
    "Tool",
    "ToolContext",
    "Why",
    "__version__",
    "check",
    "compile",
    "default",
    "fork",
    "get_run",
    "list_runs",
    "resume",
    "retry",
    "tool",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what is public, and nothing else."""
    return sorted(__all__)
