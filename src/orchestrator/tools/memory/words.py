"""The words of a value: what a search of the memory looks for, and in."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST: Final = 20
_WORD: Final = re.compile(r"\w+")


def words_of_query(query: str) -> list[str]:
    """Return the different words of a query, as they are in the texts of values; only the first ones of many."""
    return list(dict.fromkeys(_WORD.findall(_folded(query))))[:_MOST]


def searched_text(key: str, value: Any) -> str:
    """Return what a search looks in: the key, and the texts, numbers and field names of the value."""
    return _folded("\n".join([key, *_texts(value)]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
