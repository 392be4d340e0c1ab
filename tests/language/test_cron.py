"""The instants of schedules, in every time zone and at every change of its clocks."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise, takewhile

import pytest

from orchestrator.language.values.cron import cron_problem, instants, next_instants, zone_problem

MINUTE = timedelta(minutes=1)
WINDOW = timedelta(hours=13)


@cache
def changes() -> list[tuple[str, datetime]]:
    """Every change of clocks from 2010 to 2030 in all zones, of those that are the same one."""
    found: dict[tuple[datetime, timedelta | None, timedelta | None], str] = {}
    for name in sorted(zoneinfo.available_timezones()):
        zone = zoneinfo.ZoneInfo(name)
        last = datetime(2010, 1, 1, tzinfo=UTC)
        while last.year < 2031:
            later = last + timedelta(days=7)
            if later.astimezone(zone).utcoffset() != last.astimezone(zone).utcoffset():
                low, high = last, later
                while high - low > MINUTE:
                    middle = low + (high - low) // (2 * MINUTE) * MINUTE
                    same = middle.astimezone(zone).utcoffset() == last.astimezone(zone).utcoffset()
                    low, high = (middle, high) if same else (low, middle)
                found.setdefault((high, low.astimezone(zone).utcoffset(), high.astimezone(zone).utcoffset()), name)
            last = later
    return [(name, moment) for (moment, _, _), name in found.items()]


def local_times(zone: zoneinfo.ZoneInfo, moment: datetime) -> list[tuple[datetime, datetime]]:
    """Each minute around a moment, with what clocks show then."""
    first = moment - WINDOW
    minutes = [first + number * MINUTE for number in range(2 * int(WINDOW / MINUTE) + 1)]
    return [(minute, minute.astimezone(zone).replace(tzinfo=None)) for minute in minutes]


def found_between(expression: str, name: str, start: datetime, end: datetime) -> list[datetime]:
    found = (each.astimezone(UTC) for each in instants(expression, name, start))
    return list(takewhile(lambda each: each <= end, found))


def found_in_window(expression: str, name: str, moment: datetime) -> list[datetime]:
    return found_between(expression, name, moment - WINDOW - MINUTE, moment + WINDOW)


def once_each(shown: list[tuple[datetime, datetime]], hour: int, minute: int) -> set[datetime]:
    """The rule for a fixed time, by looking at every minute: the first that shows it, else the end of the gap."""
    first: dict[datetime, datetime] = {}
    for instant, time in shown:
        first.setdefault(time, instant)
    gaps = {time: before for (_, before), (_, time) in pairwise(shown) if time - before > MINUTE}
    found = {instant for time, instant in first.items() if (time.hour, time.minute) == (hour, minute)}
    for end, before in gaps.items():
        skipped = (before + number * MINUTE for number in range(1, int((end - before) / MINUTE)))
        if any((time.hour, time.minute) == (hour, minute) for time in skipped):
            found.add(first[end])
    return found


REPEATING = {
    "*/15 * * * *": lambda time: time.minute % 15 == 0,
    "7 */2 * * *": lambda time: time.minute == 7 and time.hour % 2 == 0,
    "*/20 0,2,3 * * *": lambda time: time.minute % 20 == 0 and time.hour in (0, 2, 3),
}


def test_fixed_times_fire_once_and_repeating_schedules_as_time_passes_at_every_change_of_clocks():
    for name, moment in changes():
        shown = local_times(zoneinfo.ZoneInfo(name), moment)
        unchanged = (moment - MINUTE).astimezone(zoneinfo.ZoneInfo(name)).replace(tzinfo=None) + MINUTE
        for minutes in (-30, 0, 30):
            at = unchanged + minutes * MINUTE
            expected = sorted(once_each(shown, at.hour, at.minute))
            assert found_in_window(f"{at.minute} {at.hour} * * *", name, moment) == expected, (name, moment, at)
        for expression, matches in REPEATING.items():
            expected = [instant for instant, time in shown if matches(time)]
            assert found_in_window(expression, name, moment) == expected, (name, moment, expression)


def test_the_instants_after_any_moment_are_those_that_are_left():
    for name, moment in changes()[::7]:
        for expression in ("*/10 * * * *", "30 2 * * *", "0 0 * * *", "15,45 1,2 * * *"):
            whole = found_in_window(expression, name, moment)
            for minutes in (-91, -1, 0, 1, 29, 61):
                start = moment + minutes * MINUTE
                left = found_between(expression, name, start, moment + WINDOW)
                assert left == [each for each in whole if each > start], (name, moment, expression, minutes)


def test_a_day_of_the_stated_rule():
    assert next_of("30 2 * * *", "2026-03-28T12:00:00+01:00") == [  # 02:00 to 03:00 is skipped on 29 March
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert next_of("30 2 * * *", "2026-10-24T12:00:00+02:00") == [  # and shown twice on 25 October
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]
    assert next_of("30 * * * *", "2026-10-25T02:00:00+02:00") == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:30:00+01:00",
    ]
    assert next_of("@monthly", "2026-10-25T02:00:00+02:00") == [
        "2026-11-01T00:00:00+01:00",
        "2026-12-01T00:00:00+01:00",
    ]


def next_of(expression: str, after: str) -> list[str]:
    moment = datetime.fromisoformat(after).timestamp()
    return [each.isoformat() for each in next_instants(expression, "Europe/Berlin", moment, 2)]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("0 2 * *", "it has 4 fields instead of 5"),
        ("0 0 2 * * *", "it has 6 fields instead of 5"),
        ("61 2 * * *", "`61` is not a minute"),
        ("0 25 * * *", "`25` is not an hour"),
        ("0 2 * * someday", "`someday` is not a day of the week"),
        ("0 0 31 2 *", "it matches no time"),
        ("@nightly", "the names are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"),
        ("", "it has 0 fields instead of 5"),
    ],
)
def test_what_is_wrong_with_an_expression_is_said(expression: str, problem: str):
    assert cron_problem(expression) == problem


@pytest.mark.parametrize("expression", ["15 3 * * 1-5", "0 0 L * *", "0 9 * * mon#1", "@daily", " 0  0 1 jan * "])
def test_expressions_of_cron_are_accepted(expression: str):
    assert cron_problem(expression) is None


def test_an_unknown_zone_is_said():
    assert zone_problem("Europe/Berlin") is None
    assert zone_problem("UTC") is None
    assert zone_problem("Europe/Berln") == "`Europe/Berln` is not a time zone; did you mean `Europe/Berlin`?"
