"""Decides which step runs next: each as soon as those that it depends on have ended and there is a place for it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from orchestrator.compiler.plan import StepPlan
from orchestrator.errors import EvaluationError, OrchestratorError, StepError, StepTimeout, StoreError
from orchestrator.runtime.context import StepContext
from orchestrator.runtime.failures import as_step_error, error_data, is_retried, retry_delay
from orchestrator.runtime.scope import RunScope, copy_of
from orchestrator.tools import call

if TYPE_CHECKING:
    import random

    from orchestrator.compiler.plan import Plan
    from orchestrator.journal import Event
    from orchestrator.journal.events import EventType
    from orchestrator.journal.steps import StepRecord
    from orchestrator.runtime.redaction import Redactor
    from orchestrator.tools import Permissions

STOP_GRACE = 5.0
"""Seconds that a stopped attempt is given to end; then it is abandoned, with a warning. Longer than tools need to
end a process group."""


class EventLog(Protocol):
    """The part of a run's journal that the scheduler writes to."""

    def record(self, type: EventType, path: str = "", attempt: int = 0, data: Mapping[str, Any] | None = None) -> Event:
        """Take an event; it is durable after the next commit."""

    async def commit(self) -> None:
        """Return when everything recorded so far is durable."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why no more steps are started. `interrupted`: this process stops, and the run can go on elsewhere."""

    state: Literal["succeeded", "failed", "cancelled", "interrupted"]
    error: Mapping[str, Any] | None = None
    reason: str = ""
    by: str = ""


@dataclass(slots=True, eq=False)
class Node:
    """A step in the graph of one run. `jump` is the kind of jump that its end made."""

    step: StepPlan
    waits_for: int = 0
    successors: list[Node] = field(default_factory=list)
    state: Literal["pending", "ready", "running", "waiting", "ended"] = "pending"
    attempt: int = 0
    jump: Literal["on_success", "on_false", "on_failure"] | None = None
    announced: bool = False
    started: float = 0.0
    context: StepContext | None = None
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    entered: bool = False
    stopped: Literal["", "timeout", "cancelled"] = ""


