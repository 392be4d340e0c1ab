"""Who may answer a question, and what has been done since it was asked: read from the question as it is recorded.

A question with reminders has `asked_at` (seconds since the epoch), `remind` (seconds) and how often people were
`reminded`, and `escalate` (`{after, to}`) until the people and groups `to` are asked too: then they are in `escalated`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Question = Mapping[str, Any]

_CHANGING: Final = ("asked_at", "reminded", "assignee", "escalated")


def is_same_question(one: Question | None, other: Question | None) -> bool:
    """Whether a recorded question is another one again: after a resume, a reminder or an escalation."""
    if one is None or other is None or one == other:
        return one == other
    if "asked_at" not in one or "asked_at" not in other:
        return False
    names = (one.keys() | other.keys()).difference(_CHANGING)
    return all(name in one and name in other and one[name] == other[name] for name in names)


def times_announced(question: Question) -> int:
    """Return how often people have been notified again: by reminders, and by an escalation."""
    return int(question.get("reminded") or 0) + ("escalated" in question)


def audience_in_words(question: Question) -> str:
    """Say who can answer, and what has happened since: `for ada, reminded twice`; empty if everybody can."""
    words = []
    if question.get("assignee"):
        words.append("for " + ", ".join(question["assignee"]))
    if question.get("escalated"):
        words.append("escalated to " + ", ".join(question["escalated"]))
    if times := question.get("reminded"):
        words.append(_TIMES.get(times, f"reminded {times} times"))
    return "; ".join(words)


def question_in_words(question: Question) -> str:
    """Say what is asked and who can answer: `asks: Release it? (for ada)`, and after a reminder `still asks: ...`."""
    audience = audience_in_words(question)
    asks = "still asks" if times_announced(question) else "asks"
    return f"{asks}: {question.get('prompt') or ''}".rstrip() + (f" ({audience})" if audience else "")


_TIMES: Final = {1: "reminded once", 2: "reminded twice"}


def names_of(name: str, groups: Mapping[str, Any]) -> frozenset[str]:
    """Return the names by which a person is asked: the person's own, and those of the person's groups.

    The name of a group is not that of a person: who has taken it as a name is not in the group.
    """
    found = {group for group, members in groups.items() if name in members}
    return frozenset(found if name in groups else found | {name})


def may_answer(question: Question, names: frozenset[str]) -> bool:
    """Whether a person with these names (`names_of`) is one of those who are asked."""
    asked = question.get("assignee")
    return not asked or not names.isdisjoint(asked)
