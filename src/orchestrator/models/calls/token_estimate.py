"""The estimate of a call before it is made: tokens from the size of the request, USD from the tokens."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.models.budget import Estimate
from orchestrator.models.messages import Media, Usage
from orchestrator.text.tokens import BYTES_PER_TOKEN, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.models.catalog.entries import Catalogue, ModelCard
    from orchestrator.models.messages import Message, ModelName, ModelReply, ModelRequest, ToolRequest

_MESSAGE: Final = 4
"""Tokens around each message (OpenAI's cookbook, "How to count tokens", counts three and a role)."""

_IMAGE: Final = 1600
"""Tokens of an image of full size: Anthropic's guide has `width * height / 750`, and scales larger ones to 1.15
megapixels; OpenAI counts up to 1,105 for one of high detail, Gemini 258 a tile."""

_PAGE: Final = 2300
"""Tokens of a page of a PDF; Anthropic's guide says 1,500 to 3,000 for its text, plus its picture."""

_BYTES_OF_PAGE: Final = 100_000
_BYTES_OF_SOUND: Final = 500
"""Bytes of sound or film for a token: Gemini takes 32 a second, and a second of speech has about 16,000 bytes."""

MOST_OUTPUT: Final = 16_384
"""The most tokens that an answer is allowed, and kept free in budgets, where the step gives no `max_tokens`."""

UNKNOWN_OUTPUT: Final = 4096
"""The same for a model of which nothing is known."""

_A_PAGE: Final = re.compile(rb"/Type\s*/Page\b")


def prompt_tokens(request: ModelRequest) -> int:
    """Return about how many tokens a request sends: its texts, images and files, its schema and its tools."""
    counted = request.counted
    total = tokens_of(request.system) + counted.tokens + messages_tokens(request.messages[counted.messages :])
    if request.schema is not None:
        total += _of_json(request.schema)
    for tool in request.tools:
        total += tokens_of(tool.name) + tokens_of(tool.description) + _of_json(tool.parameters)
    return total


def messages_tokens(messages: Iterable[Message]) -> int:
    """Return about how many tokens some messages have."""
    return sum(map(_of_message, messages))


def answer_tokens(reply: ModelReply) -> int:
    """Return about how many tokens an answer has."""
    return tokens_of(reply.text) + _of_requests(reply.requests)


def output_tokens(request: ModelRequest, card: ModelCard | None, sent: int | None = None) -> int:
    """Return how many tokens the answer is allowed: `max_tokens`, else what the model can give, within reason.

    `sent` are the `prompt_tokens` of the request, if they are known.
    """
    if request.max_tokens is not None:
        return request.max_tokens
    if card is None or (card.max_output is None and card.context_window is None):
        return UNKNOWN_OUTPUT
    most = min(card.max_output or MOST_OUTPUT, MOST_OUTPUT)
    if card.context_window is not None:
        most = min(most, max(card.context_window - (prompt_tokens(request) if sent is None else sent), 1))
    return most


def estimate_of(name: ModelName, request: ModelRequest, catalogue: Catalogue, sent: int | None = None) -> Estimate:
    """Return what a call may take at most. `sent` are the `prompt_tokens` of the request, if they are known."""
    sent = prompt_tokens(request) if sent is None else sent
    usage = Usage(sent, output_tokens(request, catalogue.find(name), sent))
    return Estimate(name, catalogue.cost(name, usage), usage.input + usage.output)


def estimate_of_embedding(name: ModelName, texts: Sequence[str], catalogue: Catalogue) -> Estimate:
    """Return what making vectors of some texts may take at most."""
    usage = Usage(input=sum(map(tokens_of, texts)))
    return Estimate(name, catalogue.cost(name, usage), usage.input)


def _of_message(message: Message) -> int:
    content = (message.content,) if isinstance(message.content, str) else message.content
    total = _MESSAGE + sum(_of_media(part) if isinstance(part, Media) else tokens_of(part) for part in content)
    return total + _of_requests(message.requests)


def _of_requests(requests: Sequence[ToolRequest]) -> int:
    return sum(tokens_of(asked.name) + _of_json(asked.arguments) for asked in requests)


def _of_media(media: Media) -> int:
    kind = media.media_type.partition("/")[0]
    if kind == "image":
        return _IMAGE
    if kind in ("audio", "video"):
        return -(-len(media.content) // _BYTES_OF_SOUND)
    if media.media_type == "application/pdf":
        # In newer files the pages may be in packed objects, where they cannot be counted without reading the file.
        pages = max(len(_A_PAGE.findall(media.content)), -(-len(media.content) // _BYTES_OF_PAGE))
        return pages * _PAGE
    return -(-len(media.content) // BYTES_PER_TOKEN)


def _of_json(value: Mapping[str, Any]) -> int:
    return tokens_of(json.dumps(value, ensure_ascii=False, default=str))
