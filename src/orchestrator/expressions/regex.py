"""Regular expressions that cannot hang a run.

A backtracking matcher can take exponential time when a repeat stands inside of a repeat, so such patterns are refused
unless the inner one gives nothing back (`a++`, `(?>...)`). What is left is polynomial: repeats that can share out the
same characters between them. Their number bounds the length of the text that is searched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from orchestrator.expressions.fitting import shown
from orchestrator.expressions.limits import MAX_PATTERN, MAX_SEARCHED, MAX_TEXT
from orchestrator.expressions.scope import Failure

_MANY: Final = 10
"""A repeat of up to more than this counts as unbounded."""

_REACH: Final = (MAX_SEARCHED, 50_000, 2_000, 500)
"""Characters that may be searched, by the number of repeats that can share characters with what follows them."""

_ATOM = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P?<[^=!][^>]*>|[a-zA-Z-]*:|[=!>]|<[=!]))?|[)|]|.", re.DOTALL
)
_REPEAT = re.compile(r"(?:(?P<sign>[*+?])|\{(?P<low>\d*)(?P<comma>,?)(?P<high>\d*)\})(?P<mode>[+?]?)")
_SAMPLES: Final = "".join(map(chr, range(128))) + "éßжя漢あ٣\u00a0\u2028😀"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern and the number of characters that it may be applied to."""

    pattern: re.Pattern[str]
    reach: int


@dataclass(slots=True)
class _Level:
    """One group while the pattern is read. `first` holds the first characters of the branches, or None if unclear."""

    atomic: bool = False
    variable: bool = False
    branches: int = 1
    first: list[str | None] | None = None
    fresh: bool = True


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
    return Pattern(built, _REACH[min(_contention(pattern), len(_REACH) - 1)])


def _contention(pattern: str) -> int:
    """The most repeats in a row that can share characters between them; refuses a repeat inside of a repeat."""
    levels = [_Level()]
    run: list[frozenset[str]] = []
    most = 0
    position, length = 0, len(pattern)
    while position < length:
        found = _ATOM.match(pattern, position)
        assert found is not None  # noqa: S101 - the last alternative takes any character
        atom, position = found.group(), found.end()
        level = levels[-1]
        if atom[0] == "(":
            _begin(level, None)
            levels.append(_Level(atomic=atom == "(?>"))
            continue
        if atom == "|":
            level.branches += 1
            level.fresh = True
            continue
        closed = levels.pop() if atom == ")" and len(levels) > 1 else None
        level = levels[-1]
        if closed is None:
            _begin(level, atom)
        least, many, variable, gives_back, position = _repeat(pattern, position)
        if closed is not None:
            inner = (closed.variable or _ambiguous(closed)) and not closed.atomic
            if many and inner:
                raise Failure(
                    "a repeat stands inside of a repeat, which can take forever",
                    "make the inner one give nothing back: `(?:a++)*` instead of `(?:a+)*`",
                )
            level.variable = level.variable or inner or (variable and gives_back)
            continue
        level.variable = level.variable or (variable and gives_back)
        characters = _characters(atom)
        if many and gives_back:
            run = [*(other for other in run if other & characters), characters]
            most = max(most, len(run) - (position == length))
        elif least and not any(other & characters for other in run):
            run = []
    return most


def _begin(level: _Level, atom: str | None) -> None:
    if level.fresh:
        level.first = [*(level.first or []), atom]
        level.fresh = False


def _ambiguous(level: _Level) -> bool:
    """Whether two branches could match the same text: unless all begin with different plain characters."""
    if level.branches == 1:
        return False
    starts = level.first or []
    if len(starts) != level.branches:
        return True
    plain = [start for start in starts if start is not None and (start.isalnum() or start in " ,;:-_/@#\"'=<>!%&~")]
    return len(set(plain)) != level.branches


def _repeat(pattern: str, position: int) -> tuple[int, bool, bool, bool, int]:
    """What repeats the atom before `position`: least number, many?, variable?, gives characters back?, and its end."""
    found = _REPEAT.match(pattern, position)
    if found is None or (found["sign"] is None and not (found["low"] or found["high"])):
        return 1, False, False, True, position
    if found["sign"]:
        least = int(found["sign"] == "+")
        most = 1 if found["sign"] == "?" else None
    else:
        least = int(found["low"] or 0)
        most = least if not found["comma"] else int(found["high"]) if found["high"] else None
    many = most is None or most > _MANY
    return least, many, most != least, found["mode"] != "+", found.end()


@lru_cache(maxsize=512)
def _characters(atom: str) -> frozenset[str]:
    """Which of the sample characters an atom matches."""
    try:
        single = re.compile(atom, re.DOTALL | re.IGNORECASE)
    except re.error:
        return frozenset(_SAMPLES)
    return frozenset(char for char in _SAMPLES if single.match(char))


def _within_reach(text: str, pattern: Pattern) -> None:
    if len(text) > pattern.reach:
        raise Failure(
            f"the text has {len(text):,} characters; this pattern may be applied to {pattern.reach:,}",
            "cut the text, or write repeats that give nothing back: `\\w++`",
        )


def search(text: str, pattern: Pattern, group: Any) -> str | None:
    """A group of the first match."""
    _within_reach(text, pattern)
    if not isinstance(group, int | str):
        raise Failure(f"a group is a number or a name, not {shown(group)}")
    found = pattern.pattern.search(text)
    try:
        return None if found is None else found.group(group)
    except IndexError:
        raise Failure(f"the pattern has no group `{group}`") from None


def find_all(text: str, pattern: Pattern) -> list[Any]:
    """All matches; tuples of groups as lists."""
    _within_reach(text, pattern)
    return [list(match) if isinstance(match, tuple) else match for match in pattern.pattern.findall(text)]


def replace(text: str, pattern: Pattern, replacement: str, count: int) -> str:
    """The text with matches replaced, at most `count` of them unless that is 0."""
    _within_reach(text, pattern)
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
