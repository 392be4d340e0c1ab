"""Cron expressions in time zones: the instants of a schedule, also on the days when clocks change.

A schedule with a fixed hour and minute has one instant for each local time that it matches: a time that clocks skip
counts at the end of the gap, and one that occurs twice counts the first time. If the hour or the minute begins with
`*`, the schedule repeats as time passes: skipped times have no instant, and times that occur twice have two.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Final

from orchestrator.language.values.times import zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator

_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS: Final = ("a minute", "an hour", "a day of the month", "a month", "a day of the week")
_LONGEST: Final = 200  # characters
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(hours=25)  # no change of clocks repeats a time after longer than that


def cron_problem(expression: str) -> str | None:
    """Return why a text is not a cron expression that matches some time; None if it is one."""
    from cronsim import CronSim, CronSimError

    text = expression.strip()
    if text.startswith("@") and text not in _NICKNAMES:
        return f"the names are {', '.join(_NICKNAMES)}"
    fields = _fields(text)
    if len(fields) != len(_FIELDS) or len(text) > _LONGEST:
        return f"it has {len(fields)} field{'s' if len(fields) != 1 else ''} instead of 5"
    now = datetime(2024, 1, 1)
    for place, field in enumerate(fields):  # the library reports only the first that is wrong, and not where it is
        try:
            CronSim(" ".join(field if at == place else "*" for at in range(len(fields))), now)
        except CronSimError:
            return f"`{field}` is not {_FIELDS[place]}"
    try:
        next(CronSim(" ".join(fields), now))
    except (CronSimError, StopIteration):
        return "it matches no time"
    return None


def zone_problem(name: str) -> str | None:
    """Return why a text is not the name of a time zone; None if it is one."""
    try:
        zone_named(name)
    except ValueError as error:
        return str(error)
    return None


def instants(expression: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the instants of a schedule after a time, in order and in its time zone. The expression must be valid."""
    place, fields = zone_named(zone), _fields(expression)
    repeats = fields[0].startswith("*") or fields[1].startswith("*")
    latest = after.astimezone(UTC)
    times = _local_times(fields, place, latest)
    for moment in _as_time_passes(times, place) if repeats else _once_each(times, place):
        if moment > latest:
            latest = moment
            yield moment.astimezone(place)


def next_instants(expression: str, zone: str, after: float, count: int) -> list[datetime]:
    """Return the next instants of a schedule after a time in seconds since the epoch, at most `count`."""
    return list(islice(instants(expression, zone, datetime.fromtimestamp(after, UTC)), count))


def _fields(expression: str) -> list[str]:
    text = expression.strip()
    return _NICKNAMES.get(text, text).split()


def _local_times(fields: list[str], zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Yield the local times that match, without a zone, from the first that can be after an instant."""
    from cronsim import CronSim

    start = min(
        after.astimezone(zone), (after + _DAY).astimezone(zone) - _DAY, key=lambda time: time.replace(tzinfo=None)
    )
    return CronSim(" ".join(fields), start.replace(tzinfo=None))


def _once_each(times: Iterator[datetime], zone: tzinfo) -> Iterator[datetime]:
    """Yield the first instant of each local time; that of a skipped one is the end of the gap."""
    for time in times:
        while not _exists(time.replace(tzinfo=zone)):
            time += _MINUTE
        yield time.replace(tzinfo=zone).astimezone(UTC)


def _as_time_passes(times: Iterator[datetime], zone: tzinfo) -> Iterator[datetime]:
    """Yield every instant of each local time that is not skipped, in order."""
    again: list[datetime] = []
    for time in times:
        first = time.replace(tzinfo=zone)
        if not _exists(first):
            continue
        instant, second = first.astimezone(UTC), first.replace(fold=1).astimezone(UTC)
        while again and again[0] < instant:
            yield heappop(again)
        yield instant
        if second != instant:
            heappush(again, second)


def _exists(time: datetime) -> bool:
    """Whether clocks in the zone of a time show it at some instant."""
    return time.astimezone(UTC).astimezone(time.tzinfo).replace(tzinfo=None) == time.replace(tzinfo=None)
