"""Decides what runs next: each step as soon as those that it depends on have ended and there is a place for it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from orchestrator.errors import EvaluationError, InputError, OrchestratorError, StoreError
from orchestrator.plan.steps import StepPlan, ToolCall
from orchestrator.runtime.run import resume as resumption
from orchestrator.runtime.run import step_lifecycle
from orchestrator.runtime.run.attempts import Attempts
from orchestrator.runtime.run.run_graph import Ending, Failure, Frame, FrameOwner, Node
from orchestrator.runtime.steps.blocks import activity_of
from orchestrator.runtime.steps.questions import Waiting
from orchestrator.runtime.values import step_values

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from orchestrator.journal import Event, Recorded
    from orchestrator.journal.events import EventType
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.run.answer_stream import Partials
    from orchestrator.runtime.run.model_access import RunAsking
    from orchestrator.runtime.run.result_cache import ResultCache
    from orchestrator.runtime.values.redaction import Redactor
    from orchestrator.runtime.values.result_size import ResultSizes
    from orchestrator.runtime.values.scope import BlockScope
    from orchestrator.tools import Permissions, ToolExecutor

_STARTED_AT_ONCE = 100
"""Steps that are started before other work of the event loop, such as that of other runs, gets a turn."""

_CLOSED_AT_ONCE = 200
"""Frames that are closed before other work of the event loop gets a turn."""

MOST_CAUSES: Final = 8
"""Exceptions hold the values of all their frames, so few are kept."""

_ENDS: Final = frozenset({"step.succeeded", "step.failed", "step.skipped"})
"""After these a step is attempted no more, so what was answered on its way is of no use here."""


class EventLog(Protocol):
    """The part of a run's journal that the scheduler writes to."""

    @property
    def last_size(self) -> int:
        """The length of the last recorded event's data, in characters of JSON."""

    def record(
        self,
        type: EventType,
        path: str = "",
        attempt: int = 0,
        data: Mapping[str, Any] | None = None,
        *,
        most: int | None = None,
    ) -> Event:
        """Take an event; it is durable after the next commit."""

    async def commit(self) -> None:
        """Return when everything recorded so far is durable."""


