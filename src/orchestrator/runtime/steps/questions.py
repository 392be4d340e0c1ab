"""Steps that ask a person, wait for an approval, or wait for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.errors import InputError, StepError, StepTimeout
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.journal.step_payloads import StepSucceededPayload
from orchestrator.language.values.times import FORMS, timestamp
from orchestrator.runtime.run.pending_wait import PendingWait
from orchestrator.runtime.values.answers import accepted, expected
from orchestrator.text import durations
from orchestrator.text.durations import parse_duration
from orchestrator.text.words import describe_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.expressions import Scope, Value
    from orchestrator.plan.policies import Audience
    from orchestrator.plan.steps import Approve, Ask, Wait
    from orchestrator.runtime.run.step_run import StepRun

MOST_NAMES: Final = 100
"""How many people and groups a question can name."""

_LONGEST_NAME: Final = 200


def ask(run: StepRun, work: Ask) -> PendingWait:
    """Return the question of an `ask` step, to be opened.

    Raises:
        EvaluationError: An expression of it cannot be evaluated.
        StepError: ORC713, the choices are not a list. ORC605, the default does not fit the question. ORC718, a duration
            is none. ORC701, who is asked are not names.
    """
    scope = run.scope.scope
    question: dict[str, Any] = {
        "kind": "ask",
        "prompt": to_text(work.prompt.evaluate(scope)),
        "answer": work.answer.model_dump(mode="json", exclude_none=True),
    }
    if (choices := _choices(work, scope)) is not None:
        question["choices"] = choices
    if work.questions:
        question["questions"] = list(work.questions)
        parts = question["answer"]["properties"]
        for name, part in work.questions.items():
            parts[name] |= _part(run.path, name, part, scope)
    question |= _audience(work.audience, scope)
    return _question(run, question, work.default)


def _part(path: str, name: str, part: Ask, scope: Scope) -> dict[str, Any]:
    """Return what the declaration of one of several answers gets from the expressions of its question."""
    found: dict[str, Any] = {"description": to_text(part.prompt.evaluate(scope))}
    if choices := _choices(part, scope):
        found["enum"] = choices
    if part.default is not None:
        default = part.default.evaluate(scope)
        found |= {"default": default, "required": False}
        one = {"kind": "ask", "answer": part.answer.model_dump(mode="json", exclude_none=True)}
        _default_answer(f"{path}.{name}", {**one, "choices": choices or []}, default)
    return found


def _choices(work: Ask, scope: Scope) -> list[Any] | None:
    choices = None if work.choices is None else work.choices.evaluate(scope)
    if choices is not None and not isinstance(choices, list):
        raise StepError(
            f"the choices of a question must be a list, not {describe_value(choices)}",
            code=codes.NOT_ITERABLE,
            retryable=False,
        )
    return choices


def approve(run: StepRun, work: Approve) -> PendingWait:
    """Return the question of an `approve` step, to be opened; raises as `ask`."""
    scope = run.scope.scope
    question = {
        "kind": "approve",
        "prompt": to_text(None if work.title is None else work.title.evaluate(scope)),
        "content": None if work.content is None else work.content.evaluate(scope),
        "editable": work.editable,
        **_audience(work.audience, scope),
    }
    return _question(run, question, work.default)


def _audience(audience: Audience, scope: Scope) -> dict[str, Any]:
    """Return what a question records of who is asked: `remind` and `escalate` count from `asked_at`."""
    found: dict[str, Any] = {}
    if audience.assignee is not None:
        found["assignee"] = _names("assignee", audience.assignee.evaluate(scope))
    if audience.remind is not None:
        found |= {"remind": _delay("remind", audience.remind.evaluate(scope)), "reminded": 0}
    if audience.escalate_to is not None and audience.escalate_after is not None:
        after = _delay("after", audience.escalate_after.evaluate(scope))
        found["escalate"] = {"after": after, "to": _names("to", audience.escalate_to.evaluate(scope))}
    return found | ({"asked_at": time.time()} if "remind" in found or "escalate" in found else {})


def _names(key: str, value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if (
        isinstance(names, list)
        and 0 < len(names) <= MOST_NAMES
        and all(isinstance(name, str) and name.strip() and len(name) <= _LONGEST_NAME for name in names)
    ):
        return list(dict.fromkeys(name.strip() for name in names))
    wrong = f"must be names of people or groups, not {describe_value(value)}" if value else "names no one"
    raise StepError(
        f"`{key}` of the question {wrong}",
        code=codes.INVALID_PARAMETER,
        help=f"give a text, or a list of 1 to {MOST_NAMES} texts; without `{key}`, everybody can answer"
        if key == "assignee"
        else f"give a text, or a list of 1 to {MOST_NAMES} texts",
        retryable=False,
    )


def _delay(key: str, value: Any) -> float:
    delay = _seconds(value, parse_duration, "a duration", f"write {durations.FORMS}")
    if delay > 0:
        return delay
    help = "give the time to wait for an answer first: 2d"
    raise StepError(f"`{key}` of the question must not be 0", code=codes.NOT_A_TIME, help=help, retryable=False)


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
