"""Compiles a pattern for RE2 and searches with it.

RE2 supports words and case of ASCII only, and lacks the `$` of Python. It is therefore given texts in an alphabet of
bytes, one byte for each class of characters that the pattern does not distinguish: letters, digits and `_` where the
characters belong to words, other bytes where they do not. Every text has one byte for each character then, and what a
class holds is decided here, with Python's own tables.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.patterns.characters import ASCII_WORD, Characters
from orchestrator.patterns.surroundings import Parts, refusal, separated
from orchestrator.patterns.syntax import PatternError, parse_pattern
from orchestrator.patterns.tree import Assertion, Atom, GroupNode, Look, RepeatNode, nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.patterns.syntax import Dialect, Syntax
    from orchestrator.patterns.tree import PatternNode

_LARGEST_REPEAT: Final = 1_000
"""The most that RE2 takes, of nested repeats the product."""

_MOST_NODES: Final = 20_000
"""Parts of a pattern whose repeats are written out."""

_MEMORY: Final = 4 << 20
"""Bytes that RE2 may use for the states of one pattern."""

_EFFORT: Final = 100_000_000
"""Characters of a text times instructions of a program, of which a second is enough for the worst of patterns."""

_MOST_SORTED: Final = 2_000_000
"""Characters that a text has of different kinds, times sets of characters of a pattern."""

_SECONDS: Final = 2.0
"""Processor time of one search. That for all matches can take the square of the text's length."""

_BREAK: Final = 0x0A
"""The byte of the line breaks at which `$` holds."""

_WORD_BYTES: Final = tuple(sorted(map(ord, ASCII_WORD)))
_OTHER_BYTES: Final = tuple(byte for byte in range(1, 256) if chr(byte) not in ASCII_WORD and byte != _BREAK)
_ASSERTIONS: Final = {
    "start": r"\A",
    "end": r"\z",
    "final": "(?m:$)",
    "line start": "(?m:^)",
    "line end": "(?m:$)",
    "boundary": r"\b",
    "no boundary": r"\B",
    "nothing before": r"\x00",
}


class SearchTooLong(Exception):
    """A search would take too long on this text, or has; the message has the remedy."""


class PatternMatch(Struct, frozen=True):
    """Where a pattern was found. `spans` are those of the match and of its groups, None for one without a part."""

    text: str
    spans: tuple[tuple[int, int] | None, ...]
    names: Mapping[str, int]

    @property
    def start(self) -> int:
        """The index of the first character."""
        return self.spans[0][0] if self.spans[0] else 0

    @property
    def end(self) -> int:
        """The index after the last character."""
        return self.spans[0][1] if self.spans[0] else 0

    def group(self, group: int | str = 0) -> str | None:
        """Return the text of a group; raise IndexError if there is none of this number or name."""
        if isinstance(group, str):
            if group not in self.names:
                raise IndexError(group)
            group = self.names[group]
        if not 0 <= group < len(self.spans):
            raise IndexError(group)
        span = self.spans[group]
        return None if span is None else self.text[span[0] : span[1]]

    def groups(self) -> tuple[str | None, ...]:
        """Return the texts of all groups."""
        return tuple(self.group(number) for number in range(1, len(self.spans)))


@lru_cache(maxsize=128)
def compile_pattern(pattern: str, dialect: Dialect, flags: str = "") -> Pattern:
    """Return a pattern that can be searched for. `flags` are letters of `aimsx`, as in `(?im)`.

    Raises:
        PatternError: It is not written as the dialect has it, or cannot be searched for in linear time.
    """
    syntax = parse_pattern(pattern, dialect, flags)
    if syntax.unsupported is not None:
        raise syntax.unsupported
    return Pattern(pattern, syntax)


