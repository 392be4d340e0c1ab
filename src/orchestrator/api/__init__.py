"""The public face: compile a pipeline, run it, follow it, control it, look at it afterwards."""

from __future__ import annotations

from orchestrator.api.functions import check, compile, default, get_run, list_runs, resume
from orchestrator.api.orchestrator import Orchestrator
from orchestrator.api.pipeline import Pipeline, Report
from orchestrator.api.run import Run
from orchestrator.runtime import Result, StepResult

__all__ = [
    "Orchestrator",
    "Pipeline",
    "Report",
    "Result",
    "Run",
    "StepResult",
    "check",
    "compile",
    "default",
    "get_run",
    "list_runs",
    "resume",
]
