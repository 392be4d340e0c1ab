"""What models are asked to make: text, vectors, pictures, transcripts, speech; and which of them make it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.tools.contract import Makes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.catalog.entries import ModelCard

Purpose = Makes
"""What a model is asked for."""

_MADE: Final[Mapping[Purpose, tuple[str, str, str]]] = {
    "embeddings": ("embeddings", "creates embeddings", "create embeddings"),
    "images": ("image_generation", "makes pictures", "make pictures"),
    "transcripts": ("transcription", "transcribes recordings", "transcribe recordings"),
    "speech": ("speech", "makes speech", "make speech"),
}
"""The capability that makes what is not text, what such a model does, and what others do not."""


def capability_for(purpose: Purpose) -> str:
    """Return the capability that makes what is not text."""
    return _MADE[purpose][0]


def what_it_does(purpose: Purpose) -> str:
    """Say what a model for what is not text does: "creates embeddings"."""
    return _MADE[purpose][1]


def does_not_make(purpose: Purpose) -> str:
    """Say that a model does not make what it is asked for."""
    return f"it does not {_MADE[purpose][2]}"


def makes_something_else(card: ModelCard, purpose: Purpose) -> str:
    """Say that a model makes another thing than what it is asked for; empty if it may make it."""
    made = [each for each, (capability, _, _) in _MADE.items() if capability in card.capabilities]
    if not made or purpose in made or (purpose == "transcripts" and "audio" in card.capabilities):
        return ""
    return f"it {what_it_does(made[0])}, not text" if purpose == "text" else does_not_make(purpose)


def unmade(card: ModelCard, purpose: Purpose) -> str:
    """Say that a model certainly does not make what it is asked for; empty if it may.

    One that hears recordings can write down what is said in them.
    """
    if problem := makes_something_else(card, purpose):
        return problem
    if purpose == "text" or (purpose == "transcripts" and "audio" in card.capabilities):
        return ""
    return does_not_make(purpose) if card.lacks(capability_for(purpose)) else ""
