"""Steps that ask a person, wait for an approval, or wait for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import InputError, StepError, StepTimeout
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.journal.payloads import StepSucceededPayload
from orchestrator.language.values.times import FORMS, timestamp
from orchestrator.runtime.run.pending_wait import PendingWait
from orchestrator.runtime.values.answers import accepted, expected
from orchestrator.text import durations
from orchestrator.text.durations import parse_duration
from orchestrator.text.words import describe_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.expressions import Value
    from orchestrator.plan.steps import Approve, Ask, Wait
    from orchestrator.runtime.run.step_run import StepRun


def ask(run: StepRun, work: Ask) -> PendingWait:
    """Return the question of an `ask` step, to be opened.

    Raises:
        EvaluationError: An expression of it cannot be evaluated.
        StepError: ORC713, the choices are not a list. ORC605, the default does not fit the question.
    """
    scope = run.scope.scope
    question: dict[str, Any] = {
        "kind": "ask",
        "prompt": to_text(work.prompt.evaluate(scope)),
        "answer": work.answer.model_dump(mode="json", exclude_none=True),
    }
    choices = None if work.choices is None else work.choices.evaluate(scope)
    if choices is not None:
        if not isinstance(choices, list):
            raise StepError(
                f"the choices of a question must be a list, not {describe_value(choices)}",
                code=codes.NOT_ITERABLE,
                retryable=False,
            )
        question["choices"] = choices
    return _question(run, question, work.default)


def approve(run: StepRun, work: Approve) -> PendingWait:
    """Return the question of an `approve` step, to be opened; raises as `ask`."""
    scope = run.scope.scope
    question = {
        "kind": "approve",
        "prompt": to_text(None if work.title is None else work.title.evaluate(scope)),
        "content": None if work.content is None else work.content.evaluate(scope),
        "editable": work.editable,
    }
    return _question(run, question, work.default)


def wait(run: StepRun, work: Wait) -> PendingWait:
    """Return the pause of a `wait` step, to be opened.

    Raises:
        EvaluationError: An expression of it cannot be evaluated.
        StepError: ORC718, it does not give a time.
    """
    scope = run.scope.scope
    if work.until is not None:
        until = _seconds(work.until.evaluate(scope), timestamp, "a time to wait for", f"write it like {FORMS}")
    else:
        duration = None if work.duration is None else work.duration.evaluate(scope)
        until = time.time() + _seconds(duration, parse_duration, "a duration", f"write {durations.FORMS}")

    def succeed(answer: Any = None) -> None:
        run.succeed(StepSucceededPayload(output=answer))

    return PendingWait(run, None, until, succeed, succeed)


def _question(run: StepRun, question: dict[str, Any], default: Value | None) -> PendingWait:
    """Complete a question by its default and its deadline."""
    seconds = run.node.step.timeout
    default_answer: Any = None
    if default is not None:
        question["default"] = default.evaluate(run.scope.scope)
        default_answer = _default_answer(run.path, question, question["default"])

    def succeed(answer: Any) -> None:
        run.succeed(StepSucceededPayload(output=answer))

    def time_out() -> None:
        if default is not None:
            succeed(default_answer)
            return
        error = StepTimeout(
            f"`{run.path}` was not answered within {seconds:g} s",
            seconds=seconds or 0.0,
            help="raise its `timeout`, or set a `default`",
        )
        error.retryable = False
        run.fail(error)

    deadline = None if seconds is None else time.time() + seconds
    return PendingWait(run, question, deadline, succeed, time_out)


def _default_answer(path: str, question: Mapping[str, Any], default: Any) -> Any:
    """Validate the default like an answer before the question is asked: later it could not be corrected."""
    try:
        return accepted(question, default)
    except InputError as error:
        raise StepError(
            f"the `default` of `{path}` is not a valid answer: {error.problems[0]}",
            code=codes.INVALID_ANSWER,
            help=f"give a default that is {expected(question)}",
            retryable=False,
        ) from error


def _seconds(value: Any, read: Callable[[Any], float], what: str, help: str) -> float:
    """Return a time or a duration in seconds, as `read` reads it."""
    try:
        return read(value)
    except ValueError as error:
        message = f"{describe_value(value)} is not {what}: {error}"
        raise StepError(message, code=codes.NOT_A_TIME, help=help, retryable=False) from error
