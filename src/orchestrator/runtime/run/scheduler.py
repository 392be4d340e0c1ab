"""Decides what runs next: each step as soon as the steps that it depends on have ended and a slot is free.

Of steps that wait for slots, the one with the longest path to the end of the run comes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import EvaluationError, InputError, OrchestratorError, StepError
from orchestrator.journal.step_payloads import StepSkippedPayload
from orchestrator.plan.steps import StepPlan, ToolCall
from orchestrator.runtime.queue.path_lengths import PathLengths
from orchestrator.runtime.queue.ready_queue import ReadyQueue
from orchestrator.runtime.queue.settled_steps import SettledSteps
from orchestrator.runtime.run import resume as resumption
from orchestrator.runtime.run.attempts import Attempts
from orchestrator.runtime.run.pending_wait import PendingWait
from orchestrator.runtime.run.run_graph import Ending, Frame, FrameOwner, FramePipeline, StepNode
from orchestrator.runtime.run.step_run import RunParts, StepRun
from orchestrator.runtime.run.timeouts import compute_limits, record_start, restore_limits
from orchestrator.runtime.values import step_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from orchestrator.runtime.queue.slots import Slots
    from orchestrator.runtime.run.model_access import ModelAccess
    from orchestrator.runtime.run.result_cache import ResultCache
    from orchestrator.runtime.run.run_context import RunContext
    from orchestrator.runtime.run.start_hold import StartHold
    from orchestrator.runtime.run.step_run import Executors
    from orchestrator.runtime.values.scope import BlockScope
    from orchestrator.tools import ToolExecutor

_STARTED_AT_ONCE = 100
"""Steps that are started before other work of the event loop, such as that of other runs, gets a turn."""

_CLOSED_AT_ONCE = 200
"""Frames that are closed before other work of the event loop gets a turn."""


class Scheduler:
    """The steps of one run, on one event loop.

    The run is a tree of frames, one for each block that is being carried out. When an attempt has ended, its events are
    recorded and its node joins `_settled`; the main loop commits all that have settled together, and only then starts
    their successors. It does not wait for the commit where all that have settled are without effects: then attempts
    with effects wait for it. Only attempts of tool calls take slots.
    """

    def __init__(
        self,
        context: RunContext,
        slots: Slots,
        models: ModelAccess,
        executors: Executors,
        *,
        executor: ToolExecutor,
        cache: ResultCache | None,
        on_idle: Callable[[], None],
    ) -> None:
        """`executor` makes the attempts of tool calls.

        `on_idle` is called when nothing runs until someone acts: the run is paused, or waits for answers.
        """
        self.context = context
        self.paused = False
        self.hold: StartHold | None = None
        """Holds the run until it may begin."""
        self._loop = context.loop
        self._slots = slots
        self._parts = RunParts(context, slots, models, self, executors)
        self._attempts = Attempts(executor, cache)
        self._on_idle = on_idle
        called = (spec for one in context.plan.pipelines.values() for spec in one.inputs.values())
        recorded = context.recorded
        self._forgets_secrets = bool(recorded.steps or recorded.items) and any(spec.secret for spec in called)
        self._ready = ReadyQueue(PathLengths(context.live, context.times).of)
        self._settled = SettledSteps(context, slots)
        self._closing: deque[Frame] = deque()
        self._closed = 0
        self._retrying = 0
        self._stop_all: Callable[[Ending], None] | None = None
        self._result: Ending | None = None

    async def run(self, begin: Callable[[Scheduler], Callable[[Ending], None]]) -> Ending:
        """Run everything that can run, and return how it ended.

        `begin` opens the first frame and returns what ends the pipeline early; it calls `done` when it has ended.

        Raises:
            StoreError: The journal cannot be written; `halt` must still be called.
        """
        self._loop.main = asyncio.current_task()
        self._stop_all = begin(self)
        while True:
            await self._close_frames()
            more = self._start_ready()
            if self._loop.failure is not None:
                raise self._loop.failure
            if self._closing:
                continue
            if self._settled:
                ended = await self._settled.take(crowded=bool(self._ready) and not (more or self.paused))
                if ended is not None:
                    self._end_all(ended)
                    continue
            if more:
                await asyncio.sleep(0)
                continue
            if not self._slots.running and not self._settled:
                if self._result is not None:
                    self.context.over = True
                    return self._result
                if self._is_idle():
                    await self.context.log.commit()  # a question is durable before anyone sees it
                    if not self._is_idle():
                        continue  # a command has arrived meanwhile
                    self._on_idle()
            await self._loop.wait()

    async def halt(self, reason: str) -> None:
        """Stop all attempts, whatever the state of the journal, and return when none of them runs any more."""
        self.interrupt(reason)
        while tasks := [node.task for node in self._slots.at_work if node.task is not None and not node.task.done()]:
            await asyncio.wait(tasks)

    # --- control

    def before(self, act: Callable[[Scheduler], None]) -> None:
        """Call something as soon as the run has begun."""
        self._loop.call_later(0, act, self)

    def guard(self, act: Callable[[Scheduler], None]) -> None:
        """Call something now; if it raises, the run ends."""
        self._loop.guard(act, self)

    def pause(self, *, now: bool = False) -> None:
        """Start nothing new. Attempts in flight finish; with `now` they are stopped, and run again later.

        What must not happen twice is not stopped.
        """
        self.paused = True
        if now:
            for node in self._slots.at_work:
                if node.state == "running" and not node.step.happens_once:
                    self._attempts.stop(self._run_of(node), "requeued")
        self._loop.wake()

    def resume(self) -> None:
        """Continue after a pause."""
        self.paused = False
        self._loop.wake()

    def cancel(self, *, reason: str, by: str) -> None:
        """Stop everything; the run ends as cancelled."""
        self.end(Ending("cancelled", reason=reason, by=by))

    def fail(self, error: Mapping[str, Any], *, graceful: bool = False) -> None:
        """Stop everything; the run ends as failed. If it is `graceful`, attempts in flight finish before that."""
        self.end(Ending("failed", error=error, reason=str(error["message"]), graceful=graceful))

    def interrupt(self, reason: str) -> None:
        """Stop everything; the run can be resumed elsewhere."""
        self.context.interrupted = True
        self.end(Ending("interrupted", reason=reason))

    def end(self, ending: Ending) -> None:
        """End the pipeline early."""
        if self.hold is not None and self.hold.ends(ending):
            self.done(ending)
        elif self._stop_all is not None:
            self._stop_all(ending)
        self._loop.wake()

    def done(self, ending: Ending) -> None:
        """Take the ending of the pipeline."""
        self._result = ending
        self._loop.wake()

    def answer(self, path: str, value: Any, by: str) -> None:
        """Answer an open question. An answer that does not fit, or that no step waits for, is ignored."""
        node = self.context.live.get(path)
        if node is None or not isinstance(node.activity, PendingWait):
            return
        with suppress(InputError):  # its sender knows: it is validated against the question before it is sent
            node.activity.answer(value, by)

    # --- frames

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
        """Begin to carry out a block. `only` is the path of its one step, if that is the item of a loop itself.

        With `enough`, the frame ends when that many steps have succeeded. Steps that the run has recorded are restored.
        If it has `ended`, for this reason, nothing else of it is started. `owner.closed` is called later.
        """
        frame = Frame(path, scope, owner, pipeline=pipeline, needs=self.context.deferred)
        frame.stopped, frame.reason = bool(ended), ended
        frame.fill(steps, path=only)
        frame.enough = enough
        restored = []
        for node in frame.nodes.values():
            record = self.context.recorded.steps.pop(node.path, None)
            if record is not None and record.settled:
                restored.append((node, record))
            else:
                node.record = record
                if record is not None:
                    restore_limits(node, record, self.context.redactor)
        for node, record in restored:
            resumption.restore(self.context, node, record)
        for node, record in restored:
            if record.state == "succeeded":
                self._run_of(node).count_success()
                self.context.times.note(node.path, record.duration)
            self._release(node)
        for node in frame.nodes.values():
            if node.waits_for == 0:
                self._make_ready(node)
        self._check(frame)
        self._loop.wake()
        return frame

    def stop_frame(self, frame: Frame, reason: str, *, graceful: bool = False) -> None:
        """Stop everything that runs in a frame, and start nothing more in it. It closes when that is done.

        If the stop is `graceful`, attempts in flight finish, unless the frame is later stopped without it.
        """
        if frame.stopped and (graceful or not frame.graceful):
            return
        frame.stopped = True
        frame.graceful = graceful
        frame.reason = reason
        for node in list(frame.busy):
            self._stop(node, "cancelled", graceful=graceful)
        self._check(frame)
        self._loop.wake()

    def _stop(self, node: StepNode, reason: Literal["timeout", "cancelled"], *, graceful: bool = False) -> None:
        match node.state:
            case "running" if not graceful:
                self._attempts.stop(self._run_of(node), reason)
            case "busy" if node.activity is not None:
                node.stopped = node.stopped or reason
                node.graceful = graceful
                node.activity.stop()
            case "waiting":
                self._retrying -= 1
                if node.timer is not None:
                    node.timer.cancel()
                if self.context.interrupted:
                    self.settle(node)  # it stays open, and keeps waiting in the next process
                else:
                    self._run_of(node).cancel()
            case "ready":  # for its next attempt, which waits for a slot
                self._run_of(node).cancel()

    def _check(self, frame: Frame) -> None:
        if not frame.closed and (frame.left == 0 or (frame.stopped and not frame.busy)):
            frame.closed = True
            self._closing.append(frame)

    async def _close_frames(self) -> None:
        while self._closing:
            frame = self._closing.popleft()
            frame.owner.closed(frame)
            self.context.log.forget_values(frame.path)
            self._closed += 1
            if self._closed % _CLOSED_AT_ONCE == 0:  # over all calls: one often closes a single frame
                await self.context.log.commit()  # what a loop without tool calls records does not pile up
                await asyncio.sleep(0)

    def _is_idle(self) -> bool:
        """Whether nothing will happen until a command arrives."""
        if self._settled or self._closing or self._slots.running or self._result is not None:
            return False
        if self.paused:
            return True
        if self._slots.parked:
            return False
        waits = [node.activity for node in self.context.live.values() if isinstance(node.activity, PendingWait)]
        if not waits or self._retrying or any(wait.has_deadline for wait in waits):
            return False
        return not any(not node.frame.stopped for node in self._ready)

    def _run_of(self, node: StepNode) -> StepRun:
        return StepRun(node, self._parts, self.context)

    # --- from ready to running

    def _make_ready(self, node: StepNode) -> None:
        if node.state == "pending":
            node.state = "ready"
            self._ready.add(node)

    def _start_ready(self) -> bool:
        """Fill free slots, and return whether more could be filled.

        Conditions are decided here, so a step that is skipped takes no slot.
        """
        if self.hold is not None and self.hold.holds:
            return False
        ready, slots = self._ready, self._slots
        if not self.paused:
            slots.grant()
        more = self._fill()
        slots.pass_on(ready=bool(ready), paused=self.paused)
        return more

    def _fill(self) -> bool:
        ready, slots = self._ready, self._slots
        started = 0
        while ready and not self.paused and (free := slots.free) and self._loop.failure is None:
            if started == _STARTED_AT_ONCE:
                return True
            node = ready.take(free)
            if not node.frame.stopped:
                self._start(node)
                started += 1
        return False

    def _start(self, node: StepNode) -> None:
        run, step, scope, first = self._run_of(node), node.step, node.frame.scope, node.attempt == 0
        if first and isinstance(step.work, ToolCall):
            if step.on_error:
                resumption.forget_handlers(run)
            if node.record is not None and resumption.resume_attempts(run, node.record):
                return
        key = self.context.idempotency_key(node.path)
        scope.names["step"] = {"id": step.id, "path": node.path, "attempt": node.attempt + 1, "idempotency_key": key}
        try:
            met = node.attempt > 0 or step.condition is None or bool(step.condition.evaluate(scope.scope))
            if met and step.limits:
                compute_limits(node)
        except StepError as error:
            self.begin(node)
            run.fail(error)
            return
        if not met:
            if step.on_false is not None:
                node.jump = "on_false"
            self._skip(node, StepSkippedPayload(reason="condition", by=None))
            return
        if not isinstance(step.work, ToolCall):
            self._execute(run)
            return
        if step.resumption != "rerun" and node.record is not None and not resumption.may_rerun(run, node.record):
            return
        node.record = None
        self.begin(node)
        try:
            parameters: Any = step.work.parameters.evaluate(scope.scope)
        except EvaluationError as error:
            run.fail(error)
            return
        if self._forgets_secrets and (lost := self.context.redactor.lost(parameters)):
            run.fail(resumption.lost_secret(run, lost))
            return
        self._attempts.start(run, parameters, key)

    def begin(self, node: StepNode) -> None:
        """Count an attempt, and give it a slot."""
        node.attempt += 1
        node.state = "running"
        node.stopped = ""
        node.entered = False
        node.started = self._loop.time()
        node.frame.busy.add(node)
        self._slots.running.add(node)
        self.context.live[node.path] = node
        record_start(self.context, node)

    def _execute(self, run: StepRun) -> None:
        """Begin work that is not a tool call. It takes no slot, since what it waits for may need one."""
        node = run.node
        node.attempt = 1
        node.started = self._loop.time()
        run.occupy()
        try:
            execute = self._parts.executors.kinds[type(node.step.work)]
            node.activity = activity = execute(run, node.step.work)
            activity.open()
        except OrchestratorError as error:
            run.fail(error)
            return
        if node.state == "busy" and node.step.timeout is not None and not isinstance(node.activity, PendingWait):
            node.timer = self._loop.call_later(node.step.timeout, self._time_out, node)

    def _time_out(self, node: StepNode) -> None:
        node.timer = None
        self._stop(node, "timeout")
        self._loop.wake()

    def rerun(self, node: StepNode) -> None:
        """Run a step whose second attempt was permitted by an answer."""
        node.activity = None
        node.record = None
        node.frame.busy.discard(node)
        node.state = "pending"
        self._make_ready(node)
        self._loop.wake()

    # --- between attempts

    def retry_later(self, node: StepNode, delay: float) -> None:
        """Make another attempt after `delay` seconds, without taking a slot meanwhile."""
        node.state = "waiting"
        self._slots.running.discard(node)
        self._retrying += 1
        node.timer = self._loop.call_later(delay, self._retry_now, node)
        self._loop.wake()

    def _retry_now(self, node: StepNode) -> None:
        self._retrying -= 1
        node.timer = None
        node.state = "ready"
        self._ready.add(node)
        self._loop.wake()

    def requeue(self, node: StepNode) -> None:
        """Put back a step that was interrupted; its attempt does not count."""
        node.attempt -= 1
        node.stopped = ""
        node.state = "ready"
        self._slots.running.discard(node)
        node.frame.busy.discard(node)
        self._ready.put_back(node)
        self._loop.wake()

    def settle(self, node: StepNode) -> None:
        """Take a step whose end is recorded; its successors start when that is durable."""
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        node.activity = None
        node.state = "settling"
        self.context.live.pop(node.path, None)
        self._settled.add(node)
        self._loop.wake()

    # --- after a step

    def _end_all(self, ended: Iterable[StepNode]) -> None:
        """End steps for good, and start what waited for them."""
        for node in ended:
            frame = node.frame
            node.state = "ended"
            self._slots.running.discard(node)
            frame.busy.discard(node)
            frame.left -= 1
            if not frame.stopped:
                self._release(node)
            self._check(frame)

    def _release(self, node: StepNode) -> None:
        """Start the successors of a step that has ended; first skip those that its jump skips."""
        frame = node.frame
        if node.jump is not None:
            over = [frame.nodes[step] for step in node.step.skips.get(node.jump, ())]
            over = [step for step in over if step.state == "pending"]
            for step in over:
                step.needs = max(step.needs, node.needs)
            for step in over:  # all, before any successor: one may wait for another of them, and not for this jump
                self._end_as_skipped(step, StepSkippedPayload(reason="jump", by=node.path))
            for step in over:
                self._release(step)
        for successor in node.successors:
            successor.waits_for -= 1
            if node.needs > successor.needs:
                successor.needs = node.needs
            if successor.waits_for == 0:
                self._make_ready(successor)

    def _skip(self, node: StepNode, end: StepSkippedPayload) -> None:
        """Skip a step. That needs no commit: it follows from what is recorded, so it would be decided the same way."""
        self._end_as_skipped(node, end)
        self._release(node)
        self._check(node.frame)

    def _end_as_skipped(self, node: StepNode, end: StepSkippedPayload) -> None:
        node.state = "ended"
        node.frame.left -= 1
        node.frame.scope.enter(node.step.id, step_values.skipped())
        self.context.record(end, node)
