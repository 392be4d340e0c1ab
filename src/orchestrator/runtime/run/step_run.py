"""One step while it is carried out: what its executor may do with it, and how it ends.

An executor sees a `StepRun` alone. It opens frames of steps, records events, and ends the step by `succeed` or `fail`;
retries, error handlers, checks and `on_failure` follow from there.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from orchestrator.errors import BudgetExceeded, EvaluationError, OrchestratorError
from orchestrator.expressions import Entity
from orchestrator.journal.records import EventTooLarge
from orchestrator.journal.step_payloads import (
    StepCancelledPayload,
    StepFailedPayload,
    StepFilePayload,
    StepRequeuedPayload,
    StepStartedPayload,
    StepSucceededPayload,
    StepWaitingPayload,
)
from orchestrator.journal.store.event_data import EncodedData
from orchestrator.plan.steps import Agent, ToolCall
from orchestrator.runtime.queue.slots import Slots
from orchestrator.runtime.run.branches import has_enough, is_tolerated
from orchestrator.runtime.run.failures import error_data, traceback_data
from orchestrator.runtime.run.model_access import ModelAccess
from orchestrator.runtime.run.retry import excessive_wait, is_retried, retry_delay
from orchestrator.runtime.run.run_context import RunContext
from orchestrator.runtime.run.run_graph import Activity, StepFailure, StepNode
from orchestrator.runtime.run.timeouts import step_timeout
from orchestrator.runtime.run.tool_context import StepContext
from orchestrator.runtime.values import step_values
from orchestrator.runtime.values.undo_names import recorded_names
from orchestrator.text.json_pieces import is_large

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.journal import Event
    from orchestrator.journal.payload import Handling, Payload
    from orchestrator.plan.policies import RetryPolicy
    from orchestrator.plan.steps import StepPlan
    from orchestrator.runtime.run.run_graph import Frame, FrameOwner, FramePipeline
    from orchestrator.runtime.values.scope import BlockScope


class FrameControl(Protocol):
    """Opens and stops frames."""

    def open(
        self,
        steps: Iterable[StepPlan],
        path: str,
        scope: BlockScope,
        owner: FrameOwner,
        *,
        pipeline: FramePipeline,
        only: str | None = None,
        enough: int | None = None,
        ended: str = "",
    ) -> Frame:
        """Begin to carry out a block of steps."""

    def stop_frame(self, frame: Frame, reason: str, *, graceful: bool = False) -> None:
        """Stop everything that runs in a frame."""


class StepControl(FrameControl, Protocol):
    """What the end of a step asks of the scheduler."""

    def begin(self, node: StepNode) -> None:
        """Count an attempt, and give it a slot."""

    def settle(self, node: StepNode) -> None:
        """Take a step whose end is recorded."""

    def requeue(self, node: StepNode) -> None:
        """Put back a step whose attempt does not count."""

    def rerun(self, node: StepNode) -> None:
        """Run a step whose second attempt was permitted."""

    def retry_later(self, node: StepNode, delay: float) -> None:
        """Make another attempt after `delay` seconds."""

    def fail(self, error: Mapping[str, Any], *, graceful: bool = False) -> None:
        """End the run as failed."""


class Executors(Struct, frozen=True):
    """How steps are carried out: an executor for each kind of work, and what follows from failures and values.

    `kinds` maps the type of a step's work to what makes its activity; tool calls are not among them, as the scheduler
    gives them slots. `encode` encodes a large end in a thread, and continues with it. `handle_error` starts the handler
    of a failure and returns whether there is one. `check_value` checks the value of a step that is not a tool call,
    `checked_call` makes a tool call until its output is valid. `produced_files` looks at the files that a step with a
    value must have written.
    """

    kinds: Mapping[type, Callable[[StepRun, Any], Activity]]
    encode: Callable[[StepRun, StepSucceededPayload, Entity, Callable[[EncodedData], None]], None]
    handle_error: Callable[[StepRun, StepFailure], bool]
    check_value: Callable[[StepRun, StepSucceededPayload, Entity], None]
    checked_call: Callable[[StepRun, StepContext, Mapping[str, Any], Callable[[], Awaitable[Any]]], Awaitable[Any]]
    produced_files: Callable[[StepRun, Any], Awaitable[list[StepFilePayload]]]


class RunParts(Struct, frozen=True):
    """What one run consists of."""

    context: RunContext
    slots: Slots
    models: ModelAccess
    control: StepControl
    executors: Executors


class StepRun(Struct, frozen=True):
    """A step of a run; `context` is what all steps of the run share."""

    node: StepNode
    parts: RunParts
    context: RunContext

    @property
    def path(self) -> str:
        """The step's path."""
        return self.node.path

    @property
    def scope(self) -> BlockScope:
        """The names that the step's expressions can read."""
        return self.node.frame.scope

    @property
    def elapsed(self) -> float:
        """Seconds since the step, or its latest attempt, began, to the microsecond: more digits would be recorded."""
        return round(self.context.loop.time() - self.node.started, 6)

    # --- at work

    def open(
        self,
        steps: Iterable[StepPlan],
        path: str,
        scope: BlockScope,
        owner: FrameOwner,
        *,
        only: str | None = None,
        enough: int | None = None,
    ) -> Frame:
        """Begin to carry out a block of steps within this one; see `Scheduler.open`."""
        pipeline = self.node.frame.pipeline
        return self.parts.control.open(steps, path, scope, owner, pipeline=pipeline, only=only, enough=enough)

    def stop_frame(self, frame: Frame | None) -> None:
        """Stop a frame of this step, as the step itself is being stopped."""
        if frame is not None:
            self.parts.control.stop_frame(frame, self.node.frame.reason, graceful=self.node.graceful)

    def record(self, payload: Payload) -> Event:
        """Record an event of the step; see `RunContext.record`."""
        if self.node.limits is not None and isinstance(payload, StepStartedPayload):
            payload = payload.replace(limits=self.node.limits)
        return self.context.record(payload, self.node)

    def occupy(self, activity: Activity | None = None) -> None:
        """Have the step be at work without an attempt: it takes no slot."""
        node = self.node
        node.state = "busy"
        node.activity = activity
        node.frame.busy.add(node)
        self.context.live[node.path] = node

    def leave_attempt(self) -> None:
        """Free the slot of an attempt that has ended while the step itself continues, with an error handler."""
        node = self.node
        node.stopped = ""
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        self.parts.slots.running.discard(node)

    # --- the end

    def end_attempt(self, output: Any, error: OrchestratorError | None) -> None:
        """Take the outcome of an attempt of a tool call that has ended by itself or was stopped."""
        if self.node.stopped == "requeued":
            self.record(StepRequeuedPayload(reason="paused"))
            self.parts.control.requeue(self.node)
        elif not self.end_if_stopped():
            if error is not None:
                self.fail(error)
            else:
                self.succeed(StepSucceededPayload(output=output))

    def end_if_stopped(self) -> bool:
        """End a step that was stopped, now that nothing in it runs any more; return whether it was."""
        stopped = self.node.stopped  # a handler of the timeout, once it runs, is not stopped
        if stopped == "timeout":
            self.fail(step_timeout(self.node))
        elif stopped:
            self.cancel()
        return bool(stopped)

    def ends_with(self, frame: Frame) -> bool:
        """End a step that was stopped, or whose frame failed; return whether it has ended."""
        if self.end_if_stopped():
            return True
        if frame.failure is None:
            return False
        self.fail(frame.failure.without_error())
        return True

    def cancel(self) -> None:
        """Record that the step was stopped. What an interrupted process leaves open stays open: a loop, a question.

        So does a call that must not happen twice: whether it has happened is unknown.
        """
        tool_call = isinstance(self.node.step.work, ToolCall)
        if not self.context.interrupted or (tool_call and not self.node.step.happens_once):
            self.record(StepCancelledPayload(reason=self.node.frame.reason))
        self.parts.control.settle(self.node)

    def succeed(self, end: StepSucceededPayload, entity: Entity | None = None, *, awaited: bool = False) -> None:
        """End the step with success; `end` lacks only the duration.

        The outputs of tool calls and agents have passed their checks already, and tool calls have produced their files;
        all else is looked at first. With `awaited`, its successors wait until that is durable in any case: they read
        its values from the journal.
        """
        step, duration = self.node.step, self.elapsed
        if entity is None:
            entity = step_values.succeeded(
                step.work, end, attempts=self.node.attempt, duration=duration, names=step.result_names
            )
        if isinstance(step.work, ToolCall) or not (step.produces or (step.check and not isinstance(step.work, Agent))):
            self.record_success(end, entity, duration, awaited=awaited)
        else:
            self.parts.executors.check_value(self, end, entity)

    def record_success(
        self, end: StepSucceededPayload, entity: Entity, duration: float, *, awaited: bool = False
    ) -> None:
        """Record a success whose value has passed its check. A large one is encoded in a thread first."""
        end = end.replace(duration=duration, **(self.node.cache or {}))
        step = self.node.step
        if step.undo is not None and self.context.undo.records(self.path):
            names = recorded_names(step.undo_reads, self.scope, step.id, entity)
            end = end.replace(undo={"line": step.line, "names": names})
        if is_large(end.to_data()):
            self.parts.executors.encode(self, end, entity, partial(self.record_encoded, end, entity, awaited))
            return
        try:
            encoded = self.context.encode(end, large=False)
        except EventTooLarge:
            self.fail(self.context.too_large(end, self.path))
        else:
            self.record_encoded(end, entity, awaited, encoded)

    def record_encoded(self, end: StepSucceededPayload, entity: Entity, awaited: bool, encoded: EncodedData) -> None:
        """Record a success that is encoded."""
        node, context = self.node, self.context
        event = self.context.record(end, node, encoded=encoded)
        context.times.note(node.path, end.duration or 0.0)
        node.frame.scope.enter(node.step.id, entity)
        node.end_seq, node.end_size = event.seq, context.log.last_size
        if end.undo is not None:
            context.undo.add(event.seq, node.path, node.step, end.undo["names"])
        # In a group that needs only some of its branches, the success stops others, which may have effects.
        node.deferred = not awaited and node.frame.enough is None and not node.step.has_effects
        self.count_success()
        if node.step.on_success is not None:
            node.jump = "on_success"
        self.parts.control.settle(node)
        if end.ends is not None:
            node.frame.pipeline.end_early(node.path, end.output or {})

    def count_success(self) -> None:
        """Count the success, and stop the other branches when the group needs none of them."""
        if has_enough(self.node):
            reason = "enough other branches had succeeded"
            self.context.loop.call_later(0, self.parts.control.stop_frame, self.node.frame, reason)

    def fail(self, failure: StepFailure | OrchestratorError) -> None:
        """Make another attempt, start an error handler, or record the failure."""
        node, policy = self.node, self.node.step.retry
        if isinstance(failure, OrchestratorError):
            failure = StepFailure.of(failure, node)
        error = failure.error
        if isinstance(error, BudgetExceeded) and not self.parts.models.is_of_step(node, error.scope):
            self._run_out_of_budget(failure)
        elif not self.retry(error, policy):
            failure = self._explain_wait(failure)
            if node.frame.stopped or not node.step.on_error or not self.parts.executors.handle_error(self, failure):
                self.fail_unhandled(failure)

    def retry(self, error: OrchestratorError | None, policy: RetryPolicy) -> bool:
        """Make another attempt of a tool call, if a policy allows one; meanwhile it takes no slot."""
        node = self.node
        if error is None or not isinstance(node.step.work, ToolCall) or not is_retried(error, policy, node.attempt):
            return False
        if node.frame.stopped:
            self.cancel()
            return True
        delay = retry_delay(error, policy, node.attempt, self.context.chance)
        recorded = error_data(error, attempt=node.attempt, step=node.path)
        waiting = StepWaitingPayload(reason="retry", until=time.time() + delay, error=recorded)
        self.record(waiting.replace(**traceback_data(error)))
        self.parts.control.retry_later(node, delay)
        return True

    def fail_unhandled(self, failure: StepFailure) -> None:
        """Record a failure that no handler took, and continue as `on_failure` defines."""
        policy = self.node.step.on_failure
        kind, value = policy.kind, None
        if kind == "value" and policy.value is not None:
            try:
                value = policy.value.evaluate(self.scope.scope)
            except EvaluationError as second:
                second.message = f"{failure.data['message']}; the fallback value failed too: {second.message}"
                kind, failure = "fail", StepFailure.of(second, self.node)
        self.record_failure(failure, kind, value)

    def record_failure(self, failure: StepFailure, kind: Handling, value: Any, *, tolerable: bool = True) -> None:
        """Record a failure with how it is handled. If it is not `tolerable`, no other branch can make up for it."""
        node, duration = self.node, self.elapsed
        if kind == "fail" and tolerable and is_tolerated(node.frame):
            kind = "continue"
        end = StepFailedPayload(
            error=dict(failure.data),
            duration=duration,
            handled=kind,
            value=value,
            target=node.step.on_failure.target,
        )
        traceback = {} if failure.error is None else traceback_data(failure.error)
        event = self.record(end.replace(**traceback, **(node.cache or {})))
        node.end_seq, node.end_size = event.seq, self.context.log.last_size
        control = self.parts.control
        if kind == "fail":
            self.context.remember_cause(failure)
            node.frame.failure = node.frame.failure or failure
            control.settle(node)
            graceful = failure.is_of_budget or node.frame.graceful
            control.stop_frame(node.frame, f"`{failure.data['step'] or node.path}` failed", graceful=graceful)
            return
        if kind == "jump":
            node.jump = "on_failure"
        entity = step_values.failed(value, failure.data, attempts=node.attempt, duration=duration)
        node.frame.scope.enter(node.step.id, entity)
        control.settle(node)

    def fail_compensation(self, failure: StepFailure) -> None:
        """End the run, whatever the failure policies of the group and of what contains it: they are for later."""
        self.record_failure(failure, "fail", None, tolerable=False)
        self.parts.control.fail(failure.data)

    def _run_out_of_budget(self, failure: StepFailure) -> None:
        """End the run, whatever the step's failure policy: no later step could call a model either.

        Nothing new starts, but attempts in flight finish: their answers are paid for.
        """
        help, remedies = self.parts.models.how_to_allow_more(failure.error)
        more = {"remedies": [remedy.to_dict() for remedy in remedies]} if remedies else {}
        failure = StepFailure({**failure.data, "help": help, **more}, failure.names, failure.error)
        self.record_failure(failure, "fail", None, tolerable=False)
        self.parts.control.fail(failure.data, graceful=True)

    def _explain_wait(self, failure: StepFailure) -> StepFailure:
        """Add to the message if there is no further attempt only because of the requested wait."""
        node, error = self.node, failure.error
        reason = None if error is None else excessive_wait(error, node.step.retry, node.attempt)
        if reason is None or not isinstance(node.step.work, ToolCall):
            return failure
        help = "raise `max_delay` in the step's `retry`, or resume the run later"
        data = {**failure.data, "message": f"{failure.data['message']}; {reason}", "help": help}
        return StepFailure(data, failure.names, error)