class Scheduler:
    """The steps of one run, on one event loop.

    An attempt is a task. When it has ended its events are recorded, it joins `_settled`, and the main loop commits all
    that have settled meanwhile at once, and only then gives their places to others and starts what waited for them.
    """

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        log: EventLog,
        scope: RunScope,
        *,
        permissions: Permissions,
        max_parallel: int,
        redactor: Redactor,
        chance: random.Random,
        on_idle: Callable[[], None],
    ) -> None:
        """Build the graph. `on_idle` is called whenever the run is paused and nothing runs any more."""
        self._plan = plan
        self._run_id = run_id
        self._log = log
        self._scope = scope
        self._permissions = permissions
        self._max_parallel = max_parallel
        self._redactor = redactor
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._nodes = {step.id: Node(step, len(step.dependencies)) for step in plan.steps}
        for node in self._nodes.values():
            for dependency in node.step.dependencies:
                self._nodes[dependency].successors.append(node)
        self._ready: deque[Node] = deque()
        self._fresh: list[Node] = []
        self._running: set[Node] = set()
        self._waiting: set[Node] = set()
        self._settled: list[Node] = []
        self._abandoned: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._main: asyncio.Task[Any] | None = None
        self._ending: Ending | None = None
        self._broken: BaseException | None = None
        self._on_idle = on_idle
        self.paused = False

    def restore(self, settled: Mapping[str, StepRecord]) -> None:
        """Take over what an earlier owner of the run recorded: these steps are not run again."""
        restored = [node for path, node in self._nodes.items() if path in settled]
        for node in restored:
            self._restore(node, settled[node.step.id])
        for node in restored:
            self._release(node)

    async def run(self) -> Ending:
        """Run everything that can be run, and return why it ended.

        Raises:
            StoreError: The journal cannot be written; `halt` must still be called.
        """
        self._main = asyncio.current_task()
        for node in self._nodes.values():
            if node.waits_for == 0:
                self._make_ready(node)
        while True:
            self._start_ready()
            if self._broken is not None:
                raise self._broken
            if self._settled:
                await self._commit()
                continue
            if not self._running:
                if self._ending is not None:
                    return self._ending
                if not self._ready and not self._waiting:
                    return Ending("succeeded")
                if self.paused:
                    self._on_idle()
            self._wake.clear()
            await self._wake.wait()

    async def halt(self, reason: str) -> None:
        """Stop all attempts, whatever becomes of the journal, and return when none of them runs any more."""
        self._end(Ending("interrupted", reason=reason))
        while tasks := [node.task for node in self._running if node.task is not None and not node.task.done()]:
            await asyncio.wait(tasks)

    def pause(self) -> None:
        """Start nothing new. What runs goes on to its end."""
        self.paused = True
        self._wake.set()

    def resume(self) -> None:
        """Go on after a pause."""
        self.paused = False
        self._wake.set()

    def cancel(self, *, reason: str, by: str) -> None:
        """Stop everything; the run ends as cancelled."""
        self._end(Ending("cancelled", reason=reason, by=by))

    def fail(self, error: Mapping[str, Any]) -> None:
        """Stop everything; the run ends as failed."""
        step = error.get("step")
        self._end(Ending("failed", error=error, reason=f"`{step}` failed" if step else str(error["message"])))

    def interrupt(self, reason: str) -> None:
        """Stop everything; the run can go on elsewhere."""
        self._end(Ending("interrupted", reason=reason))

    def report(self, path: str, attempt: int, type: EventType, data: dict[str, Any]) -> None:
        """Record what a tool reports about its own work."""
        with suppress(StoreError):  # the next commit says so
            self._record(type, self._nodes[path], data)

    def _record(self, type: EventType, node: Node, data: Mapping[str, Any]) -> None:
        recorded = self._redactor.scrub_fields(data) if self._redactor else data
        self._log.record(type, node.step.id, node.attempt, recorded)

    # --- from ready to running

    def _make_ready(self, node: Node) -> None:
        if node.state == "pending":
            node.state = "ready"
            self._ready.append(node)
            self._fresh.append(node)

    def _start_ready(self) -> None:
        """Fill the free places. Conditions are decided here, so a step that is skipped takes none."""
        ready, running = self._ready, self._running
        while ready and not self.paused and self._ending is None and len(running) < self._max_parallel:
            self._start(ready.popleft())
        if self._fresh:
            if ready and self._ending is None:
                for node in self._fresh:
                    if node.state == "ready" and not node.announced:
                        node.announced = True
                        self._record("step.ready", node, {})
            self._fresh.clear()

    def _start(self, node: Node) -> None:
        step, scope = node.step, self._scope.scope
        if node.attempt == 0 and step.condition is not None:
            try:
                met = bool(step.condition.evaluate(scope))
            except EvaluationError as error:
                self._begin(node)
                self._failed(node, error)
                return
            if not met:
                if step.on_false is not None:
                    node.jump = "on_false"
                self._skip(node, {"reason": "condition", "by": None})
                return
        self._begin(node)
        try:
            parameters = step.work.parameters.evaluate(scope)
        except EvaluationError as error:
            self._failed(node, error)
            return
        node.context = StepContext(
            self,
            run_id=self._run_id,
            step=step.id,
            attempt=node.attempt,
            directory=self._plan.directory,
            permissions=self._permissions,
            loop=self._loop,
        )
        node.task = self._loop.create_task(self._attempt(node, node.context, copy_of(parameters)))
        if step.timeout is not None:
            node.timer = self._loop.call_later(step.timeout, self._stop, node, "timeout")

    def _begin(self, node: Node) -> None:
        node.attempt += 1
        node.state = "running"
        node.stopped = ""
        node.entered = False
        node.started = self._loop.time()
        self._running.add(node)
        work = node.step.work
        self._log.record(
            "step.started", node.step.id, node.attempt, {"tool": work.tool.name, "action": work.action.name}
        )

    # --- one attempt

    async def _attempt(self, node: Node, context: StepContext, parameters: Mapping[str, Any]) -> None:
        node.entered = True
        output: Any = None
        error: OrchestratorError | None = None
        try:
            output = await call(node.step.work.action, parameters, context)
        except asyncio.CancelledError:
            if not node.stopped and self._main is not None and self._main.cancelling():
                node.stopped = "cancelled"  # the whole loop is being shut down, and the main task is told in a moment
            error = StepError("the tool's work was cancelled from inside the tool")
        except SystemExit as exit_:
            error = StepError(f"the tool asked the whole process to exit (status {exit_.code})", retryable=False)
        except Exception as failure:
            error = as_step_error(failure)
        if context.ended:
            return  # abandoned: the run has gone on without this attempt
        try:
            self._end_attempt(node, output, error)
        except Exception as failure:
            self._broken = failure
            self._wake.set()

    def _stop(self, node: Node, why: Literal["timeout", "cancelled"]) -> None:
        """Ask an attempt to end. It is waited for, but not for ever."""
        if node.task is None or node.task.done() or node.stopped:
            return
        node.stopped = why
        if node.timer is not None:
            node.timer.cancel()
        node.task.cancel()
        if node.entered:
            node.timer = self._loop.call_later(STOP_GRACE, self._abandon, node)
        else:  # a task that is cancelled before its first step never runs at all
            self._loop.call_soon(self._end_attempt, node, None, None)

    def _abandon(self, node: Node) -> None:
        if node.task is None or node.task.done():
            return
        self._abandoned.add(node.task)
        node.task.add_done_callback(self._abandoned.discard)
        with suppress(StoreError):  # the next commit says so
            self._warn(node, f"`{node.step.id}` did not stop within {STOP_GRACE:g} seconds and was abandoned")
        try:
            self._end_attempt(node, None, None)
        except StoreError as failure:
            self._broken = failure
            self._wake.set()

    def _end_attempt(self, node: Node, output: Any, error: OrchestratorError | None) -> None:
        if node.context is not None:
            node.context.end()
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        node.task = None
        if node.stopped and node.entered and node.step.work.action.mode == "thread":
            self._warn(
                node, f"the thread of `{node.step.id}` cannot be stopped and was abandoned; it may still be working"
            )
        if node.stopped == "cancelled":
            self._cancelled(node)
        elif node.stopped == "timeout":
            seconds = node.step.timeout or 0.0
            message = f"`{node.step.id}` ran longer than its timeout of {seconds:g} s"
            self._failed(node, StepTimeout(message, seconds=seconds, help="give it a longer `timeout`, or less to do"))
        elif error is not None:
            self._failed(node, error)
        else:
            self._succeeded(node, output)

    def _warn(self, node: Node, message: str) -> None:
        self._record("step.warning", node, {"message": message, "code": StepTimeout.default_code})

    # --- how an attempt ends

    def _succeeded(self, node: Node, output: Any) -> None:
        duration = self._loop.time() - node.started
        self._scope.succeeded(node.step, output, attempts=node.attempt, duration=duration)
        self._record("step.succeeded", node, {"output": output, "duration": duration})
        if node.step.on_success is not None:
            node.jump = "on_success"
        self._settle(node)

    def _failed(self, node: Node, error: OrchestratorError) -> None:
        step, duration = node.step, self._loop.time() - node.started
        if is_retried(error, step.retry, node.attempt):
            if self._ending is None:
                self._retry(node, error)
            else:
                self._cancelled(node)
            return
        kind, value = step.on_failure.kind, None
        if kind == "value" and step.on_failure.value is not None:
            try:
                value = step.on_failure.value.evaluate(self._scope.scope)
            except EvaluationError as second:
                second.message = f"{error.message}; and the value instead of a result: {second.message}"
                kind, error = "fail", second
        recorded = error_data(error, attempt=node.attempt, step=step.id)
        data = {
            "error": recorded,
            "duration": duration,
            "handled": kind,
            "value": value,
            "target": step.on_failure.target,
        }
        self._record("step.failed", node, data)
        if kind == "fail":
            self._settle(node)
            self.fail(recorded)
            return
        if kind == "jump":
            node.jump = "on_failure"
        self._scope.failed(step, value, recorded, attempts=node.attempt, duration=duration)
        self._settle(node)

    def _retry(self, node: Node, error: OrchestratorError) -> None:
        """Wait for the next attempt, without taking a place meanwhile."""
        delay = retry_delay(error, node.step.retry, node.attempt, self._chance)
        recorded = error_data(error, attempt=node.attempt, step=node.step.id)
        self._record("step.waiting", node, {"reason": "retry", "until": time.time() + delay, "error": recorded})
        node.state = "waiting"
        self._running.discard(node)
        self._waiting.add(node)
        node.timer = self._loop.call_later(delay, self._retry_now, node)
        self._wake.set()

    def _retry_now(self, node: Node) -> None:
        self._waiting.discard(node)
        node.timer = None
        node.state = "ready"
        self._ready.append(node)
        self._wake.set()

    def _cancelled(self, node: Node) -> None:
        self._record("step.cancelled", node, {"reason": self._ending.reason if self._ending else ""})
        self._settle(node)

    def _settle(self, node: Node) -> None:
        node.state = "ended"
        self._settled.append(node)
        self._wake.set()

    # --- after an attempt

    async def _commit(self) -> None:
        """Make all ends that are recorded durable, and start what waited for them."""
        batch, self._settled = self._settled, []
        await self._log.commit()
        for node in batch:
            self._running.discard(node)
            if self._ending is None:
                self._release(node)

    def _release(self, node: Node) -> None:
        """Let the successors of a step that has ended go on; first skip those that its jump skips."""
        if node.jump is not None:
            for path in node.step.skips.get(node.jump, ()):
                if self._nodes[path].state == "pending":
                    self._skip(self._nodes[path], {"reason": "jump", "by": node.step.id})
        for successor in node.successors:
            successor.waits_for -= 1
            if successor.waits_for == 0:
                self._make_ready(successor)

    def _skip(self, node: Node, data: Mapping[str, Any]) -> None:
        """A skip is not waited for: it follows from what is recorded, so it would be decided the same way again."""
        node.state = "ended"
        self._scope.skipped(node.step)
        self._record("step.skipped", node, data)
        self._release(node)

    def _end(self, ending: Ending) -> None:
        """Start nothing more and stop what runs; the first reason counts."""
        if self._ending is None:
            self._ending = ending
        for node in self._waiting:
            if node.timer is not None:
                node.timer.cancel()
            node.state = "ended"
            self._record("step.cancelled", node, {"reason": ending.reason})
        self._waiting.clear()
        for node in self._running:
            self._stop(node, "cancelled")
        self._wake.set()

    def _restore(self, node: Node, record: StepRecord) -> None:
        step, attempts, duration = node.step, record.attempts, record.duration
        node.state = "ended"
        output = self._redactor.restore(record.output)
        if record.state == "succeeded":
            self._scope.succeeded(step, output, attempts=attempts, duration=duration)
            node.jump = "on_success" if step.on_success is not None else None
        elif record.state == "failed":
            error = self._redactor.restore(record.error or {})
            self._scope.failed(step, output, error, attempts=attempts, duration=duration)
            node.jump = "on_failure" if record.handled == "jump" else None
        else:
            self._scope.skipped(step)
            node.jump = "on_false" if record.reason == "condition" and step.on_false is not None else None
