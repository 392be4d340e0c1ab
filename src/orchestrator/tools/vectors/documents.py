"""Documents cut into chunks of a number of tokens, which overlap so that no sentence is torn from its context."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.text.token_chunks import chunks
from orchestrator.text.tokens import BYTES_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TOKENS: Final = 8_000
"""Of a chunk: as many as embedding models of the large providers read."""


class DocumentChunk(Struct, frozen=True):
    """A part of a document. Its id is that of the document with `#` and its position, from 0."""

    id: str
    text: str
    metadata: Mapping[str, Any]
    hash: str
    document: str
    position: int


def cut(document: str, text: str, metadata: Mapping[str, Any], tokens: int, overlap: int) -> Iterator[DocumentChunk]:
    """Cut a document into chunks of about `tokens` tokens; each begins with the last `overlap` ones of the one before.

    Empty parts are left out. Tokens are estimated, since each model counts them in another way.
    """
    before, position = "", 0
    for piece in chunks(text, tokens - overlap):
        whole = f"{before}{piece}".strip()
        if piece.strip():
            yield DocumentChunk(
                f"{document}#{position}", whole, metadata, content_hash(whole, metadata), document, position
            )
            position += 1
        before = _last_words(f"{before}{piece}", overlap)


def content_hash(text: str, metadata: Mapping[str, Any]) -> str:
    """Return what changes with the text or the metadata of a record."""
    content = json.dumps([text, metadata], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _last_words(text: str, tokens: int) -> str:
    """Return the last tokens of a text, from the beginning of a word on."""
    if tokens == 0:
        return ""
    tail = text.encode("utf-8", "replace")[-tokens * BYTES_PER_TOKEN :].decode("utf-8", "ignore")
    if len(tail) == len(text):
        return text
    _, space, rest = tail.partition(" ")
    return rest if space and rest.strip() else tail
