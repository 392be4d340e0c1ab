"""What pictures, transcripts and speech cost: by the piece where that is the price, else by their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.models.budget import Estimate
from orchestrator.models.media import wave_seconds
from orchestrator.models.messages import Usage
from orchestrator.text.tokens import tokens_of

if TYPE_CHECKING:
    from orchestrator.models.catalog.entries import Catalogue, ModelCard
    from orchestrator.models.media import MediaReply, MediaRequest
    from orchestrator.models.messages import ModelName

_TOKENS_OF_PICTURE: Final = 6_300
"""Tokens of a picture at most: OpenAI counts 6,208 for one of 1536 x 1024 in high quality, Gemini 2,000 for 4K."""

_TOKENS_OF_CHARACTER: Final = 2
"""Tokens of a character that is spoken: 25 in a second, in which about 15 characters are said."""

_BYTES_OF_SECOND: Final = 2_000
"""Bytes of a second of a recording at least: a telephone call has so many."""


def estimate_of_media(name: ModelName, request: MediaRequest, catalogue: Catalogue) -> Estimate:
    """Return what a request may take at most. USD are None where no price is known."""
    sent = tokens_of(request.text) + 1_600 * (len(request.media) if request.makes == "images" else 0)
    match request.makes:
        case "images":
            made = request.count * _TOKENS_OF_PICTURE
        case "speech":
            made = len(request.text) * _TOKENS_OF_CHARACTER
        case _:
            seconds = _longest(request)
            sent, made = sent + round(seconds * 32), round(seconds * 5)
    usage = Usage(input=sent, output=made, requests=1)
    card = catalogue.find(name)
    tokens = sent + made
    if card is None:
        return Estimate(name, None, tokens)
    by_piece = _by_piece(card, request, count=request.count, seconds=_longest(request))
    by_token = _by_token(name, card, request, usage, catalogue)
    known = [each for each in (by_piece, by_token) if each is not None]
    own = catalogue.settings.models.get(name) or {}
    if by_piece is not None and _UNITS[request.makes] in own:
        known = [by_piece]
    return Estimate(name, max(known, default=None), tokens)


def media_cost(name: ModelName, request: MediaRequest, reply: MediaReply, catalogue: Catalogue) -> float | None:
    """Return what a call has cost in USD, or None if its price is not known.

    A price by the piece in the settings goes before all others; then what the provider counted in tokens.
    """
    card = catalogue.find(name)
    if card is None:
        return None
    seconds = reply.seconds
    by_piece = _by_piece(card, request, count=len(reply.media), seconds=seconds)
    own = catalogue.settings.models.get(name) or {}
    if by_piece is not None and (_UNITS[request.makes] in own or request.makes == "transcripts"):
        return by_piece
    if reply.usage.input or reply.usage.output:
        by_token = _by_token(name, card, request, reply.usage, catalogue)
        return by_piece if by_token is None else by_token
    return by_piece


_UNITS: Final = {"images": "image_price", "transcripts": "minute_price", "speech": "character_price"}


def _by_piece(card: ModelCard, request: MediaRequest, *, count: int, seconds: float | None) -> float | None:
    match request.makes:
        case "images":
            return None if card.image_price is None else card.image_price * count
        case "speech":
            return None if card.character_price is None else card.character_price * len(request.text) / 1_000_000
        case _:
            return None if card.minute_price is None or seconds is None else card.minute_price * seconds / 60


def _by_token(
    name: ModelName, card: ModelCard, request: MediaRequest, usage: Usage, catalogue: Catalogue
) -> float | None:
    if request.makes != "images":
        return catalogue.cost(name, usage)
    if card.image_output_price is None:  # tokens of pictures cost more than those of text, which the table has
        return None
    return (usage.input * (card.input_price or 0.0) + usage.output * card.image_output_price) / 1_000_000


def _longest(request: MediaRequest) -> float:
    content = request.media[0].content if request.media else b""
    return wave_seconds(content) or len(content) / _BYTES_OF_SECOND
