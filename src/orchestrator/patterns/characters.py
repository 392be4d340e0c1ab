"""Sets of characters, as the atoms of a regular expression describe them."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

ASCII_WORD: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_ASCII_SPACE: Final = frozenset("\t\n\v\f\r ")
_ECMA_SPACE: Final = frozenset("\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff") | frozenset(
    map(chr, range(0x2000, 0x200B))
)
_LAST_CASED: Final = 0x1E943
"""The last character that has a case: those above need no look."""

_CATEGORIES: Final = {
    "letter": "L", "cased_letter": "LC", "uppercase_letter": "Lu", "lowercase_letter": "Ll", "titlecase_letter": "Lt",
    "modifier_letter": "Lm", "other_letter": "Lo", "mark": "M", "combining_mark": "M", "nonspacing_mark": "Mn",
    "spacing_mark": "Mc", "enclosing_mark": "Me", "number": "N", "decimal_number": "Nd", "digit": "Nd",
    "letter_number": "Nl", "other_number": "No", "punctuation": "P", "punct": "P", "connector_punctuation": "Pc",
    "dash_punctuation": "Pd", "open_punctuation": "Ps", "close_punctuation": "Pe", "initial_punctuation": "Pi",
    "final_punctuation": "Pf", "other_punctuation": "Po", "symbol": "S", "math_symbol": "Sm", "currency_symbol": "Sc",
    "modifier_symbol": "Sk", "other_symbol": "So", "separator": "Z", "space_separator": "Zs", "line_separator": "Zl",
    "paragraph_separator": "Zp", "other": "C", "control": "Cc", "cntrl": "Cc", "format": "Cf", "surrogate": "Cs",
    "private_use": "Co", "unassigned": "Cn",
}  # fmt: skip
_SHORT: Final = frozenset(_CATEGORIES.values())
_PREDICATES: Final = {
    "any": lambda char: True,
    "ascii": str.isascii,
    "alphabetic": str.isalpha,
    "alpha": str.isalpha,
    "lowercase": str.islower,
    "lower": str.islower,
    "uppercase": str.isupper,
    "upper": str.isupper,
    "white_space": str.isspace,
}


class Kind(Struct, frozen=True):
    r"""A named set: `\d`, `\p{Lu}`. `name` says which, in which dialect; `negated` is for `\D`, `\P{Lu}`."""

    name: str
    negated: bool = False

    def holds(self, char: str) -> bool:
        """Whether a character is in the set."""
        return _in_kind(self.name, char) != self.negated


class Characters(Struct, frozen=True):
    """A set of characters: ranges of code points and named sets, or all others where it is negated."""

    ranges: tuple[tuple[int, int], ...] = ()
    kinds: tuple[Kind, ...] = ()
    negated: bool = False
    ignorecase: bool = False

    def holds(self, char: str) -> bool:
        """Whether a character is in the set."""
        spellings = variants(char) if self.ignorecase else (char,)
        found = any(low <= ord(each) <= high for low, high in self.ranges for each in spellings)
        return (found or any(kind.holds(each) for kind in self.kinds for each in spellings)) != self.negated

    @property
    def literal(self) -> str | None:
        """The one character that this is, where it is one, whatever its case."""
        if self.negated or self.kinds or len(self.ranges) != 1 or self.ranges[0][0] != self.ranges[0][1]:
            return None
        return chr(self.ranges[0][0])


def _in_kind(name: str, char: str) -> bool:
    match name:
        case "d":
            return char.isdecimal()
        case "w":
            return char.isalnum() or char == "_"
        case "s":
            return char.isspace()
        case "ascii d":
            return "0" <= char <= "9"
        case "ascii w":
            return char in ASCII_WORD
        case "ascii s":
            return char in _ASCII_SPACE
        case "ecma s":
            return char in _ECMA_SPACE
    if name in _PREDICATES:
        return bool(_PREDICATES[name](char))
    if name.startswith("script "):
        return _script(name.removeprefix("script ")).search(char) is not None
    category = unicodedata.category(char)
    return category in ("Lu", "Ll", "Lt") if name == "LC" else category.startswith(name)


def property_kind(name: str, negated: bool) -> Kind | None:
    r"""Return the set that `\p{name}` describes; None if the property is unknown."""
    key, equals, value = name.partition("=")
    word = (value if equals else key).strip()
    if not word.replace("_", "").isalnum():
        return None
    if not equals or key in ("General_Category", "gc"):
        category = _CATEGORIES.get(word.lower(), word)
        if category in _SHORT:
            return Kind(category, negated)
        if not equals and word.lower() in _PREDICATES:
            return Kind(word.lower(), negated)
    if not equals or key in ("Script", "sc", "Script_Extensions", "scx"):
        try:
            _script(word)
        except ValueError:
            return None
        return Kind(f"script {word}", negated)
    return None


@lru_cache(maxsize=256)
def _script(name: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(rf"\p{{{name}}}", options)
    except re2.error:
        raise ValueError(name) from None


def variants(char: str) -> tuple[str, ...]:
    """Return a character with all that differ from it in case only, as Python's `re` takes them."""
    if char.isascii() and not char.isalpha():
        return (char,)
    return _cased().get(char, (char,))


@lru_cache(maxsize=1)
def _cased() -> dict[str, tuple[str, ...]]:
    groups: dict[str, set[str]] = {}
    for code in range(_LAST_CASED + 1):
        char = chr(code)
        lower, upper = char.lower(), char.upper()
        for other in (lower, upper):
            if other != char and len(other) == 1:
                _join(groups, char, other)
    _join(groups, "i", "\u0130")  # its lower case is two characters by `str.lower`, and one by the simple mapping
    return {char: tuple(sorted(group)) for char, group in groups.items()}


def _join(groups: dict[str, set[str]], one: str, other: str) -> None:
    merged = groups.get(one, {one}) | groups.get(other, {other})
    for each in merged:
        groups[each] = merged