class Pattern:
    """A pattern that can be searched for in any text, from several threads."""

    def __init__(self, source: str, syntax: Syntax) -> None:
        self.source = source
        self.syntax = syntax
        self._parts = separated(syntax.root)
        self._lock = threading.Lock()
        self._alphabet = _Alphabet(syntax)
        self._tested = _Program.of(self._parts, self._alphabet, captures=False)
        self._found: _Program | None = None

    @property
    def groups(self) -> int:
        """How many groups capture."""
        return self.syntax.groups

    @property
    def names(self) -> Mapping[str, int]:
        """The numbers of the groups that have names."""
        return self.syntax.names

    def matches(self, text: str) -> bool:
        """Whether the pattern is found anywhere in a text.

        Raises:
            SearchTooLong: The pattern is too large for a text of this length.
        """
        program, data = self._prepared(text, _SECONDS, captures=False)
        return program.admits(data) and program.regex.search(data) is not None

    def search(self, text: str) -> PatternMatch | None:
        """Return the first match.

        Raises:
            SearchTooLong: The pattern is too large for a text of this length.
        """
        return next(self.finditer(text), None)

    def finditer(self, text: str, *, seconds: float = _SECONDS) -> Iterator[PatternMatch]:
        """Yield all matches that do not overlap, in order. After an empty one the search continues a character later.

        Raises:
            SearchTooLong: The pattern is too large for a text of this length, or took more processor time.
        """
        program, data = self._prepared(text, seconds, captures=True)
        spent, at = 0.0, 0 if program.admits(data) else len(text) + 1
        while at <= len(text):
            started = time.thread_time()
            match = program.regex.search(data, max(at + self._parts.edge - self._parts.width, 0))
            spent += time.thread_time() - started
            if match is None:
                return
            if spent > seconds:
                raise SearchTooLong(
                    f"the matches of `{self.source[:80]}` took more than {seconds:g} s of processor time; search "
                    "shorter texts, such as single lines"
                )
            found = PatternMatch(text, program.spans_of(match, self.groups, int(self._parts.edge)), self.names)
            yield found
            at = found.end + (found.end == found.start)

    def _prepared(self, text: str, seconds: float, *, captures: bool) -> tuple[_Program, bytes]:
        with self._lock:
            data = self._alphabet.encoded(text)
            if self._parts.edge:
                data = b"\0" + data
            program = self._found if captures else self._tested
            if program is None or program.known != len(self._alphabet.members):
                try:
                    program = _Program.of(self._parts, self._alphabet, captures=captures)
                except PatternError as error:
                    raise SearchTooLong(str(error)) from None
                if captures:
                    self._found = program
                else:
                    self._tested = program
        if len(data) * program.size > _EFFORT * seconds:
            raise SearchTooLong(
                f"the pattern `{self.source[:80]}` is too large for a text of {len(text):,} characters; search shorter "
                "texts, or make its repeats smaller"
            )
        return program, data


class _Alphabet:
    """The bytes that stand for the characters of texts."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        nodes = list(nodes_of(syntax.root))
        atoms = dict.fromkeys(node.characters for node in nodes if isinstance(node, Atom))
        edges = dict.fromkeys(replace(each, negated=not each.negated) for each in atoms) if _looks(nodes) else {}
        self._sets = [each for each in (*atoms, *edges) if each.literal is None or each.ignorecase]
        self._literals = {each.literal: each for each in atoms if each.literal is not None and not each.ignorecase}
        kinds = {node.kind for node in nodes if isinstance(node, Assertion)}
        self._lines = bool(kinds & {"line start", "line end"})
        self._final = "final" in kinds
        if self._lines and self._final:
            raise PatternError("`$` with and without the flag `m` in one pattern is not supported")
        self._table: dict[int, int] = {}
        self._bytes: dict[tuple[object, ...], int] = {}
        self._free = {True: list(reversed(_WORD_BYTES)), False: list(reversed(_OTHER_BYTES))}
        self.members: dict[int, frozenset[Characters]] = {}
        """The sets of the pattern that the characters of a byte are in."""
        self._know({chr(code) for code in range(128)})
        self._ascii = bytes(self._table[code] if code < 128 else 0 for code in range(256))

    def encoded(self, text: str) -> bytes:
        """Return the bytes of a text."""
        if text.isascii():
            data = text.encode("ascii").translate(self._ascii)
        else:
            self._know(set(text))
            data = text.translate(self._table).encode("latin-1")
        if self._final and text.endswith("\n"):
            data = data[:-1] + bytes([_BREAK])
        return data

    def _know(self, characters: set[str]) -> None:
        new = [char for char in characters if ord(char) not in self._table]
        if len(new) * len(self._sets) > _MOST_SORTED:
            raise SearchTooLong("the text has too many different characters for a pattern of this size")
        for char in new:
            self._table[ord(char)] = self._byte(char)

    def _byte(self, char: str) -> int:
        inside = frozenset(each for each in self._sets if each.holds(char))
        if char in self._literals:
            inside |= {self._literals[char]}
        word = self._syntax.word
        in_word = word is not None and word.holds(char)
        if char == "\n" and (self._lines or self._final):
            self.members[_BREAK] = inside
            if self._lines:
                return _BREAK
        key = (inside, in_word)
        if key not in self._bytes:
            free = self._free[in_word]
            if not free and word is None:
                free = self._free[True]
            if not free:
                raise SearchTooLong("the pattern tells too many different characters apart")
            self._bytes[key] = free.pop()
            self.members[self._bytes[key]] = inside
        return self._bytes[key]


class _Program(Struct, frozen=True):
    """A pattern compiled for the `known` bytes of an alphabet. `numbers` are the pattern's groups, as RE2 has them."""

    regex: Any
    conditions: tuple[tuple[Any, bool], ...]
    known: int
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, parts: Parts, alphabet: _Alphabet, *, captures: bool) -> _Program:
        """Compile a pattern, with its groups or without."""
        writer = _ProgramWriter(alphabet.members, captures)
        around = [part for part in (parts.before, parts.after) if part is not None]
        body = replace(parts.body, number=0) if around else parts.body
        text = "".join(writer.node(part, 1) for part in (parts.before, body, parts.after) if part is not None)
        conditions = tuple((_compiled(writer.node(each.wanted, 1)), each.negated) for each in parts.conditions)
        return cls(_compiled(text), conditions, len(alphabet.members), tuple(writer.numbers))

    @property
    def size(self) -> int:
        """How many instructions there are."""
        return int(self.regex.programsize + sum(regex.programsize for regex, _ in self.conditions))

    def admits(self, data: bytes) -> bool:
        """Whether a text meets the conditions."""
        return all((regex.search(data) is None) == negated for regex, negated in self.conditions)

    def spans_of(self, match: Any, groups: int, shift: int) -> tuple[tuple[int, int] | None, ...]:
        """Return the spans of the pattern's groups: where a repeat was written out, of the last that took part."""
        spans: list[tuple[int, int] | None] = [None] * (groups + 1)
        for index, number in enumerate((0, *self.numbers)):
            start, end = match.span(index)
            if start >= 0:
                spans[number] = start - shift, end - shift
        return tuple(spans)


