"""Points in time: ISO 8601, with an offset or a named zone, or seconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from math import inf, isnan

from orchestrator.diagnostics import suggest

EARLIEST = 0.0
LATEST = 253_402_300_799.0
"""The range of times to wait for, in seconds since 1970: the years 1970 to 9999, UTC."""

PLAUSIBLE = 946_684_800.0
"""An earlier time, before 2000, is probably an error."""

FORMS = "`2030-12-01T09:00`, `2030-12-01T09:00+01:00`, `2030-12-01T09:00 Europe/Berlin`, or seconds since 1970"

_EPOCH_YEAR = 1970
_LONGEST = 100  # characters

_ZONE = re.compile(r"\A(.*\S)(?:\s*\[([^\[\]]+)\]|\s+([A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*))\Z", re.DOTALL)
_CLOCK = re.compile(
    r"\A(?P<date>[^T ]+)[T ](?P<hour>[0-9]{2})(?P<minute>:?[0-9]{2})?(?P<second>:?[0-9]{2})?"
    r"(?:[.,](?P<part>[0-9]+))?(?P<zone>(?:Z|z|[+-][0-9:.,]+)?)\Z"
)


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 text; without a zone, the `datetime` has none.

    Beyond `datetime.fromisoformat`, the last part may have a fraction whatever it is (`T09.5`, `T09:30.25`), the hour
    may be 24, and a named zone may follow: `2030-12-01T09:00 Europe/Berlin`, `2030-12-01T09:00+01:00[Europe/Berlin]`.
    In a named zone, an ambiguous time is the first of the two, and a skipped time is moved forward by the gap.

    Raises:
        ValueError: The text is not a time; the message has the reason.
    """
    text = text.strip()
    if not text:
        raise ValueError("it is empty")
    if len(text) > _LONGEST:
        raise ValueError("it is not ISO 8601")
    named = _ZONE.match(text)
    if named is None:
        return _parse_plain(text)
    moment, zone = _parse_plain(named[1]), zone_named(named[2] or named[3])
    if moment.tzinfo is None:
        return moment.replace(tzinfo=zone)
    try:
        there = moment.astimezone(zone)
    except OverflowError:
        raise ValueError("it is outside the years 1 to 9999") from None
    if named[2] and moment.utcoffset() not in (there.utcoffset(), timedelta(0)):
        raise ValueError(f"its offset is not that of {zone} at that time")
    if not named[2] and moment.utcoffset() != there.utcoffset():
        raise ValueError(f"it has both an offset and the zone {zone}, and they do not agree")
    return there


def timestamp(value: object) -> float:
    """Return a time in seconds since 1970. A text without a zone is in the local time of this machine.

    Ambiguous and skipped local times are resolved as in named zones.

    Raises:
        ValueError: The value is not a time, or outside the years 1970 to 9999; the message has the reason.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("it is not a text or a number")
    seconds = _seconds_of(parse_time(value)) if isinstance(value, str) else _number(value)
    if seconds < EARLIEST:
        raise ValueError("it is before 1970")
    if seconds <= LATEST:
        return seconds
    unit = None if isinstance(value, str) else _unit(seconds)
    meant = f"; in {unit} it would be {_day(seconds / _UNITS[unit])}" if unit else ""
    raise ValueError(f"it is after the year 9999{meant}")


def in_zone(moment: datetime, name: str) -> datetime:
    """Return a time in a named zone; a time without a zone is in UTC.

    Raises:
        ValueError: The zone is unknown, or the time is too close to an end of the calendar.
    """
    zone = zone_named(name)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zone)
    except OverflowError:
        raise ValueError("it is outside the years 1 to 9999") from None


def _seconds_of(moment: datetime) -> float:
    try:
        return moment.timestamp()
    except (OverflowError, ValueError, OSError):  # too close to an end of the calendar for a zone
        return inf if moment.year > _EPOCH_YEAR else -inf


def _number(value: float) -> float:
    try:
        seconds = float(value)
    except OverflowError:
        return inf if value > 0 else -inf
    return inf if isnan(seconds) else seconds


_UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}


def _unit(seconds: float) -> str | None:
    """Return the unit that a number is probably in."""
    for unit, size in _UNITS.items():
        if PLAUSIBLE <= seconds / size < 4 * PLAUSIBLE:
            return unit
    return None


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _parse_plain(text: str) -> datetime:
    added = timedelta(0)
    clock = _CLOCK.match(text)
    if clock is not None:
        hour, minute, second, part = clock["hour"], clock["minute"], clock["second"], clock["part"]
        if part is not None and second is None:  # a fraction of an hour or of a minute
            added = timedelta(seconds=float(f"0.{part}") * (60 if minute else 3600))
            part = None
        if hour == "24":
            if any(char in "123456789" for char in f"{minute}{second}{part}") or added:
                raise ValueError("24:00 is the end of the day")
            hour, added = "00", timedelta(days=1)
        fraction = f".{part}" if part is not None else ""
        minute = minute or (":00" if "-" in clock["date"] else "00")
        text = f"{clock['date']}T{hour}{minute}{second or ''}{fraction}{clock['zone']}"
    try:
        return datetime.fromisoformat(text) + added
    except OverflowError:
        raise ValueError("it is after the year 9999") from None
    except ValueError:
        raise ValueError("it is not ISO 8601") from None


def zone_named(name: str) -> tzinfo:
    """Return the time zone with this name.

    Raises:
        ValueError: There is none; the message has the reason.
    """
    if name.upper() in ("UTC", "Z"):
        return UTC
    found = _named(name)
    if found is not None:
        return found
    known = _known()
    if not known:
        raise ValueError("this system has no data about time zones; install them with: pip install tzdata")
    exact = known.get(name.casefold())
    near = exact or suggest(name, known.values())
    raise ValueError(f"`{name}` is not a time zone" + (f"; did you mean `{near}`?" if near else ""))


def _named(name: str) -> tzinfo | None:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name, or a directory of zone data
        return None


@cache
def _known() -> dict[str, str]:
    from zoneinfo import available_timezones

    return {name.casefold(): name for name in sorted(available_timezones())}
