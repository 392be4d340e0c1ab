"""Durations: `30`, `1.5`, `30s`, `5m`, `1h30m`, `250ms`, `2d`; and as ISO 8601: `PT1H30M`."""

from __future__ import annotations

import math
import re

from orchestrator.text.words import shorten

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_WORDS = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([a-z]+)")
_NUMBER = re.compile(r"\s*(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*\Z")
_AMOUNT = r"[0-9]+(?:[.,][0-9]+)?"
_ISO = re.compile(
    rf"\Ap(?!\Z)(?:(?P<y>{_AMOUNT})y)?(?:(?P<months>{_AMOUNT})m)?(?:(?P<w>{_AMOUNT})w)?(?:(?P<d>{_AMOUNT})d)?"
    rf"(?:t(?!\Z)(?:(?P<h>{_AMOUNT})h)?(?:(?P<m>{_AMOUNT})m)?(?:(?P<s>{_AMOUNT})s)?)?\Z"
)

_SHOWN = 40  # characters shown of an invalid text

FORMS = "a number of seconds, or a text such as `30s`, `5m`, `1h30m`, `250ms`, `PT1H30M`"

# The JSON Schema pattern of the text forms.
PATTERN = r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+|((([0-9]+(\.[0-9]+)?)|\.[0-9]+)\s*[A-Za-z]+\s*)+|[Pp][0-9A-Za-z.,]+)\s*$"


def parse_duration(value: object) -> float:
    """Return a duration in seconds.

    Raises:
        ValueError: The value is not a duration; the message has the reason.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("it is not a number or a text")
    if not isinstance(value, str):
        return _checked(_number(value))
    text = value.strip().lower()
    if not text:
        raise ValueError("it is empty")
    if text.startswith("p"):
        return _checked(_iso(text))
    if _NUMBER.match(text):
        return _checked(float(text))
    seconds = 0.0
    place = 0
    seen: list[str] = []
    while place < len(text):
        part = _PART.match(text, place)
        if part is None:
            raise ValueError(
                "it is negative"
                if text.startswith("-")
                else f"`{shorten(text[place:].strip(), _SHOWN)}` is not understood"
            )
        unit = _WORDS.get(part[2])
        if unit is None:
            raise ValueError(f"`{shorten(part[2], _SHOWN)}` is not a unit of time; the units are ms, s, m, h, d, w")
        if unit in seen:
            raise ValueError(f"it has the unit `{unit}` twice")
        seen.append(unit)
        seconds += float(part[1]) * _UNITS[unit]
        place = part.end()
    return _checked(seconds)


def _iso(text: str) -> float:
    """Read an ISO 8601 duration. A day is 24 hours; the last part may have a fraction."""
    found = _ISO.match(text)
    if found is None:
        raise ValueError(f"`{shorten(text.upper(), _SHOWN)}` is not an ISO 8601 duration, such as `PT1H30M` or `P2D`")
    given = {unit: amount for unit, amount in found.groupdict().items() if amount is not None}
    if "y" in given or "months" in given:
        raise ValueError("years and months have no fixed length; use days")
    if any("." in amount or "," in amount for amount in list(given.values())[:-1]):
        raise ValueError("only the last part of an ISO 8601 duration may have a fraction")
    return sum(float(amount.replace(",", ".")) * _UNITS[unit] for unit, amount in given.items())


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf


def _checked(seconds: float) -> float:
    if seconds < 0:
        raise ValueError("it is negative")
    if not math.isfinite(seconds) or seconds > 100 * 365 * 86400:
        raise ValueError("it is longer than 100 years")
    return seconds


def format_duration(seconds: float) -> str:
    """Return a duration in the notation of pipelines: `1h30m`, `2.5s`, `250ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    parts = []
    rest = seconds
    for unit in ("d", "h", "m"):
        count = int(rest // _UNITS[unit])
        rest -= count * _UNITS[unit]
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{rest:g}s")
    return "".join(parts)
