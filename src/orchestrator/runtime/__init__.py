"""Running a plan: the scheduler, attempts, control, resume. Everything that it learns goes to the journal."""

from __future__ import annotations

from orchestrator.lazy_exports import lazy_exports

_EXPORTS = {
    "orchestrator.history.result": ("Result",),
    "orchestrator.history.revision": (
        "Changes",
        "StepChange",
    ),
    "orchestrator.history.step_results": (
        "StepResult",
        "StepResults",
    ),
    "orchestrator.runtime.host.assignment": ("permissions_for",),
    "orchestrator.runtime.host.batches": (
        "Batch",
        "Row",
        "RowResult",
    ),
    "orchestrator.runtime.host.loop_runs": ("refuse_blocking",),
    "orchestrator.runtime.host.commands": (
        "RunCommands",
        "valid_answer",
    ),
    "orchestrator.runtime.host.engine": ("Engine",),
    "orchestrator.runtime.host.execution": ("Execution",),
    "orchestrator.runtime.host.follow": ("Follower",),
    "orchestrator.runtime.host.options": ("Options",),
    "orchestrator.runtime.host.portal": ("Portal",),
    "orchestrator.runtime.host.run_errors": (
        "refuse_if_waiting",
        "verdict",
    ),
    "orchestrator.runtime.host.threads": ("in_thread",),
    "orchestrator.runtime.run.model_access": ("merged",),
    "orchestrator.runtime.run.model_services": ("ModelServices",),
    "orchestrator.runtime.values.concurrency": ("concurrency_limit",),
    "orchestrator.runtime.values.inputs": (
        "Bound",
        "bind",
    ),
    "orchestrator.runtime.values.redaction": ("Redactor",),
}
"""Each module with its names that the package has too."""

__getattr__ = lazy_exports(__name__, _EXPORTS)
