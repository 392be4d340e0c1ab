"""The keys of `notify`: which occasions of a run send a notice, and to whom."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from orchestrator.language.limits import DEFAULT_SHARE
from orchestrator.language.spec.base import Spec, Words

_TO: Final = (
    "The targets, by their names in `orchestrator.toml`: one, or a list of them. An empty list sends no notices."
)
_MESSAGE: Final = (
    "A template for the text, instead of the usual one. It can read inputs, variables and steps, and `notice`: "
    "`event`, `text` (the usual text), `url`, `error`, `questions` and `budget`."
)


class NoticeSpec(Spec):
    """The notice of one occasion. Short form: the targets alone."""

    to: Words = Field(default=(), description=_TO)
    message: str | None = Field(default=None, description=_MESSAGE)


class BudgetNoticeSpec(Spec):
    """The notice about the model budget of the run. Short form: the targets alone."""

    to: Words = Field(default=(), description=_TO)
    message: str | None = Field(default=None, description=_MESSAGE)
    at_: float = Field(
        default=DEFAULT_SHARE,
        alias="at",
        ge=0,
        le=1,
        description="The share of the budget that must be used: `80%` or `0.8`.",
    )


class NotifySpec(Spec):
    """Which occasions send notices. Short form: the targets of all of them."""

    failed: NoticeSpec | None = Field(default=None, description="The run has failed.")
    waiting: NoticeSpec | None = Field(default=None, description="The run asks a person: a question or an approval.")
    budget: BudgetNoticeSpec | None = Field(
        default=None, description="The run has used a share of its model budget; by default 80 percent."
    )
