"""The loops: a frame for each item or round. What has ended is dropped; the journal has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.journal.state.accumulators import RoundState, RoundStates, folded
from orchestrator.journal.step_payloads import (
    StepFailedPayload,
    StepLogPayload,
    StepStartedPayload,
    StepSucceededPayload,
)
from orchestrator.plan.steps import Block
from orchestrator.remedies import RetryStep, ShowRun
from orchestrator.runtime.run.resume import recorded_entity, recorded_items
from orchestrator.runtime.run.run_graph import StepFailure
from orchestrator.runtime.steps.item_sources import items_of
from orchestrator.runtime.steps.step_task import StepTask
from orchestrator.runtime.values import step_values
from orchestrator.runtime.values.scope import NULL

if TYPE_CHECKING:
    from collections.abc import Generator

    from orchestrator.expressions import Entity
    from orchestrator.journal.state.resume_state import ItemState
    from orchestrator.plan.steps import ForEach, RepeatLoop
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.step_run import StepRun

_NOTHING = object()


class ForEachRun:
    """A frame for each item, as many at once as the loop allows, begun in the order of the items.

    If the loop carries values from item to item, one at a time.
    """

    def __init__(self, run: StepRun, loop: ForEach) -> None:
        self._run = run
        self._loop = loop
        self._limit = 1 if loop.is_fold else loop.max_parallel or run.context.max_parallel
        self._state: dict[str, Any] = {}
        self._states = RoundStates()
        self._values = recorded_items(run.context, run.path, loop)
        self._frames: dict[Frame, tuple[int, float]] = {}
        self._rows: Generator[Any, None, None] | None = None
        self._next_index = 0
        self._ahead: Any = _NOTHING
        self._failure: StepFailure | None = None
        self._total: int | None = None
        self._filling = False
        self._scan: StepTask[None] | None = None

    def open(self) -> None:
        """Begin with the first items, after a file of them has been scanned."""
        run, ends = self._run, self._values.ends
        items = items_of(
            self._loop,
            run.scope.scope,
            directory=run.context.plan.directory,
            permissions=run.context.permissions,
        )
        self._total = items.count
        if self._loop.is_fold:
            self._state = first_state(run, self._loop)
        if ends.mark is not None and items.mark != ends.mark and len(ends):
            raise StepError(
                f"the file that `{run.path}` iterates over has changed since the loop started",
                code=codes.ITEMS_FILE_CHANGED,
                help="restore the file, or start the loop over",
                remedies=[RetryStep(run.context.run_id, run.path)],
                retryable=False,
            )
        started = StepStartedPayload(
            kind="for_each", done=len(ends), failed=ends.failed, of=items.count, mark=items.mark
        )
        run.record(started.without_nulls())
        if items.hint is not None:
            run.record(StepLogPayload(level="info", message=items.hint))
        if items.scan is None:
            self._begin_with(items.rows)
        else:
            rows = items.rows
            self._scan = StepTask(run, items.scan, lambda _: self._begin_with(rows))
            self._scan.open()

    def _begin_with(self, rows: Generator[Any, None, None]) -> None:
        self._scan, self._rows = None, rows
        self._ahead = next(rows, _NOTHING)
        self._fill()

    def stop(self) -> None:
        """Stop all items."""
        if self._scan is not None:
            self._scan.stop()
            return
        for frame in list(self._frames):
            self._run.stop_frame(frame)
        self._end_if_done()

    def closed(self, frame: Frame) -> None:
        """Take the outcome of an item, and begin with the next."""
        index, started = self._frames.pop(frame)
        if not self._run.node.stopped and self._failure is None and not self._has_enough:
            try:
                self._take(index, frame, started)
                self._weigh_outcomes()
            except StepError as error:
                self._fail(StepFailure.of(error, self._run.node))
        self._fill()

    # --- items

    def _fill(self) -> None:
        """Begin with as many items as there is room for; those that have ended before are passed over."""
        if self._filling:
            return
        self._filling = True
        try:
            while self._ahead is not _NOTHING and len(self._frames) < self._limit and not self._is_over():
                item, index = self._ahead, self._next_index
                self._ahead = next(self._rows, _NOTHING) if self._rows is not None else _NOTHING
                self._next_index += 1
                if not self._values.ends.state(index):
                    self._begin(index, item)
        except StepError as error:
            self._ahead = _NOTHING
            self._fail(StepFailure.of(error, self._run.node))
        finally:
            self._filling = False
        self._end_if_done()

    def _is_over(self) -> bool:
        return self._failure is not None or bool(self._run.node.stopped) or self._has_enough

    @property
    def _has_enough(self) -> bool:
        wanted = self._loop.wait_for
        return wanted is not None and len(self._values) - self._values.ends.failed >= wanted

    def _weigh_outcomes(self) -> None:
        """Of a loop that needs only some items, stop the others when they have succeeded, or no longer can."""
        wanted = self._loop.wait_for
        if wanted is None or self._failure is not None:
            return
        if self._has_enough:
            for frame in list(self._frames):
                self._run.parts.control.stop_frame(frame, "enough other items had succeeded")
        elif self._total is not None and self._total - self._values.ends.failed < wanted:
            self._fail(StepFailure.of(self._too_few(wanted), self._run.node))

    def _too_few(self, wanted: int) -> StepError:
        failed = self._values.ends.failed
        return StepError(
            f"too few items of `{self._run.path}` succeeded: {wanted:,} were required, and {failed:,} failed",
            code=codes.TOO_FEW_ITEMS,
            help="resuming the run retries the failed items",
            remedies=[ShowRun(self._run.context.run_id)],
            retryable=False,
        )

    def _begin(self, index: int, item: Any) -> None:
        run, body = self._run, self._loop.body
        names = {
            self._loop.name: item,
            "item": item,
            "index": index,
            "is_first": index == 0,
            "is_last": self._ahead is _NOTHING,
            **self._state,
        }
        path = f"{run.path}[{index}]"
        scope = run.scope.child(names)
        started = self._run.context.loop.time()
        if isinstance(body, Block):
            frame = self._run.open(body.steps, path, scope, self)
        else:
            frame = self._run.open((body,), path, scope, self, only=path)
        self._frames[frame] = (index, started)

    def _take(self, index: int, frame: Frame, started: float) -> None:
        loop = self._loop
        if not isinstance(loop.body, Block):
            self._take_step(frame, index)
        elif frame.failure is None:
            end = StepSucceededPayload(output=self._value(frame, loop.body))
            self._record(index, started, self._with_state(end, frame) if loop.is_fold else end)
        else:
            policy, value = loop.on_item_failure, None
            if policy.kind == "value" and policy.value is not None:
                value = policy.value.evaluate(frame.scope.scope)
            error = dict(frame.failure.data)
            self._record(index, started, StepFailedPayload(error=error, handled=policy.kind, value=value))
            if policy.kind == "fail":
                self._fail(frame.failure)

    def _take_step(self, frame: Frame, index: int) -> None:
        """The item was the loop's own step, and its events are the item's."""
        (node,) = frame.nodes.values()
        if frame.failure is not None:
            self._fail(frame.failure)
            return
        entity = frame.scope.steps[node.step.id]
        state: ItemState = "succeeded" if entity.attributes["success"] else "failed"
        self._values.add(index, state, node.end_seq, entity.attributes["outputs"], node.end_size)

    def _value(self, frame: Frame, body: Block) -> Any:
        if self._loop.collect is not None:
            return self._loop.collect.evaluate(frame.scope.scope)
        return frame.scope.value(body.steps[-1].id)

    def _with_state(self, end: StepSucceededPayload, frame: Frame) -> StepSucceededPayload:
        """Update what the loop carries after an item, and add it to the end of the item."""
        self._state |= {name: value.evaluate(frame.scope.scope) for name, value in self._loop.update.items()}
        recorded = self._states.next(self._state, texts=not self._run.context.redactor)
        return end.replace(state=recorded.state, **({"appended": recorded.appended} if recorded.appended else {}))

    def _record(self, index: int, started: float, end: StepSucceededPayload | StepFailedPayload) -> None:
        context = self._run.context
        duration = context.loop.time() - started
        seq, size = context.record_item(f"{self._run.path}[{index}]", end.replace(duration=duration))
        if isinstance(end, StepSucceededPayload):
            if end.state is not None:
                self._states.recorded(RoundState(end.state, end.appended or {}), size)
            self._values.add(index, "succeeded", seq, end.output, size)
        elif end.handled != "fail":
            self._values.add(index, "failed", seq, end.value, size)

    def _fail(self, failure: StepFailure) -> None:
        self._failure = self._failure or failure
        reason = f"`{failure.data.get('step') or self._run.path}` failed"
        for frame in list(self._frames):
            self._run.parts.control.stop_frame(frame, reason, graceful=failure.is_of_budget)

    # --- the end

    def _end_if_done(self) -> None:
        run = self._run
        if self._frames or (self._ahead is not _NOTHING and not self._is_over()) or run.node.state != "busy":
            return
        if self._rows is not None:
            self._rows.close()
        if run.end_if_stopped():
            return
        if self._failure is not None:
            run.fail(self._failure.without_error())
            return
        if self._loop.wait_for is not None and not self._has_enough:
            run.fail(self._too_few(self._loop.wait_for))
            return
        count, bad = len(self._values), self._values.ends.failed
        least = self._loop.min_success
        if least is not None and count and (count - bad) / count < least:
            error = StepError(
                f"{count - bad:,} of {count:,} items of `{run.path}` succeeded, fewer than {least * 100:.12g}%",
                code=codes.TOO_FEW_ITEMS,
                help="resuming the run retries the failed items",
                remedies=[ShowRun(run.context.run_id)],
                retryable=False,
            )
            run.fail(error)
            return
        end = StepSucceededPayload(output=None, items=self._values.counts)
        if self._loop.is_fold:
            end = end.replace(state=self._state)
        entity = step_values.succeeded(
            self._loop,
            end,
            attempts=1,
            duration=run.elapsed,
            names={},
            items=self._values,
        )
        run.succeed(end, entity, awaited=self._values.are_stored)


class RepeatRun:
    """One frame after another, until the condition ends the loop."""

    def __init__(self, run: StepRun, loop: RepeatLoop) -> None:
        self._run = run
        self._loop = loop
        self._values = recorded_items(run.context, run.path, loop)
        self._frame: Frame | None = None
        self._round = 0
        self._started = 0.0
        self._last: dict[str, Entity] = {}
        self._state: dict[str, Any] = {}
        self._states = RoundStates()
        self._value: Any = None

    def open(self) -> None:
        """Begin with the first round, or with the one after the last that was recorded."""
        run, loop = self._run, self._loop
        self._state = first_state(run, loop)
        done = len(self._values)
        run.record(StepStartedPayload(kind=loop.kind, done=done, failed=0))
        if done:
            self._restore(done - 1)
        if done and loop.kind == "until" and self._holds(self._round - 1):
            self._succeed()
        else:
            self._next()

    def stop(self) -> None:
        """Stop the round."""
        self._run.stop_frame(self._frame)

    def closed(self, frame: Frame) -> None:
        """Take the outcome of a round, and continue."""
        run, loop = self._run, self._loop
        self._frame = None
        if run.ends_with(frame):
            return
        try:
            self._take(frame)
            if loop.kind == "until" and self._holds(self._round - 1):
                self._succeed()
            else:
                self._next()
        except StepError as error:
            run.fail(error)

    def _take(self, frame: Frame) -> None:
        loop = self._loop
        self._last = {step.id: frame.scope.steps[step.id] for step in loop.body.steps}
        after = self._scope(self._round)
        if loop.collect is not None:
            self._value = loop.collect.evaluate(after)
        else:
            self._value = frame.scope.value(loop.body.steps[-1].id)
        self._state |= {name: value.evaluate(after) for name, value in loop.update.items()}
        duration = self._run.context.loop.time() - self._started
        recorded = self._states.next(self._state, texts=not self._run.context.redactor)
        end = StepSucceededPayload(output=self._value, duration=duration, state=recorded.state)
        if recorded.appended:
            end = end.replace(appended=recorded.appended)
        seq, size = self._run.context.record_item(f"{self._run.path}[{self._round}]", end)
        self._states.recorded(recorded, size)
        self._values.add(self._round, "succeeded", seq, self._value, size)
        self._round += 1

    def _next(self) -> None:
        loop, run = self._loop, self._run
        if loop.kind == "while" and not self._holds(self._round):
            self._succeed()
            return
        if self._round >= loop.max_iterations:
            if loop.on_limit == "continue":
                self._succeed()
                return
            word = "held" if loop.kind == "while" else "did not hold"
            error = StepError(
                f"`{run.path}` made {self._round} rounds, and its condition still {word}",
                code=codes.TOO_MANY_ITERATIONS,
                help="raise `max_iterations`, or continue after that many with `on_limit: continue`",
                retryable=False,
            )
            run.fail(error)
            return
        names = {"iteration": self._round, "previous": self._previous(), **self._state}
        self._started = run.context.loop.time()
        scope = run.scope.child(names)
        self._frame = run.open(loop.body.steps, f"{run.path}[{self._round}]", scope, self)

    def _holds(self, iteration: int) -> bool:
        return bool(self._loop.condition.evaluate(self._scope(iteration)))

    def _scope(self, iteration: int) -> Any:
        """What the condition and the updates can read: the steps of the last round by their own names too."""
        steps = self._last or dict.fromkeys((step.id for step in self._loop.body.steps), NULL)
        names = {"iteration": iteration, "previous": self._previous(), **self._state, **steps}
        return self._run.scope.child(names).scope

    def _previous(self) -> Any:
        return dict(self._last) if self._last else NULL

    def _restore(self, last: int) -> None:
        """Read what the last recorded round left: its value, the accumulators, its steps."""
        run = self._run
        recorded = run.context.recorded.steps
        self._round = last + 1
        recorded.pop(f"{run.path}[{last}]", None)
        self._value = self._values.values()[-1]
        for step in self._loop.body.steps:
            of_step = recorded.pop(f"{run.path}[{last}].{step.id}", None)
            entity = step_values.skipped() if of_step is None else recorded_entity(run.context, step, of_step)
            self._last[step.id] = entity

    def _succeed(self) -> None:
        run = self._run
        end = StepSucceededPayload(output=self._value, items=self._values.counts, state=self._state)
        entity = step_values.succeeded(self._loop, end, attempts=1, duration=run.elapsed, names={}, items=self._values)
        run.succeed(end, entity, awaited=self._values.are_stored)


def first_state(run: StepRun, loop: ForEach | RepeatLoop) -> dict[str, Any]:
    """Return the values that a loop carries when an owner of the run begins with it: the first, or the last recorded.

    Raises:
        EvaluationError: A first value cannot be evaluated.
    """
    state: dict[str, Any] = dict.fromkeys(loop.update)
    state |= {name: value.evaluate(run.scope.scope) for name, value in loop.initial.items()}
    state |= run.context.redactor.restore(folded(run.context.recorded.rounds.pop(run.path, ())))
    return state
