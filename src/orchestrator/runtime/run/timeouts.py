"""Timeouts and other limits of steps: those computed when a step begins, and the errors of what took too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.journal.step_payloads import StepStartedPayload
from orchestrator.plan.limits import FORMS_OF, LIMITS, limit_value, with_limits
from orchestrator.text.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.journal import StepRecord
    from orchestrator.runtime.run.run_context import RunContext
    from orchestrator.runtime.run.run_graph import StepNode
    from orchestrator.runtime.values.redaction import Redactor


_STARTED = StepStartedPayload()
"""What is recorded of the start of an attempt: which tool it calls is in the plan."""


def restore_limits(node: StepNode, record: StepRecord, redactor: Redactor) -> None:
    """Take the limits that an earlier owner has recorded for a step that had begun."""
    if record.limits and record.limits.keys() == node.step.limits.keys():
        _apply(node, redactor.restore(record.limits))


def compute_limits(node: StepNode) -> None:
    """Compute the limits of a step that begins, unless they are known.

    Raises:
        EvaluationError: A template cannot be evaluated.
        StepError: ORC736, a value is not a limit of its kind.
    """
    if node.limits is not None:
        return
    limits = {}
    for name, value in node.step.limits.items():
        found = value.evaluate(node.frame.scope.scope)
        try:
            limits[name] = limit_value(name, found)
        except ValueError as error:
            raise StepError(
                f"`{name}` of `{node.path}` must be {FORMS_OF[LIMITS[name].kind]}, not {error}",
                code=codes.INVALID_LIMIT,
                help="correct the template, or what it reads",
                retryable=False,
            ) from error
    _apply(node, limits)


def record_start(context: RunContext, node: StepNode) -> None:
    """Record the start of an attempt, with the limits that were computed for it."""
    if node.limits is None:
        context.log.record_payload(_STARTED, node.path, node.attempt)
    else:
        context.record(StepStartedPayload(limits=node.limits), node)


def _apply(node: StepNode, limits: Mapping[str, float]) -> None:
    node.limits = limits
    node.step = with_limits(node.step, limits)


def step_timeout(node: StepNode) -> StepTimeout:
    """Return the error of an attempt that took longer than it may."""
    seconds = node.step.timeout or 0.0
    message = f"`{node.path}` ran longer than its timeout of {seconds:g} s"
    error = StepTimeout(message, seconds=seconds, help="raise its `timeout`, or reduce the work")
    if node.step.happens_once:
        error.retryable, error.help = False, "check whether its work is complete; raise its `timeout`"
    return error


def run_timeout(what: str, seconds: float) -> StepTimeout:
    """Return the error of a pipeline that took longer than it may."""
    error = StepTimeout(
        f"{what} took longer than its timeout of {format_duration(seconds)}",
        seconds=seconds,
        help="raise its `timeout`, or reduce the work; what has succeeded is not repeated when the run is resumed",
    )
    error.code, error.retryable = codes.RUN_TIMEOUT, False
    return error
