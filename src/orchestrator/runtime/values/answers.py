"""What a person may answer to a question that a run asks, and how an answer is read from a text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import InputError, StoreError
from orchestrator.language.spec.input_values import fill_defaults, input_problems, parse_input_text
from orchestrator.language.spec.inputs import InputSpec
from orchestrator.text.json_text import read_json
from orchestrator.text.words import describe_value, quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_YES: Final = frozenset({"yes", "y", "true", "on", "1", "approve", "approved"})
_NO: Final = frozenset({"no", "n", "false", "off", "0", "reject", "rejected"})
_APPROVAL: Final = ("approved", "content", "comment")


def accepted(question: Mapping[str, Any], value: Any) -> Any:
    """Return the answer as the run uses it: of the type that was asked for, complete.

    An approval is true or false, or an object with `approved`, and `content` and `comment` if there are any; it becomes
    the whole object. Whether an interrupted step runs again is true or false.

    Raises:
        InputError: ORC605, it is something else.
    """
    try:
        answer = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise _refusal("it must be JSON data, not a " + type(value).__name__, question) from None
    match question.get("kind"):
        case "approve":
            return _approval(question, answer)
        case "resume":
            if not isinstance(answer, bool):
                raise _refusal(f"it must be true or false, not {describe_value(answer)}", question)
            return answer
        case _:
            return _answer(question, answer)


def parsed(question: Mapping[str, Any], text: str) -> Any:
    """Parse an answer that was typed: yes or no for approvals, else by the type that was asked for.

    Raises:
        InputError: ORC605, the text is nothing of the kind, or `accepted` refuses it.
    """
    if question.get("kind") in ("approve", "resume"):
        word = text.strip().lower()
        if word in _YES | _NO:
            return accepted(question, word in _YES)
        try:
            value = read_json(text)
        except ValueError:
            raise _refusal(f"it must be yes or no, not {describe_value(text)}", question) from None
        return accepted(question, value)
    for choice in question.get("choices") or ():
        if text.strip() == as_text(choice):
            return accepted(question, choice)
    try:
        value = parse_input_text(_spec(question), text)
    except ValueError as error:
        raise _refusal(str(error), question) from None
    return accepted(question, value)


def parsed_each(question: Mapping[str, Any], texts: Mapping[str, str]) -> Any:
    """Parse the answers to several questions, each a text by the name of its question.

    Raises:
        InputError: ORC605, a text does not fit its question, a question without a default has none, or there is no
            question of a name.
    """
    parts = single_questions(question)
    if not parts:
        raise _refusal("it is one question, whose answer has no name", question)
    for name in texts.keys() - parts.keys():
        near = suggest(name, tuple(parts))
        raise _refusal(f"there is no question `{name}`" + (f"; did you mean `{near}`?" if near else ""), question)
    return accepted(question, {name: parsed(parts[name], text) for name, text in texts.items()})


def single_questions(question: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return each of several questions as a separate question, by name; none of a single question."""
    parts = (question.get("answer") or {}).get("properties") or {}
    found = {}
    for name in question.get("questions") or ():
        answer = dict(parts[name])
        one = {"kind": "ask", "prompt": answer.pop("description", ""), "answer": {**answer, "required": True}}
        found[name] = one | ({"default": answer["default"]} if "default" in answer else {})
    return found


def as_text(value: Any) -> str:
    """Write an answer so that `parsed` reads it as the same: a string bare, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def expected(question: Mapping[str, Any]) -> str:
    """Say in a few words what may be answered."""
    if question.get("kind") in ("approve", "resume"):
        return "yes or no"
    choices = question.get("choices")
    if choices:
        return "one of " + ", ".join(as_text(choice) for choice in choices)
    if asked := question.get("questions"):
        return f"an object with the answers to {quoted_list(asked, last='and')}"
    spec = _spec(question)
    if spec.enum:
        return "one of " + ", ".join(as_text(each) for each in spec.enum)
    words: list[str] = [f"a value of type `{spec.type}`" if spec.type else "any value"]
    words += [f"at least {spec.minimum:g}"] if spec.minimum is not None else []
    words += [f"at most {spec.maximum:g}"] if spec.maximum is not None else []
    return ", ".join(words)


def _spec(question: Mapping[str, Any]) -> InputSpec:
    try:
        return InputSpec.model_validate(question.get("answer") or {})
    except ValidationError as error:
        raise StoreError(
            "the recorded question has no valid declaration of its answer", help="restore a backup"
        ) from error


def _answer(question: Mapping[str, Any], value: Any) -> Any:
    spec = _spec(question)
    asked = question.get("questions")
    if asked and isinstance(value, dict) and (unknown := [key for key in value if key not in asked]):
        raise _refusal(f"there is no question `{unknown[0]}`", question)
    problems = input_problems(spec, value)
    if problems:
        raise _refusal(problems[0], question, problems)
    choices: Sequence[Any] | None = question.get("choices")
    if choices and not any(_same(value, choice) for choice in choices):
        raise _refusal(f"it must be {expected(question)}, not {describe_value(value)}", question)
    return fill_defaults(spec, value)


def _approval(question: Mapping[str, Any], value: Any) -> dict[str, Any]:
    given = {"approved": value} if isinstance(value, bool) else value
    if not isinstance(given, dict):
        raise _refusal(f"it must be true or false, not {describe_value(value)}", question)
    if unknown := [key for key in given if key not in _APPROVAL]:
        raise _refusal(
            f"unknown field `{unknown[0]}` in an approval, which takes `approved`, `content` and `comment`", question
        )
    if not isinstance(given.get("approved"), bool):
        raise _refusal("`approved` is required, true or false", question)
    comment = given.get("comment")
    if comment is not None and not isinstance(comment, str):
        raise _refusal(f"`comment` must be a string, not {describe_value(comment)}", question)
    content = question.get("content")
    if "content" in given and given["content"] != content and not question.get("editable"):
        raise _refusal("the content cannot be edited: the step does not set `allow_editing: true`", question)
    if isinstance(content, dict) and not isinstance(given.get("content", content), dict):
        raise _refusal(f"`content` must stay an object, not {describe_value(given['content'])}", question)
    return {"approved": given["approved"], "content": given.get("content", content), "comment": comment}


def _same(value: Any, choice: Any) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    return bool(value == choice) and isinstance(value, bool) == isinstance(choice, bool)


def _refusal(problem: str, question: Mapping[str, Any], problems: Sequence[str] = ()) -> InputError:
    prompt = str(question.get("prompt") or "").strip()
    asked = f" to `{prompt}`" if prompt else ""
    return InputError(
        f"invalid answer{asked}: {problem}",
        problems=problems or (problem,),
        code=codes.INVALID_ANSWER,
        help=f"answer with {expected(question)}",
    )
