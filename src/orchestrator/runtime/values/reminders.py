"""When people are reminded of an open question, and when others are asked too: computed from the question alone.

The question records when it was asked and how often people were reminded, so every owner of the run continues where the
last one stopped. What was missed while no process executed the run is made up for once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.journal.audience import Question

MOST_REMINDERS: Final = 1_000
"""Of one question; then it is only asked."""


def continued(question: Question, recorded: Question | None) -> Question:
    """Return a question that a later owner of the run asks again, as it was recorded last."""
    if recorded is None or "asked_at" not in question or "asked_at" not in recorded:
        return question
    found = {**question, "asked_at": recorded["asked_at"]}
    if "reminded" in question:
        found["reminded"] = recorded.get("reminded", 0)
    return escalated(found) if "escalated" in recorded and "escalate" in question else found


def next_at(question: Question) -> float | None:
    """Return when people are notified of the question again, in seconds since the epoch; None: never."""
    times = [time for time in (_reminder_at(question), _escalation_at(question)) if time is not None]
    return min(times, default=None)


def reminded(question: Question, now: float) -> Question:
    """Return the question as it is recorded when `next_at` has come: reminders counted, others asked too."""
    asked_at, every = question["asked_at"], question.get("remind")
    now = max(now, next_at(question) or now)  # a timer may be a little early, and a clock may be set
    found, at = question, _reminder_at(question)
    if every is not None and at is not None and now >= at:
        count = max(int((now - asked_at) / every), question["reminded"] + 1)
        found = {**found, "reminded": min(count, MOST_REMINDERS)}
    at = _escalation_at(question)
    return escalated(found) if at is not None and now >= at else found


def escalated(question: Question) -> Question:
    """Return the question as it is asked after its escalation. Where everybody can answer, everybody still can."""
    others = question["escalate"]["to"]
    found = {**question, "escalated": others}
    if "assignee" in question:
        found["assignee"] = list(dict.fromkeys([*question["assignee"], *others]))
    return found


def _reminder_at(question: Question) -> float | None:
    every = question.get("remind")
    if every is None or question["reminded"] >= MOST_REMINDERS:
        return None
    return float(question["asked_at"] + every * (question["reminded"] + 1))


def _escalation_at(question: Question) -> float | None:
    escalate = question.get("escalate")
    return None if escalate is None or "escalated" in question else float(question["asked_at"] + escalate["after"])
