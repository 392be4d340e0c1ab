r"""What takes the place of a match: text with `\1`, `\g<name>` and the escapes that Python's `re` has."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.patterns.program import Pattern

if TYPE_CHECKING:
    from orchestrator.patterns.program import PatternMatch

_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_DIGITS: Final = "0123456789"
_OCTAL: Final = "01234567"


class ReplacementError(ValueError):
    """A replacement is not written as Python's `re` has it."""


class Replacement(Struct, frozen=True):
    """A replacement for the matches of a pattern: texts, and numbers of groups."""

    pattern: Pattern
    parts: tuple[str | int, ...]

    def of(self, match: PatternMatch) -> str:
        """Return what takes the place of a match."""
        return "".join(part if isinstance(part, str) else match.group(part) or "" for part in self.parts)

    def replaced(self, text: str, count: int = 0, *, most: int, seconds: float = 2.0) -> tuple[str, int]:
        """Return a text with its first `count` matches (0: all) replaced, and how many there were.

        Raises:
            OverflowError: It would have more than `most` characters.
            SearchTooLong: See `Pattern.finditer`.
        """
        pieces: list[str] = []
        at = number = length = 0
        for match in islice(self.pattern.finditer(text, seconds=seconds), count or None):
            pieces += (text[at : match.start], self.of(match))
            length += match.start - at + len(pieces[-1])
            if length > most:
                raise OverflowError(most)
            at = match.end
            number += 1
        if length + len(text) - at > most:
            raise OverflowError(most)
        return "".join([*pieces, text[at:]]), number


def read_replacement(written: str, pattern: Pattern) -> Replacement:
    """Read a replacement.

    Raises:
        ReplacementError: It has an escape that there is not, or a group that the pattern has not.
    """
    parts: list[str | int] = []
    at = 0
    while (found := written.find("\\", at)) >= 0:
        parts.append(written[at:found])
        part, at = _escape(written, found + 1, pattern)
        parts.append(part)
    return Replacement(pattern, (*parts, written[at:]))


def _escape(written: str, at: int, pattern: Pattern) -> tuple[str | int, int]:
    letter = written[at : at + 1]
    if letter == "g":
        end = written.find(">", at)
        if written[at + 1 : at + 2] != "<" or end < 0:
            raise ReplacementError("after `\\g` comes the name of a group: `\\g<name>`")
        return _group(written[at + 2 : end], pattern), end + 1
    if letter and letter in _OCTAL and all(each in _OCTAL for each in written[at : at + 3]):
        digits = written[at : at + 3]
        if letter == "0" or len(digits) == 3:
            return chr(int(digits, 8)), at + len(digits)
    if letter == "0":
        digits = "0" + "".join(each for each in written[at + 1 : at + 2] if each in _OCTAL)
        return chr(int(digits, 8)), at + len(digits)
    if letter and letter in _DIGITS:
        end = at + 1 + (written[at + 1 : at + 2] in tuple(_DIGITS))
        return _group(written[at:end], pattern), end
    if letter in _ESCAPES:
        return _ESCAPES[letter], at + 1
    if not letter:
        raise ReplacementError("it ends with a single `\\`")
    if letter.isascii() and letter.isalpha():
        raise ReplacementError(f"bad escape \\{letter}")
    return "\\" + letter, at + 1


def _group(name: str, pattern: Pattern) -> int:
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 9 else pattern.names.get(name, -1)
    if not 0 <= number <= pattern.groups:
        raise ReplacementError(f"the pattern has no group `{name}`")
    return number
