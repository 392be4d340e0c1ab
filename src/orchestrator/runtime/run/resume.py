"""What an earlier owner of a run left: steps that have ended, and steps whose attempts were in flight."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.journal.step_payloads import StepSucceededPayload, StepWaitingPayload
from orchestrator.paths import is_at_or_below
from orchestrator.plan.steps import ForEach, RepeatLoop
from orchestrator.remedies import RetryStep
from orchestrator.runtime.run.pending_wait import ask_about_rerun
from orchestrator.runtime.values import step_values
from orchestrator.runtime.values.item_values import ItemValues

if TYPE_CHECKING:
    from orchestrator.expressions import Entity
    from orchestrator.journal import StepRecord
    from orchestrator.plan.steps import StepPlan
    from orchestrator.runtime.run.run_context import RunContext
    from orchestrator.runtime.run.run_graph import StepNode
    from orchestrator.runtime.run.step_run import StepRun


def restore(context: RunContext, node: StepNode, record: StepRecord) -> None:
    """Restore a step that had ended as it was recorded."""
    step = node.step
    node.state = "ended"
    node.frame.left -= 1
    node.frame.scope.enter(step.id, recorded_entity(context, step, record))
    if record.state == "succeeded":
        node.jump = "on_success" if step.on_success is not None else None
    elif record.state == "failed":
        node.jump = "on_failure" if record.handled == "jump" else None
    else:
        node.jump = "on_false" if record.reason == "condition" and step.on_false is not None else None


def recorded_entity(context: RunContext, step: StepPlan, record: StepRecord) -> Entity:
    """Return what a step that had ended stands for in expressions."""
    attempts, duration = record.attempts, record.duration
    restore = context.redactor.restore
    output = restore(record.output)
    if record.state == "succeeded":
        end = StepSucceededPayload(
            output=output,
            items=record.items,
            state=restore(record.accumulators),
            values=restore(record.values),
            case=restore(record.case),
        )
        items = recorded_items(context, record.path, step.work) if isinstance(step.work, ForEach | RepeatLoop) else None
        return step_values.succeeded(
            step.work, end, attempts=attempts, duration=duration, items=items, names=step.result_names
        )
    if record.state == "failed":
        error = restore(record.error or {})
        return step_values.failed(output, error, attempts=attempts, duration=duration)
    return step_values.skipped()


def recorded_items(context: RunContext, path: str, loop: ForEach | RepeatLoop) -> ItemValues:
    """Return the values of the items of a loop that had ended; further ones are added to them."""
    return ItemValues.of_loop(loop, context.recorded.items.pop(path, None), context.load)


def lost_secret(run: StepRun, secret: str) -> StepError:
    """Return the error of a step that is given a secret that only a called pipeline that has ended could know."""
    call, _, name = secret.rpartition(".")
    return StepError(
        f"`{run.path}` needs the secret `{name}` of `{call}`, which is no longer known: "
        f"`{call}` ended before the run was resumed",
        code=codes.SECRET_REQUIRED_AGAIN,
        help=f"call `{call}` again",
        remedies=[RetryStep(run.context.run_id, call)],
        retryable=False,
    )


def forget_handlers(run: StepRun) -> None:
    """Forget what an earlier owner recorded of the error handlers of a step that is attempted again."""
    below = f"{run.path}.on_error"
    recorded = run.context.recorded
    for found in (recorded.steps, recorded.items):
        for path in [path for path in found if is_at_or_below(path, below)]:
            del found[path]


def resume_attempts(run: StepRun, record: StepRecord) -> bool:
    """Count the attempts that failed before, and return whether the next one is not due yet.

    An attempt that was in flight when its process died is made again under its number, as its outcome is unknown.
    """
    node = run.node
    node.attempt = record.failed_attempts
    if record.state != "waiting" or record.reason != "retry" or record.until is None:
        return False
    delay = record.until - time.time()
    if delay <= 0:
        return False
    node.record = None
    run.occupy()
    node.started = run.context.loop.time()
    run.record(StepWaitingPayload(reason="retry", until=record.until, error=record.error))
    run.parts.control.retry_later(node, delay)
    return True


def may_rerun(run: StepRun, record: StepRecord) -> bool:
    """Whether a step that was in flight when its process died may run again; if not, it fails, or asks."""
    node = run.node
    asked = record.question is not None and record.question.get("kind") == "resume"
    if record.state != "running" and not asked:
        return True
    if node.step.resumption == "ask":
        if record.answered and record.answer is True:
            return True
        if not record.answered:
            run.occupy()
            ask_about_rerun(run)
            return False
    run.parts.control.begin(node)
    run.fail(
        StepError(
            f"`{node.path}` was running when its process died, and is not rerun automatically",
            code=codes.INTERRUPTED_STEP,
            help="check whether its work is complete",
            remedies=[RetryStep(run.context.run_id, node.path)],
            retryable=False,
        )
    )
    return False
