"""Words for people: lists, plurals, articles, and values cut to the length of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_DIGITS: Final = 10**40  # Python refuses to write integers of more than 4,300 digits
_TEXT_SHOWN: Final = 40


def plural(count: int, noun: str, plural_noun: str | None = None) -> str:
    """Return a count with its noun: `1 step`, `2,000 steps`."""
    return f"{count:,} {noun if count == 1 else plural_noun or f'{noun}s'}"


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article: `a step`, `an input`."""
    return f"an {noun}" if noun[:1] in tuple("aeiou") else f"a {noun}"


def word_list(words: Iterable[str], last: str = "and") -> str:
    """Return words as a list in a sentence: `a, b and c`."""
    *most, end = [*words] or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def quoted_list(names: Iterable[object], *, last: str | None = None, most: int | None = None) -> str:
    """Return names in backticks: `a`, `b`, `c`.

    Args:
        names: The names, in order.
        last: The word before the last name, such as "or"; a comma if it is None.
        most: The maximum number of names; the rest is replaced by `...`.
    """
    quoted = [f"`{name}`" for name in names]
    if most is not None and len(quoted) > most:
        return f"{', '.join(quoted[:most])}, ..."
    return ", ".join(quoted) if last is None else word_list(quoted, last)


def shorten(text: str, limit: int = 60) -> str:
    """Return a text on one line; one of more than `limit` characters is cut, and ends in `…`."""
    piece = " ".join(text[: 4 * limit].split())
    return piece if len(piece) <= limit and len(text) <= 4 * limit else piece[: limit - 1] + "…"


def bounded(text: str, most: int) -> str:
    """Return a text of at most about `most` characters, with the number of those omitted from its middle."""
    if len(text) <= most:
        return text
    last = most // 5
    return f"{text[: most - last]} … ({len(text) - most:,} characters left out) … {text[-last:]}"


def describe_value(value: Any) -> str:
    """Return a JSON value as a message names it: the string `three`, the integer `5`, a list."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "`true`", False: "`false`"}[value]
    if isinstance(value, int) and abs(value) >= _MOST_DIGITS:
        return "an integer of more than 40 digits"
    if isinstance(value, int | float):
        return f"the {'integer' if isinstance(value, int) else 'number'} `{value}`"
    if isinstance(value, str):
        if not value.strip():
            return "a blank string" if value else "an empty string"
        return f"the string `{shorten(value, _TEXT_SHOWN)}`"
    return "an object" if isinstance(value, dict) else "a list"


def byte_size(number: float) -> str:
    """Return a number of bytes in a suitable unit: `512 bytes`, `1.4 MB`."""
    if number < 1000:
        return f"{number:g} bytes"
    unit = "kB"
    for larger in ("MB", "GB"):
        if number < 1_000_000:
            break
        number, unit = number / 1000, larger
    return f"{number / 1000:.3g} {unit}"
