"""The questions of a run: prompted for at the terminal, or listed with the command that answers each."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from orchestrator.cli.terminal.interrupts import interrupt
from orchestrator.cli.terminal.output import LINES, is_terminal, paint, printable, report, say
from orchestrator.errors import InputError, RunError
from orchestrator.journal.audience import audience_in_words
from orchestrator.text.json_text import read_json
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.api.interfaces import AnyRun
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.cli.terminal.interrupts import Interrupts
    from orchestrator.journal.state.status import ActiveStep, RunStatus

_EDIT = "edit"

MOST_LINES: Final = 12
MOST_COLUMNS: Final = 160
"""How many lines of the content to approve are shown in a list."""


def can_ask() -> bool:
    """Whether a person is there to answer: both ends of the terminal are."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def open_questions(status: RunStatus) -> list[ActiveStep]:
    """Return the steps that wait for an answer."""
    return [step for step in status.active if step.question is not None and not step.answered]


class QuestionPrompts:
    """Prompts for each question of a run once, until the input ends."""

    def __init__(self, run: AnyRun, interrupts: Interrupts) -> None:
        self._run = run
        self._interrupts = interrupts
        self._asked: set[tuple[str, float]] = set()
        self._gave_up = not can_ask()

    def new(self, status: RunStatus) -> list[ActiveStep]:
        """Return the questions that were not prompted for yet; none without a terminal."""
        if self._gave_up:
            return []
        return [step for step in open_questions(status) if (step.path, step.started_at) not in self._asked]

    @property
    def gave_up(self) -> bool:
        """Whether there is no terminal, or its input has ended."""
        return self._gave_up

    def ask(self, steps: Iterable[ActiveStep]) -> None:
        """Put the questions to the person and answer them. The end of the input (Ctrl-D) leaves them open."""
        for step in steps:
            self._asked.add((step.path, step.started_at))
            try:
                with self._interrupts.calling(interrupt):
                    answer = ask(step.path, step.question or {})
            except (EOFError, KeyboardInterrupt):
                say()
                self._gave_up = True
                return
            try:
                self._run.answer(step.path, answer)
            except RunError as error:  # it was answered elsewhere, or timed out
                report(error)


def ask(path: str, question: Mapping[str, Any]) -> Any:
    """Prompt for the answer to one question until it is valid.

    Raises:
        EOFError: There is no more input.
    """
    from orchestrator.runtime.values.answers import as_text, expected, parsed, single_questions

    if parts := single_questions(question):
        return _ask_each(path, question, parts)
    say(f"{paint('?', 'cyan')} {path}: {printable(str(question.get('prompt') or ''), keep=LINES)}")
    content = question.get("content")
    if content not in (None, ""):
        for line in _text(content).splitlines():
            say(f"  {printable(line)}")
    default = question.get("default")
    hint = expected(question) + (f", or {_EDIT}" if question.get("editable") else "")
    hint += "" if default is None else f"; just Enter for {printable(as_text(default))}"
    while True:
        text = _line(hint)
        if not text.strip() and default is not None:
            text = as_text(default)
        if text.strip() == _EDIT and question.get("editable"):
            content = _edited(content)
            say(f"  the content is now {len(_text(content))} characters long; approve it with yes")
            continue
        try:
            answer = parsed(question, text)
        except InputError as error:
            say(f"  {printable(error.problems[0] if error.problems else error.message)}", "yellow")
            continue
        if question.get("kind") != "approve":
            return answer
        if not answer["approved"] and answer["comment"] is None:
            with suppress(EOFError):  # the answer itself was given
                answer["comment"] = _line("why? just Enter for no comment").strip() or None
        return {**answer, "content": content} if question.get("editable") else answer


_BACK: Final = "back"


