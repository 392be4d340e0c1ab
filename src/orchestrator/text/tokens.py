"""An estimate of the tokens of a text, for all models alike."""

from __future__ import annotations

from typing import Final

BYTES_PER_TOKEN: Final = 4
"""OpenAI's rule of thumb: a token is about four characters of English (its help page "What are tokens and how to count
them?"). Counted in bytes of UTF-8 it is right for English, and not far off where each character is a token."""


def tokens_of(text: str) -> int:
    """Return about how many tokens a text has."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)