class Scheduler:
    """The steps of one run, on one event loop.

    The run is a tree of frames, one for each block that is under way. When an attempt has ended its events are
    recorded, its node joins `_settled`, and the main loop commits all that have settled meanwhile at once, and only
    then gives their places to others and starts what waited for them. Only attempts of tools take one of the places.
    """

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        log: EventLog,
        *,
        now: datetime,
        permissions: Permissions,
        max_parallel: int,
        sizes: ResultSizes,
        redactor: Redactor,
        executor: ToolExecutor,
        chance: random.Random,
        recorded: Recorded,
        load: Callable[[Sequence[int]], list[Any]],
        cache: ResultCache | None,
        asking: RunAsking,
        partials: Partials,
        on_idle: Callable[[], None],
    ) -> None:
        """`recorded` is what earlier owners of the run achieved, `load` reads the outputs of end events.

        `asking` is what steps ask models through, `partials` shows what these are answering. `on_idle` is called
        whenever nothing runs any more until somebody acts: the run is paused, or waits for answers.
        """
        self.plan = plan
        self.run_id = run_id
        self.now = now
        self.permissions = permissions
        self.max_parallel = max_parallel
        self.sizes = sizes
        self.redactor = redactor
        self.recorded = recorded
        self.load = load
        self.loop = asyncio.get_running_loop()
        self.log = log
        self.paused = False
        called = (spec for one in plan.pipelines.values() for spec in one.inputs.values())
        self._forgets_secrets = bool(recorded.steps or recorded.items) and any(spec.secret for spec in called)
        self.executor = executor
        self.chance = chance
        self.asking = asking
        self.partials = partials
        self.over = False
        """Whether nothing more may be recorded."""
        self.causes: dict[str, BaseException] = {}
        """What tools raised for which steps failed, by the steps' paths; of many the last ones."""
        self._warnings: set[str] = set()
        self._on_idle = on_idle
        self._attempts = Attempts(self, cache)
        self._ready: deque[Node] = deque()
        self._fresh: list[Node] = []
        self._running: set[Node] = set()
        self.aside: set[Node] = set()
        """What is at work without a place: attempts that wait to be allowed something, and values that are judged."""
        self._returning: deque[tuple[Node, asyncio.Future[None]]] = deque()
        self._settled: list[Node] = []
        self._closing: deque[Frame] = deque()
        self._closed = 0
        self.live: dict[str, Node] = {}
        self._retrying = 0
        self._wake = asyncio.Event()
        self._stop_all: Callable[[Ending], None] | None = None
        self._result: Ending | None = None
        self.interrupted = False
        self._broken: BaseException | None = None
        self.main: asyncio.Task[Any] | None = None

    async def run(self, begin: Callable[[Scheduler], Callable[[Ending], None]]) -> Ending:
        """Run everything that can be run, and return how it ended.

        `begin` opens the first frame and returns what ends the pipeline early; it calls `done` when it has ended.

        Raises:
            StoreError: The journal cannot be written; `halt` must still be called.
        """
        self.main = asyncio.current_task()
        self._stop_all = begin(self)
        while True:
            await self._close_frames()
            more = self._start_ready()
            if self._broken is not None:
                raise self._broken
            if self._closing:
                continue
            if self._settled:
                await self._commit()
                continue
            if more:
                await asyncio.sleep(0)
                continue
            if not self._running:
                if self._result is not None:
                    self.over = True
                    return self._result
                if self._is_idle():
                    await self.log.commit()  # a question is durable before anybody hears of it
                    if not self._is_idle():
                        continue  # somebody has acted meanwhile
                    self._on_idle()
            self._wake.clear()
            await self._wake.wait()

    async def halt(self, reason: str) -> None:
        """Stop all attempts, whatever becomes of the journal, and return when none of them runs any more."""
        self.interrupt(reason)
        while tasks := [
            node.task for node in self._running | self.aside if node.task is not None and not node.task.done()
        ]:
            await asyncio.wait(tasks)

    # --- control

    def before(self, act: Callable[[Scheduler], None]) -> None:
        """Have something done as soon as the run has begun."""
        self.call_later(0, act, self)

    def pause(self, *, now: bool = False) -> None:
        """Start nothing new. What runs goes on to its end, or with `now` is stopped and will be run again."""
        self.paused = True
        if now:
            for node in [*self._running, *self.aside]:
                if node.state == "running":
                    self._attempts.stop(node, "requeued")
        self._wake.set()

    def resume(self) -> None:
        """Go on after a pause."""
        self.paused = False
        self._wake.set()

    def cancel(self, *, reason: str, by: str) -> None:
        """Stop everything; the run ends as cancelled."""
        self.end(Ending("cancelled", reason=reason, by=by))

    def fail(self, error: Mapping[str, Any], *, gently: bool = False) -> None:
        """Stop everything; the run ends as failed. With `gently`, attempts that are under way end before that."""
        self.end(Ending("failed", error=error, reason=str(error["message"]), gently=gently))

    def interrupt(self, reason: str) -> None:
        """Stop everything; the run can go on elsewhere."""
        self.interrupted = True
        self.end(Ending("interrupted", reason=reason))

    def end(self, ending: Ending) -> None:
        """Have the pipeline end early."""
        if self._stop_all is not None:
            self._stop_all(ending)
        self._wake.set()

    def done(self, ending: Ending) -> None:
        """Take note that the pipeline has ended."""
        self._result = ending
        self._wake.set()

    def answer(self, path: str, value: Any, by: str) -> None:
        """Give a waiting question its answer; an answer that does not fit, or that nobody waits for, is passed over."""
        node = self.live.get(path)
        if node is None or not isinstance(node.activity, Waiting):
            return
        with suppress(InputError):  # who sent it was told: it is held to the question before it is sent
            node.activity.answer(value, by)

    def report(self, path: str, attempt: int, type: EventType, data: dict[str, Any]) -> None:
        """Record what a tool reports about its own work."""
        node = self.live.get(path)
        if node is not None:
            with suppress(StoreError):  # the next commit says so
                self.record(type, node, data)

    def record(self, type: EventType, node: Node, data: Mapping[str, Any], *, most: int | None = None) -> Event:
        """Record an event of a step, without secrets.

        Raises:
            EventTooLarge: It has more than `most` characters of JSON.
        """
        if type in _ENDS:
            self.recorded.kept.pop(node.path, None)
        recorded = self.redactor.scrub_fields(data) if self.redactor else data
        return self.log.record(type, node.path, node.attempt, recorded, most=most)

    def remember_cause(self, failure: Failure) -> None:
        """Keep what a tool raised, for those who wait for the run in this process; of many failures the last ones."""
        cause = failure.error.__cause__ if failure.error is not None else None
        if cause is not None:
            self.causes[str(failure.data.get("step"))] = cause
            if len(self.causes) > MOST_CAUSES:
                del self.causes[next(iter(self.causes))]

    def warn(self, message: str) -> None:
        """Record a warning about the run as a whole, once."""
        if message not in self._warnings and not self.over:
            self._warnings.add(message)
            self.log.record("run.warning", data={"message": self.redactor.text(message)})

    def record_item(self, path: str, state: str, data: Mapping[str, Any]) -> tuple[int, int]:
        """Record how an item of a loop, or a round, ended; return the event's number and size."""
        recorded = self.redactor.scrub_fields(data) if self.redactor else data
        event = self.log.record("step.succeeded" if state == "succeeded" else "step.failed", path, 1, recorded)
        return event.seq, self.log.last_size

    def occupied_by_handler(self, node: Node) -> None:
        """Take note that a failed step is being dealt with: it is no longer at work, and takes no place."""
        node.state = "busy"
        node.stopped = ""
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        self._running.discard(node)
        node.frame.busy.add(node)
        self.live[node.path] = node

    def break_(self, failure: BaseException) -> None:
        """Give up: something is wrong that no step is to blame for."""
        self._broken = failure
        self._wake.set()

    def wake(self) -> None:
        """Have the main loop look again."""
        self._wake.set()

    def call_later(self, delay: float, act: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        """Do something after `delay` seconds. What it raises ends the run: a bare timer would leave it hanging."""
        return self.loop.call_later(delay, self.guard, act, *arguments)

    def guard(self, act: Callable[..., None], *arguments: Any) -> None:
        """Do something now; what it raises ends the run, as nobody else would hear of it."""
        try:
            act(*arguments)
        except Exception as failure:
            self.break_(failure)

    # --- frames

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
        """Begin to carry out a block. `only` is the path of its one step, if it has that of the item of a loop.

        It ends with the success of `enough` steps, if that is given. What the run has recorded of its steps counts.
        `owner.closed` is called later.
        """
        frame = Frame(path, scope, owner)
        frame.fill(steps, path=only)
        frame.enough = enough
        restored = []
        for node in frame.nodes.values():
            record = self.recorded.steps.pop(node.path, None)
            if record is not None and record.settled:
                restored.append((node, record))
            else:
                node.record = record
        for node, record in restored:
            resumption.restore(self, node, record)
        for node, record in restored:
            step_lifecycle.count(self, node, record.state)
            self._release(node)
        for node in frame.nodes.values():
            if node.waits_for == 0:
                self._make_ready(node)
        self._check(frame)
        self._wake.set()
        return frame

    def stop_frame(self, frame: Frame, reason: str, *, gently: bool = False) -> None:
        """Stop all that is under way in a frame; nothing of it is started any more. It closes when that is done.

        With `gently`, attempts go on to their end, and are no longer let if the frame is then stopped without.
        """
        if frame.stopped and (gently or not frame.gently):
            return
        frame.stopped = True
        frame.gently = gently
        frame.reason = reason
        for node in list(frame.busy):
            self._stop(node, "cancelled", gently=gently)
        self._check(frame)
        self._wake.set()

    def stop_within(self, node: Node, frame: Frame) -> None:
        """Stop a frame of a composite as that is being stopped."""
        self.stop_frame(frame, node.frame.reason, gently=node.gently)

    def _stop(self, node: Node, why: Any, *, gently: bool = False) -> None:
        match node.state:
            case "running" if not gently:
                self._attempts.stop(node, why)
            case "busy" if node.activity is not None:
                node.stopped = node.stopped or why
                node.gently = gently
                node.activity.stop()
            case "waiting":
                self._retrying -= 1
                if node.timer is not None:
                    node.timer.cancel()
                if self.interrupted:
                    self.settle(node)  # it stays open, and goes on waiting in the next process
                else:
                    step_lifecycle.cancelled(self, node)
            case "ready":  # for its next attempt, which waits for a place
                step_lifecycle.cancelled(self, node)

    def _check(self, frame: Frame) -> None:
        if not frame.closed and (frame.left == 0 or (frame.stopped and not frame.busy)):
            frame.closed = True
            self._closing.append(frame)

    async def _close_frames(self) -> None:
        while self._closing:
            frame = self._closing.popleft()
            frame.owner.closed(frame)
            self._closed += 1
            if self._closed % _CLOSED_AT_ONCE == 0:  # over all calls: one often closes a single frame
                await self.log.commit()  # what a loop without calls of tools records does not pile up
                await asyncio.sleep(0)

    def _is_idle(self) -> bool:
        """Whether nothing will happen before somebody acts."""
        if self._settled or self._closing or self._running or self._result is not None:
            return False
        if self.paused:
            return True
        if self.aside:
            return False
        waiting = [node.activity for node in self.live.values() if isinstance(node.activity, Waiting)]
        if not waiting or self._retrying or any(activity.goes_on_alone for activity in waiting):
            return False
        return not any(not node.frame.stopped for node in self._ready)

    # --- from ready to running

    def _make_ready(self, node: Node) -> None:
        if node.state == "pending":
            node.state = "ready"
            self._ready.append(node)
            self._fresh.append(node)

    def _start_ready(self) -> bool:
        """Fill free places, and return whether more could be filled.

        Conditions are decided here, so a step that is skipped takes no place.
        """
        ready, running = self._ready, self._running
        while self._returning and not self.paused and len(running) < self.max_parallel:
            node, granted = self._returning.popleft()
            if not granted.done():
                self.put_back(node)
                granted.set_result(None)
        started = 0
        while ready and not self.paused and len(running) < self.max_parallel and self._broken is None:
            if started == _STARTED_AT_ONCE:
                return True
            node = ready.popleft()
            if not node.frame.stopped:
                self._start(node)
                started += 1
        if self._fresh:
            if ready:
                for node in self._fresh:
                    if node.state == "ready" and not node.announced and not node.frame.stopped:
                        node.announced = True
                        self.record("step.ready", node, {})
            self._fresh.clear()
        return False

    def _start(self, node: Node) -> None:
        step, scope, first = node.step, node.frame.scope, node.attempt == 0
        if first and isinstance(step.work, ToolCall):
            if step.on_error:
                resumption.forget_handlers(self, node)
            if node.record is not None and resumption.take_up_attempts(self, node, node.record):
                return
        scope.names["step"] = {
            "id": step.id,
            "path": node.path,
            "attempt": node.attempt + 1,
            "idempotency_key": f"{self.run_id}:{node.path}",
        }
        if node.attempt == 0 and step.condition is not None:
            try:
                met = bool(step.condition.evaluate(scope.scope))
            except EvaluationError as error:
                self.begin(node)
                step_lifecycle.failed(self, node, Failure.of(error, node))
                return
            if not met:
                if step.on_false is not None:
                    node.jump = "on_false"
                self._skip(node, {"reason": "condition", "by": None})
                return
        if not isinstance(step.work, ToolCall):
            self._occupy(node)
            return
        if step.on_resume != "rerun" and node.record is not None and not resumption.may_rerun(self, node, node.record):
            return
        node.record = None
        self.begin(node)
        try:
            parameters: Any = step.work.parameters.evaluate(scope.scope)
        except EvaluationError as error:
            step_lifecycle.failed(self, node, Failure.of(error, node))
            return
        if self._forgets_secrets and (lost := self.redactor.lost(parameters)):
            step_lifecycle.failed(self, node, Failure.of(resumption.lost_secret(self, node, lost), node))
            return
        self._attempts.start(node, parameters)

    def begin(self, node: Node) -> None:
        """Count an attempt, and give it a place."""
        node.attempt += 1
        node.state = "running"
        node.stopped = ""
        node.entered = False
        node.started = self.loop.time()
        node.frame.busy.add(node)
        self._running.add(node)
        self.live[node.path] = node
        work = node.step.work
        data = {"tool": work.tool.name, "action": work.action.name} if isinstance(work, ToolCall) else {}
        self.log.record("step.started", node.path, node.attempt, data)

    def _occupy(self, node: Node) -> None:
        """Begin work that is no call of a tool: it takes no place, since what it waits for may need one."""
        node.attempt = 1
        node.state = "busy"
        node.started = self.loop.time()
        node.frame.busy.add(node)
        self.live[node.path] = node
        try:
            node.activity = activity = activity_of(self, node)
            activity.open()
        except OrchestratorError as error:
            step_lifecycle.failed(self, node, Failure.of(error, node))
            return
        if node.state == "busy" and node.step.timeout is not None and not isinstance(node.activity, Waiting):
            node.timer = self.call_later(node.step.timeout, self._time_out, node)

    def _time_out(self, node: Node) -> None:
        node.timer = None
        self._stop(node, "timeout")
        self._wake.set()

    def rerun(self, node: Node) -> None:
        """Run a step whose second attempt was asked about and permitted."""
        node.activity = None
        node.record = None
        node.frame.busy.discard(node)
        node.state = "pending"
        self._make_ready(node)
        self._wake.set()

    def leave_place(self, node: Node) -> bool:
        """Let another step have the place of an attempt that waits; return whether it had one."""
        if node not in self._running:
            return False
        self._running.discard(node)
        self.aside.add(node)
        self._wake.set()
        return True

    async def take_place(self, node: Node) -> None:
        """Wait for a place, before all steps that have none yet. Nothing is given to an attempt of a paused run."""
        granted: asyncio.Future[None] = self.loop.create_future()
        self._returning.append((node, granted))
        self._wake.set()
        try:
            await granted
        except asyncio.CancelledError:
            self.put_back(node)  # it ends now
            raise

    def put_back(self, node: Node) -> None:
        """Count an attempt among those with a place."""
        self.aside.discard(node)
        self._running.add(node)

    # --- between attempts

    def retry_later(self, node: Node, delay: float) -> None:
        """Have another attempt made after `delay` seconds, without taking a place meanwhile."""
        node.state = "waiting"
        self._running.discard(node)
        self._retrying += 1
        node.timer = self.call_later(delay, self._retry_now, node)
        self._wake.set()

    def _retry_now(self, node: Node) -> None:
        self._retrying -= 1
        node.timer = None
        node.state = "ready"
        self._ready.append(node)
        self._wake.set()

    def requeue(self, node: Node) -> None:
        """Put back a step that was interrupted; its attempt does not count."""
        node.attempt -= 1
        node.stopped = ""
        node.state = "ready"
        self._running.discard(node)
        node.frame.busy.discard(node)
        self._ready.appendleft(node)
        self._wake.set()

    def settle(self, node: Node) -> None:
        """Take a step whose end is recorded; what follows it starts when that is durable."""
        if node.timer is not None:
            node.timer.cancel()
            node.timer = None
        node.activity = None
        node.state = "settling"
        self.live.pop(node.path, None)
        self._settled.append(node)
        self._wake.set()

    # --- after a step

    async def _commit(self) -> None:
        """Make all ends that are recorded durable, and start what waited for them."""
        batch, self._settled = self._settled, []
        await self.log.commit()
        for node in batch:
            frame = node.frame
            node.state = "ended"
            self._running.discard(node)
            frame.busy.discard(node)
            frame.left -= 1
            if not frame.stopped:
                self._release(node)
            self._check(frame)

    def _release(self, node: Node) -> None:
        """Let the successors of a step that has ended go on; first skip those that its jump skips."""
        frame = node.frame
        if node.jump is not None:
            over = [frame.nodes[step] for step in node.step.skips.get(node.jump, ())]
            over = [step for step in over if step.state == "pending"]
            for step in over:  # all, before any successor: one may wait for another of them, and not for this jump
                self._end_as_skipped(step, {"reason": "jump", "by": node.path})
            for step in over:
                self._release(step)
        for successor in node.successors:
            successor.waits_for -= 1
            if successor.waits_for == 0:
                self._make_ready(successor)

    def _skip(self, node: Node, data: Mapping[str, Any]) -> None:
        """A skip is not waited for: it follows from what is recorded, so it would be decided the same way again."""
        self._end_as_skipped(node, data)
        self._release(node)
        self._check(node.frame)

    def _end_as_skipped(self, node: Node, data: Mapping[str, Any]) -> None:
        node.state = "ended"
        node.frame.left -= 1
        node.frame.scope.enter(node.step.id, step_values.skipped())
        self.record("step.skipped", node, data)
