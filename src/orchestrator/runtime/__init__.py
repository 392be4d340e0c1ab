"""Running a plan: the scheduler, attempts, control, resume. Everything that it learns goes to the journal."""

from __future__ import annotations

from orchestrator.runtime.engine import Engine, Options
from orchestrator.runtime.execution import Execution
from orchestrator.runtime.following import Follower, in_thread
from orchestrator.runtime.inputs import Bound, bind
from orchestrator.runtime.portal import Portal
from orchestrator.runtime.redaction import Redactor
from orchestrator.runtime.result import Result
from orchestrator.runtime.revision import Changes, StepChange
from orchestrator.runtime.services import ModelServices
from orchestrator.runtime.step_results import StepResult, StepResults
from orchestrator.runtime.verdict import refuse_if_waiting, verdict

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
