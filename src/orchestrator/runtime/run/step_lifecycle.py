"""How a step ends: by success, by failure and what is done about it, or because it was stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from orchestrator.errors import BudgetExceeded, EvaluationError, StepTimeout
from orchestrator.journal.records import EventTooLarge
from orchestrator.plan.steps import Agent, ToolCall
from orchestrator.runtime.run.failures import error_data, is_retried, retry_delay, too_long_a_wait, traceback_data
from orchestrator.runtime.run.run_graph import Failure
from orchestrator.runtime.steps import error_handlers
from orchestrator.runtime.values import result_size, step_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.errors import OrchestratorError
    from orchestrator.expressions import Entity
    from orchestrator.runtime.run.run_graph import Node
    from orchestrator.runtime.run.scheduler import Scheduler


def ended_attempt(scheduler: Scheduler, node: Node, output: Any, failure: OrchestratorError | None) -> None:
    """Take note that an attempt of a tool has ended, by itself or because it was stopped."""
    if node.stopped == "requeued":
        scheduler.record("step.requeued", node, {"reason": "paused"})
        scheduler.requeue(node)
    elif node.stopped == "cancelled":
        cancelled(scheduler, node)
    elif node.stopped == "timeout":
        failed(scheduler, node, Failure.of(_timed_out(node), node))
    elif failure is not None:
        failed(scheduler, node, Failure.of(failure, node))
    else:
        succeeded(scheduler, node, {"output": output})


def ended_frames(scheduler: Scheduler, node: Node) -> bool:
    """Whether a composite was stopped, and with its last frame has now ended for that."""
    if node.stopped == "timeout":
        failed(scheduler, node, Failure.of(_timed_out(node), node))
    elif node.stopped:
        cancelled(scheduler, node)
    return bool(node.stopped)


def _timed_out(node: Node) -> StepTimeout:
    seconds = node.step.timeout or 0.0
    message = f"`{node.path}` ran longer than its timeout of {seconds:g} s"
    return StepTimeout(message, seconds=seconds, help="give it a longer `timeout`, or less to do")


def succeeded(scheduler: Scheduler, node: Node, data: Mapping[str, Any], entity: Entity | None = None) -> None:
    """Record a success; `data` is that of its event but for the duration.

    What calls and agents come to has passed their checks; the value of other work is held to its check before.
    """
    if entity is None:
        duration = scheduler.loop.time() - node.started
        entity = step_values.succeeded(node.step.work, data, attempts=node.attempt, duration=duration)
    if node.step.check is None or isinstance(node.step.work, ToolCall | Agent):
        passed(scheduler, node, data, entity)
        return
    from orchestrator.runtime.steps.output_checks import check_composite

    check_composite(scheduler, node, data, entity)


def passed(scheduler: Scheduler, node: Node, data: Mapping[str, Any], entity: Entity) -> None:
    """Record a success that nothing has to be asked about any more."""
    duration = scheduler.loop.time() - node.started
    recorded = {**data, "duration": duration, **(node.cache or {})}
    try:
        event = scheduler.record("step.succeeded", node, recorded, most=scheduler.sizes.recorded)
    except EventTooLarge:
        failed(scheduler, node, Failure.of(result_size.too_large(scheduler, node, data.get("output")), node))
        return
    node.frame.scope.enter(node.step.id, entity)
    node.end_seq, node.end_size = event.seq, scheduler.log.last_size
    count(scheduler, node, "succeeded")
    if node.step.on_success is not None:
        node.jump = "on_success"
    scheduler.settle(node)


def failed(scheduler: Scheduler, node: Node, failure: Failure) -> None:
    """Make another attempt, have the failure handled, or record it."""
    error = failure.error
    if isinstance(error, BudgetExceeded) and not scheduler.asking.is_of_step(scheduler, node, error.scope):
        out_of_budget(scheduler, node, failure)
    elif (
        error is not None and isinstance(node.step.work, ToolCall) and is_retried(error, node.step.retry, node.attempt)
    ):
        _retry_or_cancel(scheduler, node, error, retry_delay(error, node.step.retry, node.attempt, scheduler.chance))
    else:
        failure = _with_wait(node, failure)
        if node.frame.stopped or not node.step.on_error or not error_handlers.handle(scheduler, node, failure):
            unhandled(scheduler, node, failure)


def _with_wait(node: Node, failure: Failure) -> Failure:
    """Say so where no further attempt is made only because of how long an error asks to wait."""
    error = failure.error
    words = None if error is None else too_long_a_wait(error, node.step.retry, node.attempt)
    if words is None or not isinstance(node.step.work, ToolCall):
        return failure
    help = "raise `max_delay` in the step's `retry`, or resume the run later"
    data = {**failure.data, "message": f"{failure.data['message']}; {words}", "help": help}
    return Failure(data, failure.names, error)


def out_of_budget(scheduler: Scheduler, node: Node, failure: Failure) -> None:
    """End the run, whatever is to be done about failures: no later step could ask a model either.

    Nothing is started any more, but what is under way ends: its answers are paid for.
    """
    help = scheduler.asking.how_to_allow_more(scheduler.run_id, failure.error)
    told = Failure({**failure.data, "help": help}, failure.names, failure.error)
    record_failure(scheduler, node, told, "fail", None, bearable=False)
    scheduler.fail(told.data, gently=True)


def retry(scheduler: Scheduler, node: Node, failure: Failure, policy: Any) -> bool:
    """Make another attempt by the policy of a handler, if it allows one."""
    error = failure.error
    if error is None or not isinstance(node.step.work, ToolCall) or not is_retried(error, policy, node.attempt):
        return False
    _retry_or_cancel(scheduler, node, error, retry_delay(error, policy, node.attempt, scheduler.chance))
    return True


def unhandled(scheduler: Scheduler, node: Node, failure: Failure) -> None:
    """Record a failure, and go on as `on_failure` says."""
    policy = node.step.on_failure
    kind, value = policy.kind, None
    if kind == "value" and policy.value is not None:
        try:
            value = policy.value.evaluate(node.frame.scope.scope)
        except EvaluationError as second:
            second.message = f"{failure.data['message']}; and the value instead of a result: {second.message}"
            kind, failure = "fail", Failure.of(second, node)
    record_failure(scheduler, node, failure, kind, value)


def record_failure(
    scheduler: Scheduler, node: Node, failure: Failure, kind: str, value: Any, *, bearable: bool = True
) -> None:
    """Record a failure that is dealt with as `kind` says. Without `bearable` no other branch can make up for it."""
    duration = scheduler.loop.time() - node.started
    if kind == "fail" and bearable and _is_bearable(node):
        kind = "continue"
    data = {
        "error": dict(failure.data),
        "duration": duration,
        "handled": kind,
        "value": value,
        "target": node.step.on_failure.target,
    }
    if failure.error is not None:
        data |= traceback_data(failure.error)
    event = scheduler.record("step.failed", node, {**data, **(node.cache or {})})
    node.end_seq, node.end_size = event.seq, scheduler.log.last_size
    if kind == "fail":
        scheduler.remember_cause(failure)
        node.frame.failure = node.frame.failure or failure
        scheduler.settle(node)
        gently = failure.is_of_budget or node.frame.gently
        scheduler.stop_frame(node.frame, f"`{failure.data['step'] or node.path}` failed", gently=gently)
        return
    if kind == "jump":
        node.jump = "on_failure"
    entity = step_values.failed(value, failure.data, attempts=node.attempt, duration=duration)
    node.frame.scope.enter(node.step.id, entity)
    scheduler.settle(node)


def _is_bearable(node: Node) -> bool:
    """Whether enough other steps of the frame can still succeed."""
    frame = node.frame
    if frame.enough is None:
        return False
    frame.failed += 1
    return sum(1 for other in frame.nodes.values() if not other.step.is_auto) - frame.failed >= frame.enough


def count(scheduler: Scheduler, node: Node, state: str) -> None:
    """Stop a frame of which enough steps have succeeded."""
    frame = node.frame
    if frame.enough is not None and state == "succeeded" and not node.step.is_auto:
        frame.succeeded += 1
        if frame.succeeded >= frame.enough:
            scheduler.call_later(0, scheduler.stop_frame, frame, "enough others had succeeded")


def _retry_or_cancel(scheduler: Scheduler, node: Node, error: OrchestratorError, delay: float) -> None:
    """Wait for the next attempt, without taking a place meanwhile."""
    if node.frame.stopped:
        cancelled(scheduler, node)
        return
    recorded = error_data(error, attempt=node.attempt, step=node.path)
    data = {"reason": "retry", "until": time.time() + delay, "error": recorded, **traceback_data(error)}
    scheduler.record("step.waiting", node, data)
    scheduler.retry_later(node, delay)


def cancelled(scheduler: Scheduler, node: Node) -> None:
    """Record that a step was stopped."""
    if not (scheduler.interrupted and not isinstance(node.step.work, ToolCall)):
        # What an interrupted process leaves open stays open: a loop, a question.
        scheduler.record("step.cancelled", node, {"reason": node.frame.reason})
    scheduler.settle(node)
