"""The public API: compile pipelines, run them, follow and control runs, read results."""

from __future__ import annotations

from orchestrator.api.batches import AsyncBatchResults, BatchResults
from orchestrator.api.functions import check, compile, default, fork, get_run, list_runs, resume, retry
from orchestrator.api.orchestrator import Orchestrator
from orchestrator.api.pipeline import Pipeline, Report
from orchestrator.api.run import Run
from orchestrator.history.quality import Finding, Judgement, Quality
from orchestrator.history.why import Reason, Why
from orchestrator.runtime import Changes, Result, StepChange, StepResult
from orchestrator.runtime.host.batches import RowResult

__all__ = [
    "AsyncBatchResults",
    "BatchResults",
    "Changes",
    "Finding",
    "Judgement",
    "Orchestrator",
    "Pipeline",
    "Quality",
    "Reason",
    "Report",
    "Result",
    "RowResult",
    "Run",
    "StepChange",
    "StepResult",
    "Why",
    "check",
    "compile",
    "default",
    "fork",
    "get_run",
    "list_runs",
    "resume",
    "retry",
]