def _compiled(text: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    try:
        return re2.compile(text.encode("ascii"), options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else ""
        raise PatternError(f"the pattern is too large ({reason})") from None


class _ProgramWriter:
    """Writes a tree in the syntax of RE2, over bytes."""

    def __init__(self, members: Mapping[int, frozenset[Characters]], captures: bool) -> None:
        self.numbers: list[int] = []
        self._members = members
        self._captures = captures
        self._nodes = 0
        self._sets: dict[Characters, str] = {}

    def branches(self, branches: Sequence[Sequence[PatternNode]], times: int) -> str:
        return "|".join("".join(self.node(node, times) for node in branch) for branch in branches)

    def node(self, node: PatternNode, times: int) -> str:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise PatternError("the pattern repeats too much inside of repeats")
        match node:
            case Atom(characters):
                return self._set(characters)
            case Assertion(kind):
                return _ASSERTIONS[kind]
            case GroupNode(branches, number):
                if number is None or not self._captures:
                    return f"(?:{self.branches(branches, times)})"
                self.numbers.append(number)
                return f"({self.branches(branches, times)})"
            case RepeatNode():
                return self._repeat(node, times)
        raise refusal(node)

    def _repeat(self, node: RepeatNode, times: int) -> str:
        lazy = "" if node.greedy else "?"
        least, most = node.least, node.most
        bound = max(least, most or 1, 1)
        if times * bound * _product(node.part) <= _LARGEST_REPEAT:
            part = f"(?:{self.node(node.part, times * bound)})"
            signs = {(0, None): "*", (1, None): "+", (0, 1): "?"}
            if (least, most) in signs:
                return part + signs[least, most] + lazy
            return f"{part}{{{least},{'' if most is None else most}}}{lazy}"
        # Written out, in pieces as large as RE2 takes them. It counts the repeats within only, and no copies.
        size = max(_LARGEST_REPEAT // (_product(node.part) * times), 1)
        pieces = [self._piece(node.part, size, f"{{{size}}}") for _ in range(least // size)]
        if least % size:
            pieces.append(self._piece(node.part, least % size, f"{{{least % size}}}"))
        if most is None:
            pieces.append(f"(?:{self.node(node.part, times)})*{lazy}")
        else:
            more = most - least
            pieces += [self._piece(node.part, size, f"{{0,{size}}}{lazy}") for _ in range(more // size)]
            if more % size:
                pieces.append(self._piece(node.part, more % size, f"{{0,{more % size}}}{lazy}"))
        return f"(?:{''.join(pieces)})"

    def _piece(self, part: PatternNode, times: int, sign: str) -> str:
        written = self.node(part, times)
        return f"(?:{written})" + ("" if sign == "{1}" else sign)

    def _set(self, characters: Characters) -> str:
        if characters not in self._sets:
            inside = sorted(byte for byte, sets in self._members.items() if characters in sets)
            found = "".join(rf"\x{byte:02x}" for byte in inside)
            self._sets[characters] = f"[{found}]" if found else r"[^\x00-\xff]"
        return self._sets[characters]


def _looks(nodes: Sequence[PatternNode]) -> bool:
    return any(isinstance(node, Look) for node in nodes)


def _product(node: PatternNode) -> int:
    """The largest product of nested repeats within a node."""
    match node:
        case GroupNode(branches):
            return max((_product(each) for branch in branches for each in branch), default=1)
        case RepeatNode(part, least, most):
            return max(least, most or 1, 1) * _product(part)
    return 1
