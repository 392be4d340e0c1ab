"""The errors of steps and pipelines that took longer than their `timeout`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import StepTimeout
from orchestrator.text.durations import format_duration

if TYPE_CHECKING:
    from orchestrator.runtime.run.run_graph import StepNode


def step_timeout(node: StepNode) -> StepTimeout:
    """Return the error of an attempt that took longer than it may."""
    seconds = node.step.timeout or 0.0
    message = f"`{node.path}` ran longer than its timeout of {seconds:g} s"
    return StepTimeout(message, seconds=seconds, help="raise its `timeout`, or reduce the work")


def run_timeout(what: str, seconds: float) -> StepTimeout:
    """Return the error of a pipeline that took longer than it may."""
    error = StepTimeout(
        f"{what} took longer than its timeout of {format_duration(seconds)}",
        seconds=seconds,
        help="raise its `timeout`, or reduce the work; what has succeeded is not repeated when the run is resumed",
    )
    error.code, error.retryable = codes.RUN_TIMEOUT, False
    return error
