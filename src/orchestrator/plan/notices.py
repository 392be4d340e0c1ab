"""The notices of a pipeline: the targets that its runs notify, and of what. They do not change what a run does."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from orchestrator.expressions import Value
from orchestrator.language.limits import DEFAULT_SHARE
from orchestrator.plan.value_text import source_of


class NoticePlan(Struct, frozen=True):
    """The notice of one occasion. `to` are names of targets; `message` evaluates to its text, None: the usual one.

    `at` is the share of the budget at which a notice about it is sent.
    """

    to: tuple[str, ...] = ()
    message: Value | None = None
    at: float = DEFAULT_SHARE

    def to_dict(self) -> dict[str, Any]:
        """Return the notice as JSON data."""
        return {"to": list(self.to), **({} if self.message is None else {"message": source_of(self.message)})}


class NotifyPlan(Struct, frozen=True):
    """The notices that a file declares. An occasion that it does not mention (None) is as the project has it."""

    failed: NoticePlan | None = None
    waiting: NoticePlan | None = None
    budget: NoticePlan | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the notices as JSON data, as the file would write them."""
        notices = {"failed": self.failed, "waiting": self.waiting, "budget": self.budget}
        found = {name: notice.to_dict() for name, notice in notices.items() if notice is not None}
        return found if self.budget is None else {**found, "budget": {**found["budget"], "at": self.budget.at}}
