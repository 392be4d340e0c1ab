"""Running a plan: the scheduler, attempts, control, resume. Everything that it learns goes to the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from orchestrator.history.result import Result
    from orchestrator.history.revision import Changes, StepChange
    from orchestrator.history.step_results import StepResult, StepResults
    from orchestrator.runtime.host.assignment import permissions_for
    from orchestrator.runtime.host.batches import Batch, Row, RowResult
    from orchestrator.runtime.host.engine import Engine
    from orchestrator.runtime.host.execution import Execution, refuse_blocking
    from orchestrator.runtime.host.follow import Follower
    from orchestrator.runtime.host.options import Options
    from orchestrator.runtime.host.portal import Portal
    from orchestrator.runtime.host.run_errors import refuse_if_waiting, verdict
    from orchestrator.runtime.host.threads import in_thread
    from orchestrator.runtime.run.model_access import merged
    from orchestrator.runtime.run.model_services import ModelServices
    from orchestrator.runtime.values.inputs import Bound, bind
    from orchestrator.runtime.values.redaction import Redactor

__all__ = [
    "Batch",
    "Bound",
    "Changes",
    "Engine",
    "Execution",
    "Follower",
    "ModelServices",
    "Options",
    "Portal",
    "Redactor",
    "Result",
    "Row",
    "RowResult",
    "StepChange",
    "StepResult",
    "StepResults",
    "bind",
    "in_thread",
    "merged",
    "permissions_for",
    "refuse_blocking",
    "refuse_if_waiting",
    "verdict",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Batch": "host.batches",
        "Bound": "values.inputs",
        "Changes": "orchestrator.history.revision",
        "Engine": "host.engine",
        "Execution": "host.execution",
        "Follower": "host.follow",
        "ModelServices": "run.model_services",
        "Options": "host.options",
        "Portal": "host.portal",
        "Redactor": "values.redaction",
        "Result": "orchestrator.history.result",
        "Row": "host.batches",
        "RowResult": "host.batches",
        "StepChange": "orchestrator.history.revision",
        "StepResult": "orchestrator.history.step_results",
        "StepResults": "orchestrator.history.step_results",
        "bind": "values.inputs",
        "in_thread": "host.threads",
        "merged": "run.model_access",
        "permissions_for": "host.assignment",
        "refuse_blocking": "host.execution",
        "refuse_if_waiting": "host.run_errors",
        "verdict": "host.run_errors",
    },
)
