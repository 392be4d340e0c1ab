"""What a provider lets one know of its limits: in an answer's headers, and by refusing to answer."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.text.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

HALVED = 2.0
"""By what the pace goes down when a provider refuses."""

RECOVERY = 60.0
"""Seconds in which the pace rises again by what it was."""

FORGOTTEN = 300.0
"""Seconds without another refusal after which a provider is asked at any pace again."""

SLOWEST = 1 / 60
"""Calls per second below which the pace does not go."""

PAUSE = 1.0
"""Seconds to leave a provider alone that does not say for how long."""

NAMES = ("x-ratelimit", "anthropic-ratelimit")
"""How the names of headers begin that tell of limits."""

_UNTOLD = 60.0  # for how long it counts that something is used up, where no time is given


class Level(Struct, frozen=True):
    """What a provider reported as left at a time, refilled by `rate` per second up to `most`; ignored after `until`."""

    left: float
    at: float
    rate: float
    most: float
    until: float

    def ready_at(self, need: float, now: float) -> float:
        """Return when there will be as much as needed."""
        if now >= self.until:
            return now
        lacking = min(need, self.most) - self._now(now)
        if lacking <= 0:
            return now
        return min(self.until, now + lacking / self.rate) if self.rate else self.until

    def after(self, spent: float, now: float) -> Level:
        """Return what is left when so much is spent."""
        return replace(self, left=self._now(now) - spent, at=now)

    def _now(self, now: float) -> float:
        return min(self.most, self.left + self.rate * max(0.0, now - self.at))


class Pace(Struct, frozen=True):
    """How fast a provider is asked that has refused: `rate` a second at `since`, and then faster."""

    rate: float
    since: float
    lowered: float

    def at(self, now: float) -> float:
        """Return the calls per second."""
        return self.rate * (1 + max(0.0, now - self.since) / RECOVERY)


class Gate(Struct, frozen=True):
    """What one model's provider has let know. `last` is when it was asked last. Times are the event loop's."""

    closed: float = 0.0
    last: float = float("-inf")
    pace: Pace | None = None
    requests: Level | None = None
    tokens: Level | None = None

    def ready_at(self, tokens: int, now: float) -> tuple[float, str]:
        """Return when the model may be asked, `now` at the earliest, and what stands against it until then."""
        ready = (now, "")
        if self.closed > now:
            ready = max(ready, (self.closed, "rate-limited by the provider"))
        if self.pace is not None and now < self.pace.since + FORGOTTEN:
            ready = max(ready, (self.last + 1 / self.pace.at(now), "it was called too often"))
        for level, need, name in ((self.requests, 1, "requests"), (self.tokens, tokens, "tokens")):
            if level is not None:
                ready = max(ready, (level.ready_at(need, now), f"it has no {name} left"))
        return ready if ready[0] > now else (now, "")

    def after(self, tokens: int, now: float) -> Gate:
        """Return the gate when the model is being asked."""
        return replace(
            self,
            last=now,
            requests=self.requests and self.requests.after(1, now),
            tokens=self.tokens and self.tokens.after(tokens, now),
        )

    def refused(self, now: float, observed: float, retry_after: float | None) -> Gate:
        """Return the gate when the provider has refused. `observed` is how fast it was asked, in calls per second.

        Of calls that were on their way together each may be refused; together they slow things down once.
        """
        closed = max(self.closed, now + (PAUSE if retry_after is None else max(0.0, retry_after)))
        pace = self.pace if self.pace is not None and now < self.pace.since + FORGOTTEN else None
        if pace is None or self.last > pace.lowered:
            rate = max(SLOWEST, (observed if pace is None else pace.at(now)) / HALVED)
            pace = Pace(rate, closed, now)
        else:
            pace = replace(pace, since=max(pace.since, closed))
        return replace(self, closed=closed, pace=pace)

    def told(self, headers: Mapping[str, str], now: float, clock: float) -> Gate:
        """Return the gate when an answer came with these headers. `clock` is the time in seconds since the epoch."""
        found = {name.lower(): value for name, value in headers.items()}
        return replace(
            self,
            requests=_level(found, "requests", now, clock) or self.requests,
            tokens=_level(found, "tokens", now, clock) or self.tokens,
        )


def rate_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return those headers of an answer that tell of limits."""
    return {name.lower(): value for name, value in (headers or {}).items() if name.lower().startswith(NAMES)}


def _level(headers: Mapping[str, str], kind: str, now: float, clock: float) -> Level | None:
    # Providers fill up steadily, and say when they will be full. So one need not wait for that.
    for of in (f"x-ratelimit-{{}}-{kind}", f"anthropic-ratelimit-{kind}-{{}}"):
        left = _number(headers.get(of.format("remaining")))
        if left is None:
            continue
        most = _number(headers.get(of.format("limit")))
        reset = _seconds(headers.get(of.format("reset")), clock)
        if most is None or most < left or reset is None or reset <= 0:
            return Level(left, now, 0.0, max(left, 1.0), now + (_UNTOLD if reset is None else max(0.0, reset)))
        return Level(left, now, (most - left) / reset, most, now + reset)
    return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _seconds(text: str | None, clock: float) -> float | None:
    """Return how long it is until a time that is given as a duration, a date, or seconds since the epoch."""
    if not text:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text).timestamp() - clock
        except ValueError:
            return None
    return seconds - clock if seconds > clock / 2 else seconds
