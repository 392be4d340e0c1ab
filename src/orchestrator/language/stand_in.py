"""Characters that stand in for those that a reader of YAML 1.1 takes otherwise than YAML 1.2 has them.

NEL, LS and PS are text in YAML 1.2 and line breaks for libyaml; it refuses escapes of halves of characters, of which
`json.dumps` writes pairs. Each is replaced by as many characters of the private use area that the text does not have,
so that all places stay the same, and put back in what was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_BREAKS: Final = "\x85\u2028\u2029"
_BREAK: Final = re.compile(f"[{_BREAKS}]")
_HALF: Final = re.compile(r"(?<=\\u)[dD][89a-fA-F](?=[0-9a-fA-F]{2})")
_TAKEN: Final = re.compile(r"[\ue000-\ue7ff\uf000-\uf7ff]|\\u[eEfF][0-7]")
_SUBSTITUTE: Final = re.compile(r"(?<=\\u)[eEfF][0-7](?=[0-9a-fA-F]{2})")
_SUBSTITUTED: Final = re.compile("[\ue000-\ue7ff\uf000-\uf7ff]")
_SPARE: Final = range(0xE800, 0xF000)


@dataclass(frozen=True, slots=True)
class StandIns:
    """What stands in for what in one text; `restore` puts it back in a scalar."""

    breaks: dict[int, str]
    halves: bool

    def restore(self, value: str, style: str) -> str:
        """Return a scalar's text with its own characters. Pairs of halves become the character that they make."""
        if self.breaks:
            value = value.translate(self.breaks)
        if not self.halves or (value.isascii() and "\\u" not in value):
            return value
        if style == '"' and _SUBSTITUTED.search(value):
            value = _SUBSTITUTED.sub(lambda found: chr(0xD800 + (ord(found[0]) & 0x7FF)), value)
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return _SUBSTITUTE.sub(lambda found: _half(found[0]), value)


NONE: Final = StandIns({}, halves=False)


def stand_ins(text: str) -> tuple[str, StandIns]:
    """Return the text for reading, as long as it was, and what stands in for what."""
    found = set() if text.isascii() else set(_BREAK.findall(text))
    halves = "\\u" in text and _HALF.search(text) is not None and _TAKEN.search(text) is None
    if not found and not halves:
        return text, NONE
    free = (chr(code) for code in _SPARE if chr(code) not in text)
    table = {ord(character): next(free, character) for character in sorted(found)}
    if table:
        text = text.translate(table)
    if halves:
        text = _HALF.sub(lambda match: _substitute(match[0]), text)
    return text, StandIns({ord(new): chr(old) for old, new in table.items()}, halves)


def _substitute(digits: str) -> str:
    """`d8` becomes `e0`, `df` `e7`; a capital second digit is kept in mind by `f`: `dF` becomes `f7`."""
    capital = digits[1] in "ABCDEF"
    first = ("f" if capital else "e") if digits[0] == "d" else ("F" if capital else "E")
    return first + str(int(digits[1], 16) - 8)


def _half(digits: str) -> str:
    second = f"{int(digits[1]) + 8:x}"
    return ("d" if digits[0] in "ef" else "D") + (second.upper() if digits[0] in "fF" else second)
