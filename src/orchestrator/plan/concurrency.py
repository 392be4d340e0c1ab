"""How many runs of a pipeline may be executed at once. It does not change what a run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.expressions import Value
from orchestrator.plan.value_text import source_of

if TYPE_CHECKING:
    from orchestrator.language.spec.concurrency import OnFull  # noqa: TC004 - as in `plan.steps`

LONGEST_KEY: Final = 200
"""The maximum number of characters of a concurrency key."""


class ConcurrencyPlan(Struct, frozen=True):
    """At most `max` runs whose `key` evaluates to the same text are executed at once; `on_full` is for a new one.

    Without a `key`, it is the id of the pipeline.
    """

    key: Value | None = None
    max: int = 1
    on_full: OnFull = "queue"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data, as the file would write it."""
        key = {} if self.key is None else {"key": source_of(self.key)}
        return {**key, "max": self.max, "on_full": self.on_full}


def key_problem(key: str) -> str | None:
    """Return why a text cannot be a concurrency key, None if it can."""
    if not key.strip():
        return "it is empty"
    if len(key) > LONGEST_KEY:
        return f"it has {len(key):,} characters, and a key has at most {LONGEST_KEY}"
    return None
