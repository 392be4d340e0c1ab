"""Cuts a text into chunks of a size that a model can take, where it hurts least."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.text.tokens import BYTES_PER_TOKEN, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDS: Final = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"\n"),
    re.compile(r"[.!?…。！？][\"'”’)\]]*\s*"),
    re.compile(r"\s+"),
    re.compile(r""),
)
"""What ends a paragraph, a line, a sentence, a word, a character."""


def chunks(text: str, size: int) -> list[str]:
    """Cut a text into chunks of at most `size` tokens, as far as tokens can be told; all of them make the text again.

    Between paragraphs if that is possible, else lines, sentences, words, characters.
    """
    if size < 1:
        raise ValueError(f"a chunk of {size} tokens cannot hold anything")
    found: list[str] = []
    begun: list[str] = []
    taken = 0
    room = size * BYTES_PER_TOKEN
    for unit in _units(text, size, 0):
        length = len(unit.encode("utf-8", "surrogatepass"))
        if begun and taken + length > room:
            found.append("".join(begun))
            begun, taken = [], 0
        begun.append(unit)
        taken += length
    return [*found, "".join(begun)] if begun else found


def _units(text: str, size: int, level: int) -> Iterator[str]:
    """Yield pieces that fit, each of the largest kind that does."""
    if tokens_of(text) <= size:
        if text:
            yield text
        return
    for piece in _split(text, level):
        if tokens_of(piece) <= size or level == len(_ENDS) - 1:
            yield piece
        else:
            yield from _units(piece, size, level + 1)


def _split(text: str, level: int) -> Iterator[str]:
    if level == len(_ENDS) - 1:
        yield from text
        return
    start = 0
    for end in _ENDS[level].finditer(text):
        yield text[start : end.end()]
        start = end.end()
    if start < len(text):
        yield text[start:]
