"""Regular expressions that cannot hang a run.

A backtracking matcher tries ways to share a text out between the repeats of a pattern. Repeats that contain a choice
of their own can be refused outright (`(a+)+` has exponentially many ways). For the others the ways are bounded by the
repeats that compete for the same characters and by the longest stretch of such characters in the text at hand, both
of which are found in linear time; where the product is too large the search is refused before it begins.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from orchestrator.expressions.fitting import shown
from orchestrator.expressions.limits import MAX_PATTERN, MAX_SEARCHED, MAX_TEXT
from orchestrator.expressions.scope import Failure

_MANY: Final = 10
"""A repeat of up to more than this counts as unbounded."""

_EFFORT: Final = 100_000_000
"""Ways that may be tried in one search; the worst that was measured is about a second."""

_MAX_ATOMS: Final = 5_000
_ATOM: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P<\w+>|P=\w+\)|[a-zA-Z-]*:|[=!>]|<[=!]|#[^)]*\)|[a-zA-Z]+\)|\([^)]*\)))?|.",
    re.DOTALL,
)
_REPEAT: Final = re.compile(r"(?:(?P<sign>[*+?])|\{(?P<low>\d*)(?P<comma>,?)(?P<high>\d*)\})(?P<mode>[+?]?)")
_SAMPLES: Final = "".join(map(chr, range(128))) + "éßжя漢あ٣\u00a0\u2028😀"
_NESTED: Final = Failure(
    "a repeat stands inside of a repeat, so that matching could take forever",
    "make the inner one give nothing back: `(?:a++)*` instead of `(?:a+)*`",
)


@dataclass(slots=True)
class _Part:
    """An atom or a group of a pattern, and how often it is repeated. `most` is None for any number of times."""

    atom: str = ""
    branches: list[list[_Part]] = field(default_factory=list)
    atomic: bool = False
    least: int = 1
    most: int | None = 1
    gives_back: bool = True

    @property
    def many(self) -> bool:
        return self.most is None or self.most > _MANY


@dataclass(frozen=True, slots=True)
class _Contest:
    """Repeats in a row that match some of the same characters.

    `atoms` are those of the unbounded ones, `ways` is the product of the choices of the others. `prefix` is the plain
    text that stands before, without which the contest is not begun.
    """

    atoms: tuple[str, ...]
    ways: float
    prefix: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern, with what makes it slow."""

    pattern: re.Pattern[str]
    contests: tuple[_Contest, ...]
    ways: float


def compiled(pattern: Any, *, ignorecase: bool) -> Pattern:
    """Compile a pattern, or say why it cannot be used."""
    if not isinstance(pattern, str):
        raise Failure(f"a pattern is a string, not {shown(pattern)}")
    return _compiled(pattern, ignorecase)


@lru_cache(maxsize=256)
def _compiled(pattern: str, ignorecase: bool) -> Pattern:
    if len(pattern) > MAX_PATTERN:
        raise Failure(f"a pattern has at most {MAX_PATTERN:,} characters")
    try:
        built = re.compile(pattern, re.IGNORECASE if ignorecase else 0)
    except re.error as error:
        place = "" if error.pos is None else f" at character {error.pos + 1}"
        raise Failure(f"`{pattern[:80]}` is not a regular expression: {error.msg}{place}") from None
    except (OverflowError, RecursionError):
        raise Failure(f"`{pattern[:80]}` is not a regular expression that can be used") from None
    if built.flags & re.VERBOSE:
        raise Failure("the flag `x` of regular expressions is not supported", "write the pattern without white space")
    survey = _Survey()
    survey.sequence(_parts(pattern))
    return Pattern(built, tuple(survey.contests), survey.ways)


def _parts(pattern: str) -> list[_Part]:
    """The pattern as a tree. It has been compiled, so it is well-formed."""
    root = _Part(branches=[[]])
    stack = [root]
    position = 0
    while position < len(pattern):
        found = _ATOM.match(pattern, position)
        atom = found.group() if found else pattern[position]
        position += len(atom)
        if atom == "|":
            stack[-1].branches.append([])
            continue
        if atom[:2] == "(?" and atom[-1] == ")" and atom[2] != "P":
            continue  # flags or a comment
        if atom[0] == "(" and not atom.endswith(")"):
            group = _Part(branches=[[]], atomic=atom == "(?>")
            stack[-1].branches[-1].append(group)
            stack.append(group)
            continue
        if atom == ")" and len(stack) > 1:
            part = stack.pop()
        else:
            part = _Part(atom)
            stack[-1].branches[-1].append(part)
        position = _repeat(pattern, position, part)
    return [root] if len(root.branches) > 1 else root.branches[0]


