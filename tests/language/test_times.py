"""Times and durations as people, programs and standards write them."""

from datetime import UTC, datetime

import pytest

from orchestrator.expressions import Scope, parse_template
from orchestrator.language.values.times import in_zone, parse_time, timestamp
from orchestrator.text.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1H30M", 5400),
        ("P1DT12H", 129_600),
        ("P2W", 1_209_600),
        ("PT0.5H", 1800),
        ("PT0,5H", 1800),
        ("PT1M1.25S", 61.25),
        ("pt5s", 5),
        ("1.5h", 5400),
        ("0.25m", 15),
        ("2 weeks", 1_209_600),
    ],
)
def test_durations_may_be_iso_8601_and_have_fractions(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("P", "is not an ISO 8601 duration"),
        ("PT", "is not an ISO 8601 duration"),
        ("P1M", "no fixed length"),
        ("P1Y", "no fixed length"),
        ("PT1.5H30M", "only the last part"),
        ("-PT1H", "negative"),
        (10**400, "longer than 100 years"),
        (float("nan"), "longer than 100 years"),
    ],
)
def test_what_is_not_a_duration_is_refused_in_words(text: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-12-01T09:00Z", "2026-12-01T09:00:00"),
        ("2026-12-01T09.5Z", "2026-12-01T09:30:00"),
        ("2026-12-01T09:30.25Z", "2026-12-01T09:30:15"),
        ("2026-12-01T09:30,5Z", "2026-12-01T09:30:30"),
        ("20261201T093015.5Z", "2026-12-01T09:30:15.500000"),
        ("2026-12-01T24:00Z", "2026-12-02T00:00:00"),
        ("2026-W49-2T09:00Z", "2026-12-01T09:00:00"),
        ("2026-12-01T09:00 Europe/Berlin", "2026-12-01T08:00:00"),
        ("2026-07-01T09:00 Europe/Berlin", "2026-07-01T07:00:00"),
        ("2026-12-01T09:00[America/New_York]", "2026-12-01T14:00:00"),
        ("2026-12-01T09:00+01:00[Europe/Berlin]", "2026-12-01T08:00:00"),
        ("2026-12-01 09:00 UTC", "2026-12-01T09:00:00"),
    ],
)
def test_times_may_have_fractions_and_named_zones(text: str, utc: str) -> None:
    assert in_zone(parse_time(text), "UTC").replace(tzinfo=None).isoformat() == utc
    assert timestamp(text) == timestamp(f"{utc}Z")


@pytest.mark.parametrize(
    ("shown", "utc"),
    [
        ("2026-10-25T02:30 Europe/Berlin", "2026-10-25T00:30Z"),  # the clock shows it twice: the first
        ("2026-10-25T02:30+01:00[Europe/Berlin]", "2026-10-25T01:30Z"),  # an offset says which
        ("2026-03-29T02:30 Europe/Berlin", "2026-03-29T01:30Z"),  # skipped: as much later as is skipped
        ("2026-11-01T01:30 America/New_York", "2026-11-01T05:30Z"),
        ("2026-03-08T02:30 America/New_York", "2026-03-08T07:30Z"),
    ],
)
def test_when_clocks_change_the_first_of_two_counts_and_what_is_skipped_is_later(shown: str, utc: str) -> None:
    assert timestamp(shown) == timestamp(utc)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0001-01-01T00:00:00", "before 1970"),
        ("0001-01-01T00:00:00+14:00", "before 1970"),
        (-1, "before 1970"),
        ("9999-12-31T23:59:59-12:00", "after the year 9999"),
        ("9999-12-31T24:00", "after the year 9999"),
        (10**400, "after the year 9999"),
        (float("nan"), "after the year 9999"),
        (1_795_958_216_000, "in milliseconds it would be 2026-11-29"),
        (1_795_958_216_000_000, "in microseconds it would be 2026-11-29"),
        ("2026-12-01T09:00 europe/berlin", "did you mean `Europe/Berlin`"),
        ("2026-12-01T09:00 Europe", "not a time zone"),
        ("2026-12-01T09:00+05:00[Europe/Berlin]", "its offset is not that of Europe/Berlin"),
        ("tomorrow", "not ISO 8601"),
        ("2026-12-01T24:01", "the end of the day"),
        ("", "empty"),
        (None, "not a text or a number"),
        (True, "not a text or a number"),
    ],
)
def test_what_is_not_a_time_to_wait_for_is_refused_in_words(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        timestamp(value)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("'2026-07-01T09:00Z' | date('%H:%M %Z', zone='Europe/Berlin')", "11:00 CEST"),
        ("'2026-12-01T09:00Z' | date('%H:%M', 'America/New_York')", "04:00"),
        ("'2026-12-01T09:00 Europe/Berlin' | date('%H:%M', zone='UTC')", "08:00"),
        ("'2026-12-01T09.5Z' | date('%H:%M')", "09:30"),
        ("0 | date('%H:%M', zone='Asia/Tokyo')", "09:00"),
    ],
)
def test_the_filter_date_shows_times_in_named_zones(expression: str, text: str) -> None:
    assert parse_template(f"{{{{ {expression} }}}}").evaluate(Scope({}, datetime(2026, 2, 3, tzinfo=UTC))) == text
