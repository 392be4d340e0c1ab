"""The judge model: the request for a judgement of a text, and the answer as data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.models.actions.prompts import JUDGED, JUDGED_TOKENS
from orchestrator.models.messages import Message, ModelRequest
from orchestrator.models.output.schemas import accepted, structure_of

if TYPE_CHECKING:
    from orchestrator.models.actions.prompts import Prompt
    from orchestrator.models.messages import ModelReply


class Opinion(Struct, frozen=True):
    """How good a text is, from 0 to 1, why, and what would make it better."""

    score: float
    reason: str
    suggestions: tuple[str, ...]


def request_of(judgement: Prompt) -> ModelRequest:
    """Return the request for an opinion."""
    return ModelRequest(
        (Message("user", judgement.text),),
        system=judgement.system,
        schema=structure_of(JUDGED).schema,
        temperature=0.0,
        max_tokens=JUDGED_TOKENS,
    )


def opinion_of(reply: ModelReply) -> Opinion:
    """Return the opinion that an answer gives.

    Raises:
        ModelAnswerInvalid: It gives none.
    """
    said = accepted(structure_of(JUDGED), reply)
    return Opinion(float(said["score"]), said["reason"], tuple(said["suggestions"]))