def _repeat(pattern: str, position: int, part: _Part) -> int:
    """Read what repeats a part, if anything does; return the position after it."""
    found = _REPEAT.match(pattern, position)
    if found is None or (found["sign"] is None and not (found["low"] or found["high"])):
        return position
    if found["sign"]:
        part.least = int(found["sign"] == "+")
        part.most = 1 if found["sign"] == "?" else None
    else:
        part.least = int(found["low"] or 0)
        part.most = part.least if not found["comma"] else int(found["high"]) if found["high"] else None
    part.gives_back = found["mode"] != "+"
    return found.end()


def _has_choice(part: _Part) -> bool:
    """Whether one text can be matched by a group in several ways."""
    if part.atomic or not part.gives_back:
        return False
    if part.most != part.least:
        return True
    return any(_has_choice(inner) for branch in part.branches for inner in branch) or _ambiguous(part.branches)


def _ambiguous(branches: list[list[_Part]]) -> bool:
    """Whether two branches could begin alike: unless each begins with another plain character."""
    if len(branches) < 2:
        return False
    starts = [branch[0].atom if branch and branch[0].least else "" for branch in branches]
    plain = {start for start in starts if len(start) == 1 and start not in ".^$"}
    return len(plain) != len(branches)


class _Survey:
    """Walks a pattern in the order of matching, and notes the contests on the way."""

    def __init__(self) -> None:
        self.contests: list[_Contest] = []
        self.run: list[tuple[frozenset[str], _Part]] = []
        self.prefix: str | None = ""
        self.ways = 1.0
        self.atoms = 0

    def sequence(self, parts: list[_Part]) -> None:
        """Walk the parts of one branch."""
        for part in parts:
            if part.branches:
                self._group(part)
            else:
                self._atom(part)

    def _group(self, part: _Part) -> None:
        inner = any(_has_choice(one) for branch in part.branches for one in branch) or _ambiguous(part.branches)
        possessive = part.atomic or not part.gives_back
        if part.many and inner and not possessive and not _delimited(part):
            raise _NESTED
        if len(part.branches) > 1 or part.most != 1 or part.least != 1:
            self._no_prefix()
        if part.many:
            outer, self.run = self.run, []
            for branch in part.branches:
                self.sequence(branch)
            self.run = outer
            atoms = list(dict.fromkeys(_atoms(part)))
            self._compete(_Part("|".join(atoms), most=None), frozenset().union(*map(_characters, atoms)))
            return
        for _ in range(max(part.most or 0, 1)):
            for branch in part.branches:
                self.sequence(branch)
            if _ambiguous(part.branches) and not part.atomic:
                self.ways *= len(part.branches)
        if part.most != part.least and part.gives_back:
            self.ways *= (part.most or 0) - part.least + 1

    def _atom(self, part: _Part) -> None:
        self.atoms += 1
        if self.atoms > _MAX_ATOMS:
            raise Failure("the pattern repeats too much inside of repeats")
        characters = _characters(part.atom)
        if part.most != part.least or part.many:
            self._compete(part, characters)
        elif part.least:
            if characters and not any(other & characters for other, _ in self.run):
                self.run = []
            plain = part.atom.removeprefix("\\")
            if self.prefix is not None and part.least == 1 and len(characters) == 1 and characters == {plain}:
                self.prefix += plain
            elif self.prefix is not None and characters:
                self._no_prefix()

    def _no_prefix(self) -> None:
        """What follows is not begun after a fixed text only; a text so far still counts for what follows at once."""
        if self.prefix == "":
            self.prefix = None

    def _compete(self, part: _Part, characters: frozenset[str]) -> None:
        self.run = [*((other, one) for other, one in self.run if other & characters), (characters, part)]
        unbounded = tuple(one.atom for _, one in self.run if one.many)
        ways = math.prod(
            float((one.most or 0) - one.least + 1) for _, one in self.run if not one.many and one.gives_back
        )
        self.contests.append(_Contest(unbounded, ways, self.prefix or ""))
        self._no_prefix()