def _ask_each(path: str, question: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Prompt for each of several answers, with a way back, and for a review of all before they are sent."""
    from orchestrator.runtime.values.answers import as_text

    title = printable(str(question.get("prompt") or ""), keep=LINES)
    say(f"{paint('?', 'cyan')} {path}: {title or plural(len(parts), 'question')}")
    names = list(parts)
    answers: dict[str, Any] = {}
    at = 0
    while True:
        while at < len(names):
            name = names[at]
            given = {**parts[name], "default": answers[name]} if name in answers else parts[name]
            found = _one_answer(f"{at + 1}/{len(names)}", given, can_go_back=at > 0)
            if found is None:
                at -= 1
                continue
            was_review = len(answers) == len(names)
            answers[name] = found[0]
            at = len(names) if was_review else at + 1
        for number, name in enumerate(names, start=1):
            say(f"  {number}. {name}: {printable(as_text(answers[name]))}")
        text = _line(f"yes to send these answers, or the number of one to change, 1 to {len(names)}").strip().lower()
        if text in ("yes", "y"):
            return answers
        at = int(text) - 1 if text.isdecimal() and 0 < int(text) <= len(names) else len(names)


def _one_answer(number: str, question: Mapping[str, Any], *, can_go_back: bool) -> tuple[Any] | None:
    """Prompt for one of several answers until it is valid; None: the person wants to go back."""
    from orchestrator.runtime.values.answers import as_text, expected, parsed

    say(f"  {number} {printable(str(question['prompt']), keep=LINES)}")
    default = question.get("default")
    hint = expected(question) + (f", or {_BACK}" if can_go_back else "")
    if "default" in question:
        hint += f"; just Enter for {'none' if default in (None, '') else printable(as_text(default))}"
    while True:
        text = _line(hint)
        if can_go_back and text.strip().lower() == _BACK:
            return None
        if not text.strip() and "default" in question:
            return (default,)
        try:
            return (parsed(question, text),)
        except InputError as error:
            say(f"  {printable(error.problems[0] if error.problems else error.message)}", "yellow")


def _line(hint: str) -> str:
    """Read what the person types."""
    say(f"  ({printable(hint)})")
    sys.stderr.write("> ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\r\n")


def tell_questions(status: RunStatus, hints: Hints) -> None:
    """Print the questions of a run, with the content to approve and the command that answers each."""
    for step in open_questions(status):
        for line in question_lines(status.run_id, step.path, step.question or {}, hints):
            say(f"  {line}")


def question_lines(run_id: str, path: str, question: Mapping[str, Any], hints: Hints) -> list[str]:
    """Format a question: its prompt, who can answer, the content to approve, and the command that answers it."""
    from orchestrator.runtime.values.answers import expected

    asked = question.get("questions")
    prompt = str(question.get("prompt") or "") or (plural(len(asked), "question") if asked else "")
    takes = "" if asked else f" ({printable(expected(question))})"
    audience = audience_in_words(question)
    return [
        f"{printable(path)} asks: {printable(prompt)}{takes}" + (f"; {printable(audience)}" if audience else ""),
        *part_lines(question),
        *content_lines(question, MOST_LINES, more=hints.command("show", run_id, "--step", path)),
        f"  answer with: {answer_command(run_id, path, question, hints)}",
    ]


def part_lines(question: Mapping[str, Any]) -> list[str]:
    """Format each of several questions; nothing of a single one."""
    if not question.get("questions"):
        return []
    from orchestrator.runtime.values.answers import as_text, expected, single_questions

    lines = []
    for name, part in single_questions(question).items():
        takes = expected(part)
        if "default" in part:
            takes += "; optional" if part["default"] in (None, "") else f"; by default {as_text(part['default'])}"
        lines.append(f"  {printable(name)}: {printable(str(part['prompt']))} ({printable(takes)})")
    return lines


def content_lines(question: Mapping[str, Any], most: int | None = None, *, more: str = "") -> list[str]:
    """Return the content to approve, at most so many lines of it, and then the command that shows the rest."""
    content = question.get("content")
    if content in (None, ""):
        return []
    text = _text(content)
    lines = text.splitlines()
    shown = lines if most is None else lines[:most]
    cut = [f"  | {_shortened(printable(line)) if most is not None else printable(line)}".rstrip() for line in shown]
    if len(shown) < len(lines) or (most is not None and any(len(line) > MOST_COLUMNS for line in shown)):
        cut.append(f"  all of it, {plural(len(lines), 'line')}: {more}")
    return cut


def _shortened(line: str) -> str:
    return line if len(line) <= MOST_COLUMNS else line[: MOST_COLUMNS - 1] + "…"


def questions_data(status: RunStatus, hints: Hints) -> list[dict[str, Any]]:
    """Return the questions of a run as JSON data."""
    return [
        {"path": step.path, **question, "command": answer_command(status.run_id, step.path, question, hints)}
        for step in open_questions(status)
        for question in (step.question or {},)
    ]


def answer_command(run_id: str, path: str, question: Mapping[str, Any], hints: Hints) -> str:
    """Return the command that answers a question, with an answer that fits, or `VALUE` where none is known."""
    from orchestrator.runtime.values.answers import single_questions

    if question.get("kind") in ("approve", "resume"):
        return hints.command("answer", run_id, path, "yes")
    if parts := single_questions(question) if question.get("questions") else {}:
        needed = {name: part for name, part in parts.items() if "default" not in part} or parts
        given = [word for name, part in needed.items() for word in ("-a", f"{name}={_example(part)}")]
        return hints.command("answer", run_id, path, *given)
    return hints.command("answer", run_id, path, _example(question))


def _example(question: Mapping[str, Any]) -> str:
    """Return an answer that fits, or `VALUE` where none is known."""
    from orchestrator.runtime.values.answers import as_text

    allowed = question.get("choices") or (question.get("answer") or {}).get("enum") or ()
    return next((as_text(value) for value in (question.get("default"), *allowed) if value is not None), "VALUE")


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)


def _edited(content: Any) -> Any:
    """Open the content in the user's editor, as JSON if it is not text, and return the changed content."""
    import click

    is_text = isinstance(content, str)
    changed = click.edit(_text(content), extension=".txt" if is_text else ".json")
    if changed is None:
        return content
    if is_text:
        return changed.rstrip("\n")
    try:
        return read_json(changed)
    except ValueError as error:
        say(f"  this is not JSON, so nothing was changed: {error}", "yellow")
        return content
