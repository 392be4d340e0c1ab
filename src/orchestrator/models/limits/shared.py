"""The line at one provider where several processes share what may be spent, through a store.

What a process takes from the store may be spent until the end of the next second and counts as spent then; so
processes that have died need no cleanup. All calls that arrived while one exchange with the store was in flight are
in the next, and a busy process takes some more than it asks for, so that not every call has to wait for a commit.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.models.limits.backoff import Gate
from orchestrator.models.limits.queue import CallQueue, Ticket, correct
from orchestrator.models.limits.windows import CLAIM, PROVIDER, Claim, Rate, RateRequest, RateUsage, Stop, admit

if TYPE_CHECKING:
    from orchestrator.models.limits.queue import Opened

T = TypeVar("T")

LOOK = 2.0
"""Seconds after which a waiting call checks again whether others have returned capacity."""

KEEP = 1.0
"""Seconds for which it is kept to oneself that something was not spent, as the next exchange may come by itself."""

SHARE = 20
"""A process takes at most one in so many of the calls and tokens of a minute without having use for them yet."""


class SharedRateUsage(Protocol):
    """Keeps what was spent at each provider where all processes can see it. Used by threads."""

    def change(self, provider: str, change: Callable[[RateUsage, float], T]) -> T:
        """Do a change to what is kept of a provider, alone, and return what it returns.

        The change is given the time too, by one clock for all who share it. It may be done again if it could not be
        kept, and must not look at anything else.
        """


class Unspent(Struct, frozen=True):
    """What was counted in a second and not spent; with negative tokens, what was spent beyond it."""

    second: int
    model: str
    requests: int
    tokens: int


class Taken(Struct, frozen=True):
    """What came of an exchange. Times are seconds from then."""

    granted: Sequence[RateRequest]
    stops: Mapping[str, Stop]
    second: int
    valid: float
    spare: Mapping[str, tuple[int, int]]
    closed: Mapping[str, float]
    claimed: frozenset[str]


class UsageExchange(Struct, frozen=True):
    """What a process gives back to the store, tells the others, and asks for."""

    process: str
    rates: Mapping[str, Rate]
    unspent: Sequence[Unspent] = ()
    closed: Mapping[str, float] = field(default_factory=dict)
    queues: Mapping[str, Sequence[RateRequest]] = field(default_factory=dict)
    spare: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    said: Callable[[str], str] = str

    def __call__(self, spending: RateUsage, now: float) -> Taken:
        """Carry it out."""
        spending.forget(now)
        second = math.floor(now) + 1
        for each in self.unspent:
            correct(spending, now, each.second, each.model, each.requests, each.tokens)
        for model, seconds in self.closed.items():
            spending.closed[model] = max(spending.closed.get(model, 0.0), now + seconds)
        since = {claim.model: claim.since for claim in spending.claims if claim.process == self.process}
        spending.claims = [claim for claim in spending.claims if claim.process != self.process]
        queues = {
            # Only of the first is it known here how long it has waited.
            model: [
                replace(each, process=self.process, since=now if place else since.get(model, now))
                for place, each in enumerate(line)
            ]
            for model, line in self.queues.items()
        }
        others = [RateRequest(each.model, each.tokens, 0, each.since, each.process) for each in spending.claims]
        granted, stops = admit(spending, self.rates, now, queues, second=second, others=others, said=self.said)
        let_out = {each.order for each in granted}
        claims = [
            Claim(self.process, first.model, first.tokens, first.since, now + CLAIM)
            for line in queues.values()
            if (first := next((each for each in line if each.order not in let_out), None)) is not None
        ]
        spending.claims += claims
        spare = {} if spending.claims else self._spare(spending, second)
        return Taken(
            granted,
            {model: replace(stop, at=stop.at - now) for model, stop in stops.items()},
            second,
            second + 1 - now,
            spare,
            {model: until - now for model, until in spending.closed.items()},
            frozenset(claim.model for claim in claims),
        )

    def _spare(self, spending: RateUsage, second: int) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for model, (requests, tokens) in self.spare.items():
            for name in (model, PROVIDER):
                rate, window = self.rates.get(name, Rate()), spending.window(name)
                if rate.requests is not None:
                    requests = min(requests, rate.requests // SHARE, rate.requests - window.requests)
                if rate.tokens is not None:
                    tokens = min(tokens, rate.tokens // SHARE, rate.tokens - window.tokens)
            if requests > 0 and tokens >= 0 and model not in spending.closed:
                found[model] = (requests, tokens)
                spending.add(second, model, requests, tokens)
        return found


class SharedCallQueue(CallQueue):
    """Who waits at one provider in this process, while others wait for the same elsewhere."""

    def __init__(self, provider: str, rates: Mapping[str, Rate], shared: SharedRateUsage) -> None:
        super().__init__(provider, rates)
        self._shared = shared
        self._process = uuid.uuid4().hex
        self._task: asyncio.Task[None] | None = None
        self._exchanged = self._loop.create_future()
        self._look_at: dict[str, float] = {}
        self._seen: dict[str, Stop] = {}
        self._unspent: list[Unspent] = []
        self._unspent_since = math.inf
        self._closed: dict[str, float] = {}
        self._claimed: frozenset[str] = frozenset()
        self._purse: dict[str, Unspent] = {}
        self._purse_until = 0.0
        self._demand: dict[str, tuple[int, int]] = {}
        self._last = -math.inf
        self._ended = False

    async def first_try(self, ticket: Ticket) -> None:
        """Return when it is known whether the call may go out or must wait."""
        while not (ticket.granted.done() or ticket.tried or self._task is None or ticket.model in self._stops):
            await asyncio.wait([ticket.granted, self._exchanged], return_when=asyncio.FIRST_COMPLETED)

    def refused(self, model: str, retry_after: float | None, headers: Mapping[str, str]) -> None:
        """Leave a model alone for a while, here and everywhere else."""
        super().refused(model, retry_after, headers)
        if self._rates_of(model):
            self._closed[model] = self._gates[model].closed
            self.step()

    async def close(self) -> None:
        """Give back what was not spent, and stop looking after the line."""
        self._ended = True
        await super().close()
        while self._task is not None:
            await asyncio.wait([self._task])
        self._empty_purse()
        if self._unspent or self._claimed:
            await self._exchange({})

    def step(self) -> None:
        """Let out who may go now, exchange with the store what has to be, and come back when there is more to do."""
        if self._task is not None or self._ended:
            return  # what is to be done is seen when it ends
        now = self._loop.time()
        more = True
        while more:
            opened = self._opened(now)
            more = self._from_purse(opened, now)
        if now >= self._purse_until:
            self._empty_purse()
        for model in opened:
            if model in self._seen and now < self._seen[model].at:
                self._stops[model] = self._seen[model]
        if self._is_due(opened, now):
            self._task = self._loop.create_task(self._exchange(opened))
            self._task.add_done_callback(self._after)
            return
        times = [stop.at for model, stop in self._stops.items() if model not in opened]
        times += [self._look_at[model] for model in opened]
        if self._purse:
            times.append(self._purse_until)
        self._come_back(min([*times, self._unspent_since + KEEP]))

    def _is_due(self, opened: Opened, now: float) -> bool:
        if any(now >= self._look_at.get(model, now) for model in opened):
            return True
        return bool(self._closed) or now >= self._unspent_since + KEEP or bool(self._claimed - self._queues.keys())

    def _from_purse(self, opened: Opened, now: float) -> bool:
        """Let out who can be paid for already; return whether there may be more of them."""
        if not self._purse or now >= self._purse_until:
            return False
        any_let_out = False
        for model in list(opened):
            for ticket in opened[model]:
                purse = self._purse.get(model)
                if purse is None or not purse.requests or purse.tokens < ticket.charge:
                    break
                left = replace(purse, requests=purse.requests - 1, tokens=purse.tokens - ticket.charge)
                self._purse[model] = left
                self._grant(ticket, purse.second, self._purse_until, now)
                any_let_out = True
        return any_let_out

    def _grant(self, ticket: Ticket, second: int, until: float, now: float) -> None:
        super()._grant(ticket, second, until, now)
        requests, tokens = self._demand.get(ticket.model, (0, 0))
        self._demand[ticket.model] = (requests + 1, tokens + ticket.charge)

    def _empty_purse(self) -> None:
        for purse in self._purse.values():
            self._note(purse)
        self._purse = {}

    def _correct(self, second: int, model: str, requests: int, tokens: int) -> None:
        self._note(Unspent(second, model, requests, tokens))

    def _note(self, unspent: Unspent) -> None:
        if unspent.requests or unspent.tokens:
            self._unspent.append(unspent)
            self._unspent_since = min(self._unspent_since, self._loop.time())

    async def _exchange(self, opened: Opened) -> None:
        begun = self._loop.time()
        self._empty_purse()
        busy = begun - self._last < 2 * KEEP and not self._ended
        unspent, self._unspent, self._unspent_since = self._unspent, [], math.inf
        closed, self._closed = self._closed, {}
        demand, self._demand = self._demand, {}
        exchange = UsageExchange(
            self._process,
            self._rates,
            unspent,
            {model: until - begun for model, until in closed.items()},
            {model: [RateRequest(model, each.charge, each.order) for each in line] for model, line in opened.items()},
            {model: (2 * requests, 2 * tokens) for model, (requests, tokens) in demand.items() if busy},
            self._said,
        )
        self._last = begun
        try:
            taken = await asyncio.to_thread(self._shared.change, self.provider, exchange)
        except Exception as error:
            self._failed(error, opened)
            return
        self._took(taken, opened, begun)

    def _took(self, taken: Taken, opened: Opened, begun: float) -> None:
        now, until = self._loop.time(), begun + taken.valid
        self._claimed = taken.claimed
        for model, seconds in taken.closed.items():
            gate = self._gates.get(model, Gate())
            self._gates[model] = replace(gate, closed=max(gate.closed, now + seconds))
        self._seen = {model: replace(stop, at=now + stop.at) for model, stop in taken.stops.items()}
        self._look_at = {model: min(stop.at, now + LOOK) for model, stop in self._seen.items()}
        if now < until:
            self._let_out(taken.granted, opened, taken.second, until, now)
            self._purse = {model: Unspent(taken.second, model, *spare) for model, spare in taken.spare.items()}
            self._purse_until = until
        else:  # so late that it would not have been spent when it counts; they ask again
            for wanted in taken.granted:
                self._note(Unspent(taken.second, wanted.model, 1, wanted.tokens))
            for model, (requests, tokens) in taken.spare.items():
                self._note(Unspent(taken.second, model, requests, tokens))
        for ticket in _all(opened):
            ticket.tried = ticket.tried or ticket.model in taken.stops

    def _failed(self, error: Exception, opened: Opened) -> None:
        """Notify the waiting calls; the next one tries again. What was to be written to the store expires."""
        self._claimed = frozenset()
        for ticket in _all(opened):
            if not ticket.gone and not ticket.granted.done():
                ticket.gone = True
                self._count(ticket, -1)
                ticket.granted.set_exception(error)

    def _after(self, task: asyncio.Task[None]) -> None:
        self._task = None
        exchanged, self._exchanged = self._exchanged, self._loop.create_future()
        exchanged.set_result(None)
        if not task.cancelled():
            if (error := task.exception()) is not None:
                raise error
            self.step()


def _all(opened: Opened) -> list[Ticket]:
    return [ticket for line in opened.values() for ticket in line]
