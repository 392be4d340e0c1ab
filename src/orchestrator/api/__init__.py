"""The public face: compile a pipeline, run it, follow it, control it, look at it afterwards."""

from __future__ import annotations

from orchestrator.api.functions import check, compile, default, fork, get_run, list_runs, resume, retry
from orchestrator.api.orchestrator import Orchestrator
from orchestrator.api.pipeline import Pipeline, Report
from orchestrator.api.run import Run
from orchestrator.runtime import Changes, Result, StepChange, StepResult

__all__ = [
    "Changes",
    "Orchestrator",
    "Pipeline",
    "Report",
    "Result",
    "Run",
    "StepChange",
    "StepResult",
    "check",
    "compile",
    "default",
    "fork",
    "get_run",
    "list_runs",
    "resume",
    "retry",
]
