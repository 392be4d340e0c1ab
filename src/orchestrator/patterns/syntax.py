"""Regular expressions as trees: reads the syntax of Python's `re` and that of ECMA-262, which JSON Schema has.

What cannot be matched in linear time, such as references back to groups, is read too, and noted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.patterns.characters import Characters, Kind, property_kind
from orchestrator.patterns.tree import Assertion, AssertionKind, Atom, GroupNode, Look, PatternNode, RepeatNode

Dialect: TypeAlias = Literal["python", "ecma"]

MAX_LENGTH: Final = 10_000
"""Characters of a pattern."""

_DEEPEST: Final = 100
_MOST_REPEATS: Final = 100_000
_FLAGS: Final = "aimsux"
_LOOKS: Final = ("(?=", "(?!", "(?<=", "(?<!")
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_DIGITS: Final = "0123456789"
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class PatternError(ValueError):
    """A pattern cannot be used. `place` is the character where the reason is; `help` says what can be written."""

    def __init__(self, message: str, place: int | None = None, help: str = "") -> None:
        super().__init__(message if place is None else f"{message}, at character {place + 1}")
        self.help = help


class Syntax(Struct, frozen=True):
    """What a pattern says. `unsupported` names what in it cannot be matched in linear time; None if nothing.

    `word` says which characters a word consists of, where the pattern asks for its boundaries.
    """

    root: GroupNode
    names: Mapping[str, int]
    groups: int
    word: Kind | None = None
    unsupported: PatternError | None = None


class _Flags(Struct, frozen=True):
    ignorecase: bool = False
    multiline: bool = False
    dotall: bool = False
    verbose: bool = False
    ascii: bool = False

    def changed(self, letters: str, on: bool) -> _Flags:
        names = {"i": "ignorecase", "m": "multiline", "s": "dotall", "x": "verbose", "a": "ascii"}
        return replace(self, **{names[letter]: on for letter in letters if letter in names})


def parse_pattern(pattern: str, dialect: Dialect, flags: str = "") -> Syntax:
    """Read a pattern. `flags` are letters of `aimsx`, as in `(?im)`.

    Raises:
        PatternError: It is not written as the dialect has it.
    """
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"a pattern has at most {MAX_LENGTH:,} characters")
    reader = _PatternReader(pattern, dialect)
    start = _Flags().changed(flags, True)
    branches = reader.branches(reader.global_flags(start), 0)
    if reader.at < len(pattern):
        raise PatternError("unbalanced parenthesis", reader.at)
    words = reader.words
    if len(words) > 1 and reader.unsupported is None:
        reader.unsupported = PatternError("boundaries of words by two alphabets are not supported")
    return Syntax(
        GroupNode(branches), reader.names, reader.groups, next(iter(words)) if words else None, reader.unsupported
    )


class _PatternReader(Struct):
    text: str
    dialect: Dialect
    at: int = 0
    groups: int = 0
    names: dict[str, int] = field(default_factory=dict)
    words: set[Kind] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    unsupported: PatternError | None = None

    def error_at(self, message: str, place: int) -> PatternError:
        return PatternError(message, place)

    def refuse(self, what: str, place: int, help: str = "") -> None:
        if self.unsupported is None:
            self.unsupported = PatternError(f"{what} is not supported", place, help)

    def starts(self, word: str) -> bool:
        return self.text.startswith(word, self.at)

    # --- the structure

    def global_flags(self, flags: _Flags) -> _Flags:
        while self.starts("(?"):
            end = self.at + 2
            while end < len(self.text) and self.text[end] in _FLAGS:
                end += 1
            if end == self.at + 2 or not self.text.startswith(")", end):
                break
            flags = flags.changed(self.text[self.at + 2 : end], True)
            self.at = end + 1
        return flags

    def branches(self, flags: _Flags, depth: int) -> tuple[tuple[PatternNode, ...], ...]:
        if depth > _DEEPEST:
            raise self.error_at(f"groups are nested more than {_DEEPEST} deep", self.at)
        found: list[tuple[PatternNode, ...]] = []
        branch: list[PatternNode] = []
        while self.at < len(self.text) and self.text[self.at] != ")":
            if self.text[self.at] == "|":
                self.at += 1
                found.append(tuple(branch))
                branch = []
            elif not (flags.verbose and self._blank()):
                self._part(branch, flags, depth)
        return (*found, tuple(branch))

    def _blank(self) -> bool:
        if self.text[self.at] == "#":
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end + 1
            return True
        if self.text[self.at] in " \t\n\r\v\f":
            self.at += 1
            return True
        return False

    def _part(self, branch: list[PatternNode], flags: _Flags, depth: int) -> None:
        place = self.at
        char = self.text[place]
        if char in "*+?" or (char == "{" and self._bounds() is not None):
            raise self.error_at("nothing to repeat", place)
        node: PatternNode | None
        if char == "(":
            node = self._group(flags, depth)
        elif char == "[":
            node = Atom(self._class(flags))
        elif char == "\\":
            node = self._escape(flags)
        else:
            self.at += 1
            node = self._plain(char, flags)
        if node is not None:
            branch.append(self._repeated(node, flags))

    def _plain(self, char: str, flags: _Flags) -> PatternNode:
        if char == ".":
            breaks = "\n" if self.dialect == "python" else "\n\r\u2028\u2029"
            ranges = () if flags.dotall else tuple((ord(each), ord(each)) for each in breaks)
            return Atom(Characters(ranges, negated=True))
        if char == "^":
            return Assertion("line start" if flags.multiline else "start")
        if char == "$":
            end: AssertionKind = "final" if self.dialect == "python" else "end"
            return Assertion("line end" if flags.multiline else end)
        return _literal(char, flags)

    def _repeated(self, node: PatternNode, flags: _Flags) -> PatternNode:
        while flags.verbose and self.at < len(self.text) and self._blank():
            pass
        place = self.at
        bounds = self._bounds()
        if bounds is None:
            return node
        least, most, self.at = bounds
        if isinstance(node, Assertion):
            raise self.error_at("nothing to repeat", place)
        if most is not None and least > most:
            raise self.error_at("the least of a repeat is greater than its most", place)
        if max(least, most or 0) > _MOST_REPEATS:
            raise self.error_at("a part is repeated too often", place)
        greedy = True
        if self.starts("?"):
            greedy = False
            self.at += 1
        elif self.starts("+") and self.dialect == "python":
            self.at += 1
            self.refuse("a possessive repeat", place, "leave out its `+`: no repeat here takes more than linear time")
        if self._bounds() is not None:
            raise self.error_at("multiple repeat", self.at)
        return RepeatNode(node, least, most, greedy)

    def _bounds(self) -> tuple[int, int | None, int] | None:
        """Return what repeats the part before: the least, the most, and where it ends."""
        char = self.text[self.at] if self.at < len(self.text) else ""
        if char in ("*", "+", "?"):
            return int(char == "+"), 1 if char == "?" else None, self.at + 1
        if char != "{":
            return None
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at + 1 : max(end, self.at + 1)].partition(",")
        if not all(each in _DIGITS for each in low + high):
            return None
        if not low and (self.dialect == "ecma" or not (comma or high)):
            return None
        if max(len(low), len(high)) > len(str(_MOST_REPEATS)):
            raise self.error_at("a part is repeated too often", self.at)
        least = int(low or 0)
        return least, (int(high) if high else None) if comma else least, end + 1

    def _group(self, flags: _Flags, depth: int) -> PatternNode | None:
        place = self.at
        number = None
        if self.starts("(?#") and self.dialect == "python":
            end = self.text.find(")", self.at)
            if end < 0:
                raise self.error_at("missing ), unterminated comment", place)
            self.at = end + 1
            return None
        for look in _LOOKS:
            if self.starts(look):
                self.at += len(look)
                found = Look(self.branches(flags, depth + 1), "<" in look, "!" in look, place)
                self._close(place)
                return found
        if self.starts("(?P="):
            return self._reference_by_name("(?P=", ")")
        if self.starts("(?("):
            self.refuse("a condition", place, "write the two cases as `(?:...|...)`")
            self.at = self.text.find(")", self.at) + 1 or len(self.text)
        elif self.starts("(?>"):
            self.refuse("an atomic group", place, "write `(?:`: no repeat here takes more than linear time")
            self.at += 3
        elif self.starts("(?P<") or self.starts("(?<"):
            self.at = self.text.index("<", self.at) + 1
            number = self._named(self._name(">"), place)
        elif self.starts("(?"):
            flags = self._scoped_flags(flags)
        else:
            self.at += 1
            self.groups += 1
            number = self.groups
        group = GroupNode(self.branches(flags, depth + 1), number)
        self._close(place)
        if number is not None:
            self.closed.add(number)
        return group

    def _close(self, place: int) -> None:
        if not self.starts(")"):
            raise self.error_at("missing ), unterminated subpattern", place)
        self.at += 1

    def _named(self, name: str, place: int) -> int:
        if not name.isidentifier():
            raise self.error_at(f"bad character in group name {name!r}", place)
        if name in self.names:
            raise self.error_at(f"there are two groups of the name {name!r}", place)
        self.groups += 1
        self.names[name] = self.groups
        return self.groups

    def _name(self, end: str) -> str:
        stop = self.text.find(end, self.at)
        if stop < 0:
            raise self.error_at(f"missing {end}, unterminated name", self.at)
        name, self.at = self.text[self.at : stop], stop + 1
        return name

    def _scoped_flags(self, flags: _Flags) -> _Flags:
        place = self.at
        end = self.text.find(":", self.at)
        letters = self.text[self.at + 2 : end] if end >= 0 else "?"
        on, minus, off = letters.partition("-")
        known = set(_FLAGS if self.dialect == "python" else "ims")
        if set(on + off) - known or (minus and not off):
            rest = self.text[self.at + 2 : self.at + 4]
            flags_here = rest[:1] in _FLAGS and rest[:1] != ""
            raise self.error_at(
                "flags for the whole pattern stand at its start" if flags_here else f"unknown extension ?{rest[:1]}",
                place,
            )
        self.at = end + 1
        return flags.changed(on, True).changed(off, False)

    # --- escapes

    def _escape(self, flags: _Flags) -> PatternNode:
        place = self.at
        letter = self.text[place + 1 : place + 2]
        if letter in ("b", "B") and letter:
            self.at += 2
            self.words.add(Kind(self._kind("w", flags)))
            return Assertion("boundary" if letter == "b" else "no boundary")
        if letter in ("A", "Z", "z") and letter:
            self.at += 2
            return Assertion("start" if letter == "A" else "end")
        if letter == "k" and self.starts("\\k<"):
            return self._reference_by_name("\\k<", ">")
        if letter and letter in "123456789":
            end = self.at + 2
            while end < min(self.at + 3, len(self.text)) and self.text[end] in _DIGITS:
                end += 1
            octal = self.text[self.at + 1 : self.at + 4]
            if not (len(octal) == 3 and all(digit in "01234567" for digit in octal)):
                return self._reference(int(self.text[self.at + 1 : end]), end)
        kind = self._shorthand(flags)
        if kind is not None:
            return Atom(Characters(kinds=(kind,), ignorecase=flags.ignorecase and not _is_shorthand(kind)))
        return _literal(chr(self._code(in_class=False)), flags)

    def _reference(self, number: int, end: int) -> PatternNode:
        if self.dialect == "python" and number not in self.closed:
            raise self.error_at(f"invalid group reference {number}", self.at)
        self.refuse(
            f"the reference `\\{number}` back to a group", self.at, "compare the groups of the match afterwards"
        )
        self.at = end
        return GroupNode(((),))

    def _reference_by_name(self, opening: str, closing: str) -> PatternNode:
        place = self.at
        self.at += len(opening)
        name = self._name(closing)
        if name not in self.names:
            raise self.error_at(f"unknown group name {name!r}", place)
        self.refuse(f"the reference back to the group `{name}`", place, "compare the groups of the match afterwards")
        return GroupNode(((),))

    def _kind(self, letter: str, flags: _Flags) -> str:
        if self.dialect == "ecma":
            return "ecma s" if letter == "s" else f"ascii {letter}"
        return f"ascii {letter}" if flags.ascii else letter

    def _shorthand(self, flags: _Flags) -> Kind | None:
        r"""Read `\d`, `\P{Lu}` and their like; None if none stands here."""
        letter = self.text[self.at + 1 : self.at + 2]
        if letter and letter in "dwsDWS":
            self.at += 2
            return Kind(self._kind(letter.lower(), flags), letter.isupper())
        if letter and letter in "pP":
            place = self.at
            self.at += 2
            if not self.starts("{"):
                raise self.error_at(f"bad escape \\{letter}", place)
            self.at += 1
            name = self._name("}")
            kind = property_kind(name, letter == "P")
            if kind is None:
                raise self.error_at(f"unknown property of characters {name!r}", place)
            return kind
        return None

    def _code(self, *, in_class: bool) -> int:
        """Read one escaped character."""
        place = self.at
        letter = self.text[place + 1 : place + 2]
        if not letter:
            raise self.error_at("bad escape (end of pattern)", place)
        self.at += 2
        if letter in _CONTROLS and (letter != "a" or self.dialect == "python"):
            return ord(_CONTROLS[letter])
        if letter == "b" and in_class:
            return 8
        if letter in "01234567" and (self.dialect == "python" or letter == "0"):
            return self._octal(letter, place, in_class)
        if letter == "x":
            return self._hexadecimal(2, place)
        if letter == "u":
            return self._unicode(place)
        if letter == "U" and self.dialect == "python":
            return self._hexadecimal(8, place)
        if letter == "N" and self.dialect == "python" and self.starts("{"):
            self.at += 1
            name = self._name("}")
            try:
                return ord(unicodedata.lookup(name))
            except (KeyError, TypeError):
                raise self.error_at(f"undefined character name {name!r}", place) from None
        if letter == "c" and self.dialect == "ecma" and self.text[self.at : self.at + 1].isalpha():
            self.at += 1
            return ord(self.text[self.at - 1]) % 32
        if letter.isascii() and letter.isalnum():
            raise self.error_at(f"bad escape \\{letter}", place)
        return ord(letter)

    def _octal(self, letter: str, place: int, in_class: bool) -> int:
        digits = letter
        while len(digits) < 3 and self.text[self.at : self.at + 1] in tuple("01234567"):
            digits += self.text[self.at]
            self.at += 1
        if (letter != "0" and len(digits) < 3 and not in_class) or int(digits, 8) > 0o377:
            raise self.error_at(f"bad escape \\{digits}", place)
        return int(digits, 8)

    def _hexadecimal(self, length: int, place: int) -> int:
        digits = self.text[self.at : self.at + length]
        if len(digits) < length or not set(digits) <= _HEX or int(digits, 16) > 0x10FFFF:
            raise self.error_at(f"incomplete escape \\{self.text[place + 1]}{digits}", place)
        self.at += length
        return int(digits, 16)

    def _unicode(self, place: int) -> int:
        if self.starts("{") and self.dialect == "ecma":
            self.at += 1
            digits = self._name("}")
            if not digits or not set(digits) <= _HEX or int(digits, 16) > 0x10FFFF:
                raise self.error_at("incomplete escape \\u", place)
            return int(digits, 16)
        code = self._hexadecimal(4, place)
        if 0xD800 <= code < 0xDC00 and self.starts("\\u") and self.text[self.at + 2 : self.at + 3] in ("d", "D"):
            self.at += 2
            low = self._hexadecimal(4, place)
            return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) if low >= 0xDC00 else code
        return code

    # --- classes

    def _class(self, flags: _Flags) -> Characters:
        place = self.at
        self.at += 1
        negated = self.starts("^")
        self.at += negated
        ranges: list[tuple[int, int]] = []
        kinds: list[Kind] = []
        first = self.dialect == "python"  # where a `]` is taken as it stands
        while first or not self.starts("]"):
            if self.at >= len(self.text):
                raise self.error_at("unterminated character set", place)
            first = False
            start = self.at
            low = self._member(kinds, flags)
            if not (self.starts("-") and self.at + 1 < len(self.text) and self.text[self.at + 1] != "]"):
                ranges += [(low, low)] if low is not None else []
                continue
            self.at += 1
            high = self._member(kinds, flags)
            if low is None or high is None or high < low:
                raise self.error_at(f"bad character range {self.text[start : self.at]}", start)
            ranges.append((low, high))
        self.at += 1
        return Characters(tuple(sorted(set(ranges))), tuple(dict.fromkeys(kinds)), negated, flags.ignorecase)

    def _member(self, kinds: list[Kind], flags: _Flags) -> int | None:
        """Read a character of a class; None for a set, which is added to `kinds`."""
        if not self.starts("\\"):
            self.at += 1
            return ord(self.text[self.at - 1])
        kind = self._shorthand(flags)
        if kind is None:
            return self._code(in_class=True)
        kinds.append(kind)
        return None


def _is_shorthand(kind: Kind) -> bool:
    return kind.name in ("d", "w", "s")


def _literal(char: str, flags: _Flags) -> Atom:
    return Atom(Characters(((ord(char), ord(char)),), ignorecase=flags.ignorecase))