def _atoms(part: _Part) -> list[str]:
    """The atoms of a part, at any depth."""
    if not part.branches:
        return [part.atom]
    return [atom for branch in part.branches for one in branch for atom in _atoms(one)]


def _delimited(part: _Part) -> bool:
    """Whether each pass of a group has a character that its repeats cannot match, so that it can be cut in one way."""
    if len(part.branches) != 1 or any(one.branches for one in part.branches[0]):
        return False
    repeats = frozenset().union(*(_characters(one.atom) for one in part.branches[0] if one.most != one.least))
    return any(
        one.most == one.least == 1 and (own := _characters(one.atom)) and not own & repeats for one in part.branches[0]
    )


@lru_cache(maxsize=512)
def _characters(atom: str) -> frozenset[str]:
    """Which of the sample characters an atom matches."""
    try:
        single = re.compile(atom, re.DOTALL | re.IGNORECASE)
    except re.error:
        return frozenset(_SAMPLES)
    return frozenset(char for char in _SAMPLES if single.fullmatch(char))


def _affordable(text: str, pattern: Pattern) -> None:
    """Refuse a search that could try too many ways."""
    length = len(text) + 1
    if length > MAX_SEARCHED:
        raise Failure(f"a pattern may be applied to at most {MAX_SEARCHED:,} characters, not {len(text):,}")
    for contest in pattern.contests:
        effort = length * pattern.ways * contest.ways
        if effort * length ** len(contest.atoms) > _EFFORT:
            effort = _entries(text, contest.prefix, pattern) * pattern.ways * contest.ways
            for atom in contest.atoms:
                effort *= _longest(text, atom, pattern.pattern.flags)
        if effort > _EFFORT:
            raise Failure(
                "the pattern could take too long on this text",
                "apply it line by line, `text.splitlines() | map('regex_search', '...')`, or narrow its repeats",
            )
    if length * pattern.ways > _EFFORT:
        raise Failure("the pattern has too many choices for this text", "split it into several patterns")


def _entries(text: str, prefix: str, pattern: Pattern) -> int:
    """How often a contest can be begun: at each occurrence of the plain text before it."""
    if not prefix:
        return len(text) + 1
    if pattern.pattern.flags & re.IGNORECASE:
        return len(text) + 1 if not prefix.isascii() else text.lower().count(prefix.lower())
    return text.count(prefix)


def _longest(text: str, atom: str, flags: int) -> int:
    """The longest stretch of the text that consists of characters that the atom matches."""
    try:
        stretch = re.compile(f"(?:{atom})++", flags & (re.IGNORECASE | re.DOTALL))
    except re.error:
        return len(text)
    return max((found.end() - found.start() for found in stretch.finditer(text)), default=1)


def search(text: str, pattern: Pattern, group: Any) -> str | None:
    """A group of the first match."""
    _affordable(text, pattern)
    if not isinstance(group, int | str):
        raise Failure(f"a group is a number or a name, not {shown(group)}")
    found = pattern.pattern.search(text)
    try:
        return None if found is None else found.group(group)
    except IndexError:
        raise Failure(f"the pattern has no group `{group}`") from None


def find_all(text: str, pattern: Pattern) -> list[Any]:
    """All matches; tuples of groups as lists."""
    _affordable(text, pattern)
    return [list(match) if isinstance(match, tuple) else match for match in pattern.pattern.findall(text)]


def replace(text: str, pattern: Pattern, replacement: str, count: int) -> str:
    """The text with matches replaced, at most `count` of them unless that is 0."""
    _affordable(text, pattern)
    room = MAX_TEXT - len(text)

    def one(found: re.Match[str]) -> str:
        nonlocal room
        new = found.expand(replacement)
        room -= len(new)
        if room < 0:
            raise Failure(f"the text would have more than {MAX_TEXT:,} characters")
        return new

    try:
        return pattern.pattern.sub(one, text, count)
    except (re.error, IndexError) as error:
        raise Failure(f"the replacement `{replacement[:80]}` cannot be used: {error}") from None
