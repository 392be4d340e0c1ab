"""Maps each character of the decoded text of a scalar to its place in the raw text, for all five YAML styles.

The folding rules follow libyaml's scanner (yaml_parser_scan_block_scalar, _flow_scalar, _plain_scalar). Decoding is
repeated here, with offsets, only for the few scalars that a message refers to; a mismatch with the decoded text of the
reader makes the map unknown, never wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.language.syntax.quotes import PAIR
from orchestrator.text.lines import LINE_BREAK

if TYPE_CHECKING:
    from collections.abc import Sequence

_BREAKS = "\n\r"
_WHITE = re.compile(f"[ \t{_BREAKS}]+")
_ESCAPED_BREAK = re.compile(f"\\\\(?:\r\n|[{_BREAKS}])")
_HEX = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}


def source_offsets(raw: str, style: str, text: str) -> Sequence[int] | None:
    """Return the offset in `raw` of each character of `text`, or None if `raw` does not decode to `text`."""
    quotes = 1 if style in ("'", '"') else 0
    if style not in ("|", ">") and raw[quotes : len(raw) - quotes] == text:  # as written: no need to decode it
        return range(quotes, len(raw) - quotes)
    if style in ("|", ">"):
        decoded, offsets = _block(raw, style, text)
    elif style in ("", "'", '"'):
        decoded, offsets = _flow(raw, style)
    else:
        return None
    return offsets if decoded == text else None


class _Output:
    """The decoded text so far, with the raw offset of each character."""

    def __init__(self) -> None:
        self.characters: list[str] = []
        self.offsets: list[int] = []

    def put(self, character: str, offset: int) -> None:
        self.characters.append(character)
        self.offsets.append(offset)

    def put_all(self, text: str, offset: int) -> None:
        self.characters.extend(text)
        self.offsets.extend(range(offset, offset + len(text)))

    def put_breaks(self, breaks: list[re.Match[str]]) -> None:
        for match in breaks:
            self.put("\n", match.start())

    def result(self) -> tuple[str, list[int]]:
        return "".join(self.characters), self.offsets


def _flow(raw: str, style: str) -> tuple[str, list[int]]:
    """Plain and quoted scalars: line breaks fold, and quotes have their escapes."""
    out = _Output()
    place, end = (1, len(raw) - 1) if style else (0, len(raw))
    while place < end:
        character = raw[place]
        if white := _WHITE.match(raw, place, end):
            breaks = list(LINE_BREAK.finditer(raw, place, white.end()))
            if not breaks:
                out.put_all(white[0], place)
            elif len(breaks) == 1:
                out.put(" ", breaks[0].start())
            else:
                out.put_breaks(breaks[1:])
            place = white.end()
        elif style == "'" and character == "'":
            out.put("'", place)
            place += 2
        elif style == '"' and character == "\\":
            place = _escape(raw, place, end, out)
        else:
            out.put(character, place)
            place += 1
    return out.result()


def _escape(raw: str, place: int, end: int, out: _Output) -> int:
    """Decode one escape of a double-quoted scalar. Returns the offset after it."""
    if line := _ESCAPED_BREAK.match(raw, place, end):
        white = _WHITE.match(raw, line.end(), end)
        if white is None:
            return line.end()
        out.put_breaks(list(LINE_BREAK.finditer(raw, line.end(), white.end())))
        return white.end()
    letter = raw[place + 1 : place + 2]
    if pair := PAIR.match(raw, place, end):
        high, low = int(pair[1], 16), int(pair[2], 16)
        out.put(chr(0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00)), place)
        return pair.end()
    if letter in _HEX:
        size = _HEX[letter]
        out.put(chr(int(raw[place + 2 : place + 2 + size], 16)), place)
        return place + 2 + size
    out.put(_ESCAPES.get(letter, letter), place)
    return place + 2


def _block(raw: str, style: str, text: str) -> tuple[str, list[int]]:
    """Literal and folded scalars. The indentation is that of the first line that is not blank."""
    out = _Output()
    header = LINE_BREAK.search(raw)
    if header is None:
        return "", []
    indicators = raw[: header.start()].split("#")[0]
    lines = _lines(raw, header.end())
    indent = _indentation(lines, text)
    leading: re.Match[str] | None = None  # the break after the last line of text
    trailing: list[re.Match[str]] = []  # the breaks of blank lines after it
    was_blank = False
    seen_text = False
    for start, content, ending in lines:
        if not content[indent:] and not content.strip(" "):
            if ending:
                trailing.append(ending)
            continue
        is_blank = content[indent : indent + 1] in (" ", "\t")
        if leading is not None:
            if style == ">" and not was_blank and not is_blank:
                if not trailing:
                    out.put(" ", leading.start())
            else:
                out.put_breaks([leading])
        out.put_breaks(trailing)
        leading, trailing = ending, []
        was_blank, seen_text = is_blank, True
        out.put_all(content[indent:], start + indent)
    if "-" not in indicators and seen_text and leading is not None:
        out.put_breaks([leading])
    if "+" in indicators:
        out.put_breaks(trailing)
    return out.result()


def _lines(raw: str, place: int) -> list[tuple[int, str, re.Match[str] | None]]:
    """The lines of the scalar: offset, content, and the break that ends it."""
    lines: list[tuple[int, str, re.Match[str] | None]] = []
    for match in LINE_BREAK.finditer(raw, place):
        lines.append((place, raw[place : match.start()], match))
        place = match.end()
    if place < len(raw):
        lines.append((place, raw[place:], None))
    return lines


def _indentation(lines: list[tuple[int, str, re.Match[str] | None]], text: str) -> int:
    raw_first = next((content for _, content, _ in lines if content.strip(" ")), "")
    text_first = next((line for line in LINE_BREAK.split(text) if line.strip(" ")), "")
    return max(_leading(raw_first) - _leading(text_first), 0)


def _leading(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
