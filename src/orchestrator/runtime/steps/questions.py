"""Steps that wait for a person or for a time. Nothing is blocked: they wait in the journal, over restarts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import InputError, StepError, StepTimeout
from orchestrator.language.values import durations
from orchestrator.language.values.durations import parse_duration
from orchestrator.language.values.times import FORMS, timestamp
from orchestrator.plan.steps import Approve, Ask, Wait
from orchestrator.runtime.run import step_lifecycle
from orchestrator.runtime.run.run_graph import Failure
from orchestrator.runtime.steps.answers import accepted, expected
from orchestrator.text.words import describe_value

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from orchestrator.expressions import Value
    from orchestrator.runtime.run.run_graph import Node
    from orchestrator.runtime.run.scheduler import Scheduler


class Waiting:
    """A step that waits; with a question in `asks`, else for the time `until` (seconds since the epoch)."""

    def __init__(
        self,
        scheduler: Scheduler,
        node: Node,
        question: Mapping[str, Any] | None,
        until: float | None,
        on_answer: Callable[[Any], None],
        on_time: Callable[[], None],
    ) -> None:
        self.asks = question
        self._scheduler = scheduler
        self._node = node
        self._until = until
        self._on_answer = on_answer
        self._on_time = on_time
        self._timer: asyncio.TimerHandle | None = None

    @property
    def goes_on_alone(self) -> bool:
        """Whether it ends some time although nobody does anything."""
        return self._timer is not None

    def open(self) -> None:
        """Take the answer that was given while nobody executed the run, or begin to wait."""
        record = self._node.record
        if record is not None and record.until is not None:
            self._until = record.until  # a deadline stays what it was when the waiting began
        if record is not None and record.answered and self.asks is not None:
            self._on_answer(record.answer)
            return
        data: dict[str, Any] = {"reason": "human" if self.asks else "time"}
        if self.asks:
            data["question"] = self.asks
        if self._until is not None:
            data["until"] = self._until
        self._scheduler.record("step.waiting", self._node, data)
        if self._until is not None:
            delay = max(0.0, self._until - time.time())
            self._timer = self._scheduler.call_later(delay, self._time)
        self._scheduler.wake()

    def answer(self, value: Any, by: str) -> None:
        """Take an answer.

        Raises:
            InputError: It does not fit the question, which goes on waiting.
        """
        if self.asks is None:
            return
        answer = accepted(self.asks, value)
        self._scheduler.record("step.answered", self._node, {"value": answer, "by": by})
        self._end()
        self._on_answer(answer)

    def stop(self) -> None:
        """Wait no longer: the run or what the step stands in is being stopped."""
        self._end()
        step_lifecycle.ended_frames(self._scheduler, self._node)

    def _time(self) -> None:
        self._timer = None
        self._on_time()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @classmethod
    def about_rerun(cls, scheduler: Scheduler, node: Node) -> Waiting:
        """Ask whether a step that was under way when its process died may be run again."""
        question = {"kind": "resume", "prompt": f"`{node.path}` was under way when its process died. Run it again?"}

        def answered(answer: Any) -> None:
            if answer is True:
                scheduler.rerun(node)
            else:
                error = StepError(
                    f"`{node.path}` was under way when its process died, and was not to be run again",
                    code=codes.INTERRUPTED_STEP,
                    help=f"run it again with: orchestrator retry {scheduler.run_id} --step {node.path}",
                    retryable=False,
                )
                step_lifecycle.failed(scheduler, node, Failure.of(error, node))

        waiting = cls(scheduler, node, question, None, answered, lambda: None)
        waiting.open()
        return waiting


def waiting_of(scheduler: Scheduler, node: Node) -> Waiting:
    """What a step that asks, lets approve, or waits, is occupied with.

    Raises:
        EvaluationError: An expression of it cannot be evaluated.
        StepError: ORC718, what it waits for is not a time. ORC605, a default does not fit its question.
    """
    work, scope = node.step.work, node.frame.scope.scope

    def evaluated(value: Value | None) -> Any:
        return None if value is None else value.evaluate(scope)

    def succeed(answer: Any) -> None:
        step_lifecycle.succeeded(scheduler, node, {"output": answer})

    match work:
        case Ask():
            question: dict[str, Any] = {
                "kind": "ask",
                "prompt": _text(evaluated(work.prompt)),
                "answer": work.answer.model_dump(mode="json", exclude_none=True),
            }
            choices = evaluated(work.choices)
            if choices is not None:
                if not isinstance(choices, list):
                    raise StepError(
                        f"the choices of a question are a list, not {describe_value(choices)}",
                        code=codes.NOT_ITERABLE,
                        retryable=False,
                    )
                question["choices"] = choices
        case Approve():
            question = {
                "kind": "approve",
                "prompt": _text(evaluated(work.title)),
                "content": evaluated(work.content),
                "editable": work.editable,
            }
        case Wait():
            until = _time_of(evaluated(work.until)) if work.until is not None else _after(evaluated(work.duration))
            return Waiting(scheduler, node, None, until, succeed, lambda: succeed(None))
        case _:
            raise TypeError(f"{type(work).__name__} does not wait")
    default = evaluated(work.default)
    answer: Any = None
    if work.default is not None:
        question["default"] = default
        answer = _default_answer(node, question, default)
    seconds = node.step.timeout

    def unanswered() -> None:
        if work.default is not None:
            succeed(answer)
            return
        error = StepTimeout(
            f"nobody answered `{node.path}` within {seconds:g} s",
            seconds=seconds or 0.0,
            help="give it a longer `timeout`, or a `default` for this case",
        )
        error.retryable = False
        step_lifecycle.failed(scheduler, node, Failure.of(error, node))

    deadline = None if seconds is None else time.time() + seconds
    return Waiting(scheduler, node, question, deadline, succeed, unanswered)


def _default_answer(node: Node, question: Mapping[str, Any], default: Any) -> Any:
    """Validate the default like an answer, before anybody is asked: there is no one to correct it later."""
    try:
        return accepted(question, default)
    except InputError as error:
        raise StepError(
            f"the `default` of `{node.path}` does not fit its question: {error.problems[0]}",
            code=codes.INVALID_ANSWER,
            help=f"give a default that is {expected(question)}",
            retryable=False,
        ) from error


def _text(value: Any) -> str:
    from orchestrator.expressions.evaluation.text import to_text

    return to_text(value)


def _time_of(value: Any) -> float:
    try:
        return timestamp(value)
    except ValueError as error:
        raise StepError(
            f"{describe_value(value)} is not a time to wait for: {error}",
            code=codes.NOT_A_TIME,
            help=f"write it like {FORMS}",
            retryable=False,
        ) from error


def _after(value: Any) -> float:
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise StepError(
            f"{describe_value(value)} is not a duration: {error}",
            code=codes.NOT_A_TIME,
            help=f"write {durations.FORMS}",
            retryable=False,
        ) from error
    return time.time() + seconds
