"""What the notices of a run say: a title, a text, and details for programs. Nothing in them is a step's output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.journal.audience import audience_in_words, times_announced
from orchestrator.journal.state.status import is_deliberate
from orchestrator.models.budget import exact_usd, usd
from orchestrator.remedies import Answer, Resume, ShowRun, advice, remedies_from
from orchestrator.text.words import bounded, plural, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.models.budget import Budget, Spent
    from orchestrator.notices.notice import Occasion

    Details = Mapping[str, Any]

MOST_QUESTIONS: Final = 50
"""How many questions one notice is about; further ones are in the next."""

_QUESTIONS_SHOWN: Final = 10
_LONGEST_TITLE: Final = 150
_LONGEST_TEXT: Final = 4_000
_LONGEST_PROMPT: Final = 300
_LONGEST_MESSAGE: Final = 2_000


class NoticeText(Struct, frozen=True):
    """What a notice says: for people, and as data."""

    title: str
    text: str
    details: Mapping[str, Any]


class RunName(Struct, frozen=True):
    """How notices name the run. `url` is that of its page, empty if that is not known."""

    id: str
    pipeline: str
    name: str
    url: str = ""

    @property
    def details(self) -> dict[str, Any]:
        """The run as data."""
        named = {"id": self.id, "pipeline": self.pipeline, "name": self.name}
        return {**named, "url": self.url} if self.url else named


def failure_text(run: RunName, error: Mapping[str, Any]) -> NoticeText:
    """Return the notice of a failure, with what can be done about it."""
    step, code, message = error.get("step"), error.get("code"), str(error.get("message") or "")
    title = f"{run.pipeline} failed" + (f" in {step}" if step else "")
    remedies = remedies_from(error.get("remedies"))
    if not is_deliberate(error) and not any(isinstance(each, Resume) for each in remedies):
        remedies = (*remedies, Resume(run.id))
    lines = [bounded(message, _LONGEST_MESSAGE) + (f" [{code}]" if code else "")]
    if help := advice(str(error.get("help") or "") or None, remedies, lambda remedy: remedy.shell):
        lines.append(f"help: {bounded(help, _LONGEST_MESSAGE)}")
    known = {name: error.get(name) for name in ("code", "type", "help", "step", "attempt") if error.get(name)}
    found = {**known, "message": bounded(message, _LONGEST_MESSAGE), "commands": [each.shell for each in remedies]}
    return _notice(run, title, lines, {"error": found})


def questions_text(run: RunName, questions: Mapping[str, Mapping[str, Any]]) -> NoticeText:
    """Return the notice of open questions, by the paths of their steps, with who can answer each, and how."""
    first, asked = next(iter(questions.items()))
    more = f" and {plural(len(questions) - 1, 'more question')}" if len(questions) > 1 else ""
    title = f"{run.pipeline} {'still waits' if times_announced(asked) else 'waits'} for an answer to {first}{more}"
    lines = []
    listed = []
    for path, question in questions.items():
        prompt = shorten(str(question.get("prompt") or ""), _LONGEST_PROMPT)
        command = Answer(run.id, path).shell
        told = {name: question[name] for name in ("assignee", "reminded", "escalated") if question.get(name)}
        listed.append({"step": path, "kind": str(question.get("kind")), "prompt": prompt, "command": command, **told})
        if len(listed) <= _QUESTIONS_SHOWN:
            audience = audience_in_words(question)
            lines.append((f"{path}: {prompt}" if prompt else path) + (f" ({audience})" if audience else ""))
            lines.append(f"answer with: {command}")
    if len(questions) > _QUESTIONS_SHOWN:
        lines.append(f"… and {plural(len(questions) - _QUESTIONS_SHOWN, 'more question')}")
    return _notice(run, title, lines, {"questions": listed})


def budget_text(run: RunName, budget: Budget, spent: Spent) -> NoticeText:
    """Return the notice of a budget of which a share is used."""
    limits = budget.to_dict()
    share = used_share(budget, spent)
    amounts = []
    if budget.usd is not None:
        amounts.append(f"{usd(spent.usd)} of {exact_usd(budget.usd)}")
    if budget.tokens is not None:
        amounts.append(f"{spent.tokens:,} of {plural(budget.tokens, 'token')}")
    if budget.requests is not None:
        amounts.append(f"{spent.requests:,} of {plural(budget.requests, 'request')}")
    title = f"{run.pipeline} has used {share:.0%} of its budget"
    used = {name: getattr(spent, name) for name in limits}
    found = {"share": round(share, 4), "limits": limits, "used": used}
    return _notice(run, title, [f"used: {', '.join(amounts)}"], {"budget": found})


def used_share(budget: Budget, spent: Spent) -> float:
    """Return the share of a budget that is used: of its limits, that of the one that is closest."""
    shares = [getattr(spent, name) / limit if limit else 1.0 for name, limit in budget.to_dict().items()]
    return max(shares, default=0.0)


def with_message(text: NoticeText, message: str) -> NoticeText:
    """Return a notice with another text."""
    return NoticeText(text.title, bounded(message, _LONGEST_TEXT), text.details)


def _notice(run: RunName, title: str, lines: Sequence[str], details: Details) -> NoticeText:
    place = run.url or ShowRun(run.id).shell
    text = "\n".join([title, *lines, f"run {run.id}: {place}"])
    return NoticeText(shorten(title, _LONGEST_TITLE), bounded(text, _LONGEST_TEXT), {"run": run.details, **details})


def occasion_names(occasion: Occasion, text: NoticeText) -> dict[str, Any]:
    """Return what the template of a message reads as `notice`."""
    details = text.details
    return {
        "event": occasion,
        "text": text.text,
        "url": details["run"].get("url", ""),
        "error": details.get("error"),
        "questions": details.get("questions") or [],
        "budget": details.get("budget"),
    }
