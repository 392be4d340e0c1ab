"""What an earlier owner of a run left: steps that have ended, and steps that were under way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.paths import is_at_or_below
from orchestrator.plan.steps import ForEach, Repeat
from orchestrator.runtime.run import step_lifecycle
from orchestrator.runtime.run.run_graph import Failure
from orchestrator.runtime.steps.blocks import items_recorded
from orchestrator.runtime.steps.questions import Waiting
from orchestrator.runtime.values import step_values

if TYPE_CHECKING:
    from orchestrator.expressions import Entity
    from orchestrator.journal import StepRecord
    from orchestrator.plan.steps import StepPlan
    from orchestrator.runtime.run.run_graph import Node
    from orchestrator.runtime.run.scheduler import Scheduler


def restore(scheduler: Scheduler, node: Node, record: StepRecord) -> None:
    """Take a step that has ended before as it was recorded."""
    step = node.step
    node.state = "ended"
    node.frame.left -= 1
    node.frame.scope.enter(step.id, entity_recorded(scheduler, step, record))
    if record.state == "succeeded":
        node.jump = "on_success" if step.on_success is not None else None
    elif record.state == "failed":
        node.jump = "on_failure" if record.handled == "jump" else None
    else:
        node.jump = "on_false" if record.reason == "condition" and step.on_false is not None else None


def entity_recorded(scheduler: Scheduler, step: StepPlan, record: StepRecord) -> Entity:
    """What a step that has ended before stands for in expressions."""
    attempts, duration = record.attempts, record.duration
    output = scheduler.redactor.restore(record.output)
    if record.state == "succeeded":
        data = {
            "output": output,
            "items": record.items,
            "state": scheduler.redactor.restore(record.accumulators),
            "values": scheduler.redactor.restore(record.values),
            "case": scheduler.redactor.restore(record.case),
        }
        work = step.work
        items = items_recorded(scheduler, record.path, work) if isinstance(work, ForEach | Repeat) else None
        return step_values.succeeded(step.work, data, attempts=attempts, duration=duration, items=items)
    if record.state == "failed":
        error = scheduler.redactor.restore(record.error or {})
        return step_values.failed(output, error, attempts=attempts, duration=duration)
    return step_values.skipped()


def lost_secret(scheduler: Scheduler, node: Node, secret: str) -> StepError:
    """Say that a step is given what only a called pipeline that has ended could know."""
    call, _, name = secret.rpartition(".")
    return StepError(
        f"`{node.path}` is given what holds the secret `{name}` of `{call}`, which is not known any more: "
        f"`{call}` ended before the run was taken up",
        code=codes.SECRET_REQUIRED_AGAIN,
        help=f"have it called again with: orchestrator retry {scheduler.run_id} --step {call!r}",
        retryable=False,
    )


def forget_handlers(scheduler: Scheduler, node: Node) -> None:
    """Forget what an earlier owner recorded of the handlers of a step that is attempted anew."""
    below = f"{node.path}.on_error"
    for found in (scheduler.recorded.steps, scheduler.recorded.items):
        for path in [path for path in found if is_at_or_below(path, below)]:
            del found[path]


def take_up_attempts(scheduler: Scheduler, node: Node, record: StepRecord) -> bool:
    """Count the attempts that failed before, and return whether the next one is not due yet.

    An attempt that was under way when its process died is made again under its number: nobody knows how it would have
    ended.
    """
    node.attempt = record.failed_attempts
    if record.state != "waiting" or record.reason != "retry" or record.until is None:
        return False
    delay = record.until - time.time()
    if delay <= 0:
        return False
    node.record = None
    node.frame.busy.add(node)
    scheduler.live[node.path] = node
    node.started = scheduler.loop.time()
    scheduler.record("step.waiting", node, {"reason": "retry", "until": record.until, "error": record.error})
    scheduler.retry_later(node, delay)
    return True


def may_rerun(scheduler: Scheduler, node: Node, record: StepRecord) -> bool:
    """Whether a step that was under way when its process died may run again; else it fails, or is asked about."""
    asked = record.question is not None and record.question.get("kind") == "resume"
    if record.state != "running" and not asked:
        return True
    if node.step.on_resume == "ask":
        if record.answered and record.answer is True:
            return True
        if not record.answered:
            node.state = "busy"
            node.frame.busy.add(node)
            scheduler.live[node.path] = node
            node.activity = Waiting.about_rerun(scheduler, node)
            return False
    scheduler.begin(node)
    error = StepError(
        f"`{node.path}` was under way when its process died, and must not be run again by itself",
        code=codes.INTERRUPTED_STEP,
        help="see whether its work was done; run it again with: "
        f"orchestrator retry {scheduler.run_id} --step {node.path}",
        retryable=False,
    )
    step_lifecycle.failed(scheduler, node, Failure.of(error, node))
    return False
