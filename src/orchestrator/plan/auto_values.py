"""The `<AUTO>` values of a file, and the ids of the steps that ask models for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from orchestrator.models.calls.lock_entries import KeptAnswer


class AutoValue(Struct, frozen=True):
    """An `<AUTO>` of the file: its path, its question, and the JSON Schema of the answer.

    With `varies`, the question has templates, so its text is known only during a run. `asks` are the parameters of a
    call that asks for this value alone, None if they have templates too. `locked` is the answer in the lock file, which
    is then part of the plan; if the question varies, the step that asks looks its answer up. With `secret`, the
    question reads a secret input, so its answer is not stored.
    """

    at: str
    text: str
    schema: Mapping[str, Any]
    varies: bool
    asks: Mapping[str, Any] | None = None
    locked: KeptAnswer | None = None
    secret: bool = False


_AUTO: Final = ":auto"


def auto_id(step: str) -> str:
    """Return the id of the step that asks for the `<AUTO>` values of another step. Ids in a file contain no colon."""
    return step + _AUTO


def is_auto(step: str) -> bool:
    """Return whether this is the id of a step that asks for `<AUTO>` values."""
    return step.endswith(_AUTO)
