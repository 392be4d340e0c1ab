"""Checked, durable pipelines of AI and tool steps, written in YAML.

import orchestrator as orc

pipeline = orc.compile("report.yaml")
result = pipeline.run(topic="solar cells")
"""

from orchestrator.distribution import VERSION
from orchestrator.lazy_exports import lazy_exports

# Every public name is loaded on first use (PEP 562), which keeps the import itself below 10 ms. This is the one list of
# them; the stub `__init__.pyi` that type checkers read is generated from it by `docs/generate.py`.
_EXPORTS = {
    "orchestrator.api.batches": (
        "AsyncBatchResults",
        "BatchResults",
    ),
    "orchestrator.api.functions": (
        "check",
        "compile",
        "default",
        "fork",
        "get_run",
        "list_runs",
        "resume",
        "retry",
    ),
    "orchestrator.api.interfaces": (
        "AnyOrchestrator",
        "AnyPipeline",
        "AnyRun",
    ),
    "orchestrator.api.lock": (
        "LockUpdate",
        "LockedPlace",
    ),
    "orchestrator.api.orchestrator": ("Orchestrator",),
    "orchestrator.api.pipeline": (
        "Pipeline",
        "Report",
    ),
    "orchestrator.api.run": ("Run",),
    "orchestrator.client.client": (
        "Client",
        "connect",
    ),
    "orchestrator.client.remote_pipeline": ("RemotePipeline",),
    "orchestrator.client.remote_run": ("RemoteRun",),
    "orchestrator.diagnostics": ("Diagnostic",),
    "orchestrator.errors": (
        "BudgetExceeded",
        "CheckFailed",
        "CompilationError",
        "ConfigurationError",
        "EvaluationError",
        "InputError",
        "LeaseLost",
        "MissingExtra",
        "ModelAnswerInvalid",
        "ModelError",
        "ModelMissing",
        "ModelRateLimited",
        "ModelRefused",
        "ModelRejected",
        "ModelUnavailable",
        "OrchestratorError",
        "PermissionDenied",
        "RecordingMissing",
        "RequestError",
        "RunCancelled",
        "RunError",
        "RunFailed",
        "RunNotFound",
        "RunNotResumable",
        "RunOwned",
        "RunPaused",
        "ServerUnavailable",
        "StepError",
        "StepTimeout",
        "StoreError",
        "StoreUnavailable",
    ),
    "orchestrator.history.quality": (
        "Finding",
        "Judgement",
        "Quality",
    ),
    "orchestrator.history.result": ("Result",),
    "orchestrator.history.revision": (
        "Changes",
        "StepChange",
    ),
    "orchestrator.history.step_results": ("StepResult",),
    "orchestrator.history.why": (
        "Reason",
        "Why",
    ),
    "orchestrator.journal": (
        "Event",
        "RunStatus",
    ),
    "orchestrator.models.budget": ("Budget",),
    "orchestrator.runtime.host.batches": ("RowResult",),
    "orchestrator.tools": (
        "Permissions",
        "Registry",
        "Tool",
        "ToolContext",
        "ToolExecutor",
        "tool",
    ),
}
"""Each module with the public names that it defines."""

__version__ = VERSION

__getattr__ = lazy_exports(__name__, _EXPORTS)

__all__ = sorted(["__version__", *(name for names in _EXPORTS.values() for name in names)])


def __dir__() -> list[str]:
    """Name what is public, and nothing else."""
    return __all__
