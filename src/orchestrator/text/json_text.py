"""JSON by RFC 8259, read without silent loss: text that JSON readers interpret differently is an error."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

MAX_DIGITS: Final = 300
"""The maximum number of digits of an integer."""

_ODD_NUMBER: Final = re.compile(rf"(?<![0-9])[0-9]{{{MAX_DIGITS + 1}}}|[0-9][eE]\+?[0-9]{{3}}")
_HALF: Final = re.compile("[\ud800-\udfff]")
_HALF_OR_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]|" + _HALF.pattern)


class NotJsonText(ValueError):
    """A text is not JSON; the message has the reason. `position` is the offset of the error, if it is known."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


def read_json(text: str, *, unique: bool = True) -> Any:
    r"""Return the value of a JSON text, which may start with a byte order mark.

    Lone surrogates, as in `"\ud83d"`, become U+FFFD, because no file can contain them. Without `unique`, the last of
    several values of a key is used.

    Raises:
        NotJsonText: It is not JSON, is nested too deeply, has a duplicate key in an object (some readers use the first
            value, some the last), or has a number that JSON cannot represent: NaN, infinity, `1e400`, an integer of
            more than 300 digits.
    """
    text = text.removeprefix("\ufeff")
    # The plain calls are several times faster, and sufficient for most texts.
    hooks: dict[str, Any] = {"object_pairs_hook": _object} if unique else {}
    if _ODD_NUMBER.search(text):
        hooks |= {"parse_float": finite, "parse_int": integer}
    try:
        value = json.loads(text, parse_constant=_refuse, **hooks)
    except NotJsonText:
        raise
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        where = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise NotJsonText(f"{reason.removesuffix(' at')} at {where}", error.pos) from None
    except RecursionError:
        raise NotJsonText("it is nested too deeply") from None
    return valid_unicode(value) if _HALF_OR_ESCAPE.search(text) else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    raise NotJsonText(f"the key `{shortened(twice)}` stands twice in one object")


def finite(number: str) -> float:
    """Return the number of a text of digits. Raises NotJsonText if it is too large."""
    value = float(number)
    if math.isfinite(value):
        return value
    raise NotJsonText(f"the number {shortened(number)} is too large")


def integer(digits: str) -> int:
    """Return the integer of a text of digits. Raises NotJsonText if there are too many."""
    count = len(digits.lstrip("+-"))
    if count <= MAX_DIGITS:
        return int(digits)
    raise NotJsonText(
        f"the integer {shortened(digits)} has {count:,} digits, and at most {MAX_DIGITS} are read; "
        "put it in quotes if text is meant"
    )


def shortened(number: str) -> str:
    """Return the text of a number or a key, shortened if it is long."""
    return number if len(number) <= 24 else f"{number[:20]}..."


def _refuse(word: str) -> Any:
    raise NotJsonText(f"{word} is not JSON")


def valid_unicode(value: Any) -> Any:
    """Return JSON data whose strings are valid Unicode: pairs of surrogates are joined, single ones replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _HALF.search(value) else value
    if isinstance(value, dict):
        return {valid_unicode(key): valid_unicode(item) for key, item in value.items()}
    return [valid_unicode(item) for item in value] if isinstance(value, list) else value
