"""The `<AUTO>` values of a file, and the ids of the steps that ask models for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.models.calls.lock_entries import KeptAnswer


@dataclass(frozen=True, slots=True)
class AutoValue:
    """An `<AUTO>` of the file: where it stands, what is asked there, and the JSON Schema of the answer.

    With `varies` the question has templates, so what is asked is known only in a run. `asks` are the parameters of a
    call that asks for this one alone, None where they have templates too. `locked` is the lock's answer, which then
    stands in the plan; that of a question which varies is looked up by the step that asks. `secret`: the question reads
    a secret input, so no answer to it is kept.
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
    """Return the id of the step that asks for the `<AUTO>` values of another. No id in a file has such a sign."""
    return step + _AUTO


def is_auto(step: str) -> bool:
    """Whether this is the id of such a step."""
    return step.endswith(_AUTO)
