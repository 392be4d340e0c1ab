"""Lines as the YAML reader counts them, and their width on a terminal."""

from __future__ import annotations

import re

# The line breaks of YAML 1.2.
LINE_BREAK = re.compile("\r\n|[\n\r]")

TAB_WIDTH = 4

# C0 and C1 controls act on a terminal, and bidirectional controls reorder what is read; a lone surrogate cannot
# be written at all.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

# Texts of these take a cell for each character: Latin, Greek, Cyrillic, punctuation, arrows, signs, lines and marks.
# For them the table of all characters, which takes long to load, is not needed.
_NARROW = re.compile(
    "[ -~\u00a0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2190-\u22ff\u2500-\u25fc\u2713\u2717]*"
)


def split_lines(text: str) -> tuple[str, ...]:
    """Split a text into its lines, without their ends. An empty text has one empty line."""
    return tuple(LINE_BREAK.split(text))


def display_width(text: str) -> int:
    """Return the number of terminal cells that a text takes: two for CJK and emoji, none for combining marks."""
    if _NARROW.fullmatch(text):
        return len(text)
    from wcwidth import wcswidth, wcwidth

    width: int = wcswidth(text)
    return width if width >= 0 else sum(max(wcwidth(character), 0) for character in text)


def visible(text: str) -> str:
    """Replace characters that a terminal would interpret: tabs by spaces, control characters by their pictures."""
    return _HIDDEN.sub(_picture, text)


def _picture(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\t":
        return " " * TAB_WIDTH
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
