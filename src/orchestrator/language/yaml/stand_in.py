"""Placeholders for characters that libyaml, a YAML 1.1 reader, does not read as YAML 1.2 defines them.

NEL, LS and PS are text in YAML 1.2 and line breaks for libyaml. It also rejects the pairs of escapes in which
`json.dumps` writes a character beyond U+FFFF. Each is replaced by as many characters, including unused characters of
the private use area, so that all offsets stay the same; the original characters are restored after reading.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from msgspec import Struct

from orchestrator.language.syntax.quotes import PAIR

_BREAKS: Final = "\x85\u2028\u2029"
_BREAK: Final = re.compile(f"[{_BREAKS}]")
_PRIVATE: Final = range(0xE000, 0xF900)


class StandIns(Struct, frozen=True):
    """The placeholders of one text. `signs` are 16 characters; two of them follow the escape of a pair."""

    breaks: dict[int, str]
    signs: str = ""

    def restore(self, value: str, style: str) -> str:
        """Return the original text of a scalar. Pairs of escapes are joined only in double quotes."""
        if self.breaks:
            value = value.translate(self.breaks)
        if not self.signs or value.isascii():
            return value
        if style == '"':
            return re.sub(f"[{self.signs}]", "", value)
        return re.sub(rf"\\U([0-9A-F]{{8}})([{self.signs}]{{2}})", self._pair, value)

    def escape(self, pair: re.Match[str]) -> str:
        """Return the single escape for a pair, with the same length; the signs after it keep the case of its digits."""
        digits = pair[1] + pair[2]
        code = 0x10000 + ((int(pair[1], 16) & 0x3FF) << 10) + (int(pair[2], 16) & 0x3FF)
        capitals = sum(1 << place for place, digit in enumerate(digits) if digit.isupper())
        return f"\\U{code:08X}{self.signs[capitals >> 4]}{self.signs[capitals & 15]}"

    def _pair(self, escape: re.Match[str]) -> str:
        code = int(escape[1], 16) - 0x10000
        capitals = (self.signs.index(escape[2][0]) << 4) + self.signs.index(escape[2][1])
        digits = f"{0xD800 + (code >> 10):04x}{0xDC00 + (code & 0x3FF):04x}"
        cased = "".join(digit.upper() if capitals >> place & 1 else digit for place, digit in enumerate(digits))
        return f"\\u{cased[:4]}\\u{cased[4:]}"


NONE: Final = StandIns({})


def stand_ins(text: str) -> tuple[str, StandIns]:
    """Return the text for reading, with the same length, and its placeholders."""
    found = set() if text.isascii() else set(_BREAK.findall(text))
    pairs = "\\u" in text and PAIR.search(text) is not None
    if not found and not pairs:
        return text, NONE
    escapes = text.lower() if "\\" in text else ""
    unused = (chr(code) for code in _PRIVATE if chr(code) not in text and f"{code:04x}" not in escapes)
    free = "".join(islice(unused, len(_BREAKS) + 16))
    if len(free) < len(_BREAKS) + 16:
        return text, NONE
    table = dict(zip(sorted(found), free, strict=False))
    used = StandIns({ord(new): old for old, new in table.items()}, free[len(_BREAKS) :] if pairs else "")
    if table:
        text = text.translate(str.maketrans(table))
    return PAIR.sub(used.escape, text) if pairs else text, used
