"""How much was spent at a provider in the last minute, by the second, and which of those who wait may spend more.

Whatever was spent in a second counts until 60 seconds after that second has ended. So no minute, wherever it begins,
holds more than the limit; what is kept does not grow with the number of tokens; and at most a sixtieth of a limit is
lost. Times are seconds of any one clock.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PERIOD = 60
"""The seconds that limits are for."""

PROVIDER = ""
"""The name of the limit for all models of a provider together."""

CLAIM = 10.0
"""Seconds for which others keep back what a process waits for, if it does not say again that it waits."""


class Rate(Struct, frozen=True):
    """The most that may be spent in a minute; None: no limit. One call of more tokens is let out when all are free."""

    requests: int | None = None
    tokens: int | None = None


class Window(Struct):
    """Requests and tokens by the second in which they were spent, and their sums."""

    spent: dict[int, tuple[int, int]] = field(default_factory=dict)
    requests: int = 0
    tokens: int = 0

    def forget(self, second: int) -> None:
        """Drop what no longer counts in this second."""
        for past in [each for each in self.spent if each < second - PERIOD]:
            self._drop(past)
        # The clock was set back: this is not to count for longer than a minute.
        for future in [each for each in self.spent if each > second + 1]:
            self.add(second + 1, *self._drop(future))

    def add(self, second: int, requests: int, tokens: int) -> None:
        """Count more, or less, in a second."""
        before = self.spent.get(second, (0, 0))
        after = (before[0] + requests, before[1] + tokens)
        if any(after):
            self.spent[second] = after
        else:
            self.spent.pop(second, None)
        self.requests += requests
        self.tokens += tokens

    def give_back(self, second: int, requests: int, tokens: int) -> None:
        """Take back what was counted and not spent, if it still counts."""
        if second in self.spent:
            self.add(second, -requests, -tokens)

    def room(self, rate: Rate, tokens: int) -> bool:
        """Whether a call of so many tokens may go out now."""
        return (rate.requests is None or self.requests < rate.requests) and (
            rate.tokens is None or self.tokens + min(tokens, rate.tokens) <= rate.tokens
        )

    def room_at(self, rate: Rate, tokens: int) -> float:
        """Return when there will be room, if nothing else goes out until then."""
        later = Window(dict(self.spent), self.requests, self.tokens)
        for second in sorted(self.spent):
            later._drop(second)
            if later.room(rate, tokens):
                return second + PERIOD + 1.0
        return 0.0

    def lacks(self, rate: Rate) -> str:
        """Say which limit is reached."""
        if rate.requests is not None and self.requests >= rate.requests:
            return f"{rate.requests:,} requests per minute"
        return f"{rate.tokens or 0:,} tokens per minute"

    def _drop(self, second: int) -> tuple[int, int]:
        requests, tokens = self.spent.pop(second)
        self.requests -= requests
        self.tokens -= tokens
        return requests, tokens


class Claim(Struct, frozen=True):
    """A process waits, since `since`, for a call of `model`; whether it still does is not known after `until`."""

    process: str
    model: str
    tokens: int
    since: float
    until: float


class RateUsage(Struct):
    """What was spent at one provider, who waits for more, and until when the provider will not be asked."""

    windows: dict[str, Window] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    closed: dict[str, float] = field(default_factory=dict)

    def forget(self, now: float) -> None:
        """Drop what no longer counts."""
        for name in list(self.windows):
            self.windows[name].forget(math.floor(now))
            if not self.windows[name].spent:
                del self.windows[name]
        self.claims = [claim for claim in self.claims if now < claim.until <= now + CLAIM]
        self.closed = {model: until for model, until in self.closed.items() if until > now}

    def window(self, name: str) -> Window:
        """Return the window of a model, or of the provider."""
        return self.windows.setdefault(name, Window())

    def add(self, second: int, model: str, requests: int, tokens: int) -> None:
        """Count what a model spent, for the provider too."""
        for name in (PROVIDER, model):
            self.window(name).add(second, requests, tokens)

    def give_back(self, second: int, model: str, requests: int, tokens: int) -> None:
        """Take back what was counted and not spent."""
        for name in (PROVIDER, model):
            self.window(name).give_back(second, requests, tokens)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return {
            "windows": {
                name: [[second, *spent] for second, spent in window.spent.items()]
                for name, window in self.windows.items()
            },
            "claims": [[each.process, each.model, each.tokens, each.since, each.until] for each in self.claims],
            "closed": self.closed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RateUsage:
        """Return what `to_dict` made, or nothing spent."""
        found = cls(claims=[Claim(*each) for each in data.get("claims", ())], closed=dict(data.get("closed", {})))
        for name, spent in data.get("windows", {}).items():
            for second, requests, tokens in spent:
                found.window(name).add(second, requests, tokens)
        return found


class Stop(Struct, frozen=True):
    """Why the first of those who wait for a model must wait, and until when at least."""

    at: float
    reason: str


class RateRequest(Struct, frozen=True):
    """One call that waits its turn, since `since`. `order` is its place among those of its process."""

    model: str
    tokens: int
    order: int
    since: float = 0.0
    process: str = ""

    @property
    def rank(self) -> tuple[float, str, int]:
        """What is smaller goes first. Every process must see the same, or each would wait for the other."""
        return self.since, self.process, self.order


def admit(
    spending: RateUsage,
    rates: Mapping[str, Rate],
    now: float,
    queues: Mapping[str, Sequence[RateRequest]],
    *,
    second: int,
    others: Sequence[RateRequest] = (),
    said: Callable[[str], str] = str,
) -> tuple[list[RateRequest], dict[str, Stop]]:
    """Count the calls that may go out, in `second`, and return them, and what stops the first of each other model.

    First come, first served: no call overtakes another that waits for the same limit. `queues` are this process's calls
    by model; for `others` their part is kept back. `said` names a model, or the provider, for people.
    """
    granted: list[RateRequest] = []
    kept: list[RateRequest] = []
    stops: dict[str, Stop] = {}
    lines = [[other] for other in others] + [line for line in queues.values() if line]
    heads = [(line[0].rank, number, 0) for number, line in enumerate(lines)]
    heapq.heapify(heads)
    while heads:
        _, number, place = heapq.heappop(heads)
        line = lines[number]
        wanted = line[place]
        model = wanted.model
        if model in stops:
            continue
        until = spending.closed.get(model, 0.0)
        if until > now:
            stops[model] = Stop(until, f"{said(model)} is rate-limited by the provider")
            continue
        stop = _stop(spending, rates, model, wanted.tokens, said)
        if stop is not None:
            reached, stops[model] = stop
            if reached == PROVIDER:
                # Later calls would take what this one waits for.
                for _, other, later in heads:
                    stops.setdefault(lines[other][later].model, stops[model])
                break
            continue
        spending.add(second, model, 1, wanted.tokens)
        (kept if number < len(others) else granted).append(wanted)
        if place + 1 < len(line):
            heapq.heappush(heads, (line[place + 1].rank, number, place + 1))
    for wanted in kept:
        spending.give_back(second, wanted.model, 1, wanted.tokens)
    return granted, stops


def _stop(
    spending: RateUsage, rates: Mapping[str, Rate], model: str, tokens: int, said: Callable[[str], str]
) -> tuple[str, Stop] | None:
    for name in (model, PROVIDER):
        rate = rates.get(name)
        if rate is not None:
            window = spending.window(name)
            if not window.room(rate, tokens):
                return name, Stop(window.room_at(rate, tokens), f"{said(name)}: {window.lacks(rate)}")
    return None
