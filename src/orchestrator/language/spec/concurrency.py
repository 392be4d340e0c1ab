"""The keys of `concurrency`: how many runs with the same key may be executed at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.language.spec.base import Spec

OnFull = Literal["queue", "skip", "cancel_oldest"]
"""What a new run does while as many runs as allowed have its key."""


class ConcurrencySpec(Spec):
    """How many runs with the same key may be executed at once. Short forms: the number, or the key."""

    key: str | None = Field(
        default=None,
        description="What the runs have in common: a text, or a template that can read inputs and variables. All "
        "pipelines of a store share the keys. Default: the pipeline's id.",
    )
    max: int = Field(default=1, ge=1, description="How many runs with the key may be executed at once.")
    on_full: OnFull = Field(
        default="queue",
        description="What a new run does when there are that many: `queue` waits until one of them has ended, `skip` "
        "cancels itself, and `cancel_oldest` cancels the oldest of them.",
    )
