"""Running a plan: the scheduler, attempts, control, resume. Everything that it learns goes to the journal."""

from __future__ import annotations

from orchestrator.history.result import Result
from orchestrator.history.revision import Changes, StepChange
from orchestrator.history.step_results import StepResult, StepResults
from orchestrator.runtime.host.assignment import Options
from orchestrator.runtime.host.engine import Engine
from orchestrator.runtime.host.execution import Execution
from orchestrator.runtime.host.follow import Follower
from orchestrator.runtime.host.portal import Portal
from orchestrator.runtime.host.run_errors import refuse_if_waiting, verdict
from orchestrator.runtime.host.threads import in_thread
from orchestrator.runtime.run.model_services import ModelServices
from orchestrator.runtime.values.inputs import Bound, bind
from orchestrator.runtime.values.redaction import Redactor

__all__ = [
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
    "StepChange",
    "StepResult",
    "StepResults",
    "bind",
    "in_thread",
    "refuse_if_waiting",
    "verdict",
]
