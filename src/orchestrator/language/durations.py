"""Durations as people write them: `30`, `1.5`, `30s`, `5m`, `1h30m`, `250ms`, `2d`."""

from __future__ import annotations

import math
import re

from orchestrator.language.autos import AUTO

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WORDS = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
}
_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([a-z]+)")
_NUMBER = re.compile(r"\s*(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*\Z")

FORMS = "a number of seconds, or a text such as `30s`, `5m`, `1h30m`, `250ms`"

# The JSON Schema's pattern for the text forms.
PATTERN = r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+|((([0-9]+(\.[0-9]+)?)|\.[0-9]+)\s*[A-Za-z]+\s*)+)\s*$"


def parse_duration(value: object) -> float:
    """Return a duration in seconds.

    Raises:
        ValueError: the value is no duration; the message says why in plain words.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("it is not a number or a text")
    if not isinstance(value, str):
        return _checked(float(value))
    text = value.strip().lower()
    if not text:
        raise ValueError("it is empty")
    if _NUMBER.match(text):
        return _checked(float(text))
    seconds = 0.0
    place = 0
    seen: list[str] = []
    while place < len(text):
        part = _PART.match(text, place)
        if part is None:
            raise ValueError(
                "it is negative" if text.startswith("-") else f"`{text[place:].strip()}` is not understood"
            )
        unit = _WORDS.get(part[2])
        if unit is None:
            raise ValueError(f"`{part[2]}` is no unit of time; there are ms, s, m, h, d")
        if unit in seen:
            raise ValueError(f"the unit `{unit}` is given twice")
        seen.append(unit)
        seconds += float(part[1]) * _UNITS[unit]
        place = part.end()
    return _checked(seconds)


def duration_or_template(value: object) -> float | str:
    """Return a duration in seconds, or a text with a template, or an `<AUTO>`, as it is.

    Raises:
        ValueError: the value is neither; the message says why in plain words.
    """
    return value if isinstance(value, str) and ("{{" in value or AUTO in value) else parse_duration(value)


def _checked(seconds: float) -> float:
    if seconds < 0:
        raise ValueError("it is negative")
    if not math.isfinite(seconds) or seconds > 100 * 365 * 86400:
        raise ValueError("it is longer than a hundred years")
    return seconds


def format_duration(seconds: float) -> str:
    """Return a duration the way a pipeline would write it: `1h30m`, `2.5s`, `250ms`."""
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
