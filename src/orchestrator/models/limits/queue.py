"""The calls that wait their turn at one provider, in this process: first come, first served for each model."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.models.limits.backoff import Gate
from orchestrator.models.limits.windows import PERIOD, PROVIDER, Rate, RateRequest, RateUsage, Stop, Window, admit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Opened = dict[str, list["Ticket"]]
"""The first calls of each model that waits and is not held back by what its provider has let know."""

AT_ONCE = 64
"""Calls of a model that are looked at together."""


class Ticket:
    """A call's place in the line. `granted` is done when it may go out, which it must do before `until`.

    It is thought to take `tokens`; `charge` is what it counts for, and `second` when.
    """

    __slots__ = ("ahead", "charge", "gone", "granted", "model", "order", "second", "tokens", "tried", "until")

    def __init__(self, model: str, tokens: int, charge: int, order: int, ahead: Mapping[str, tuple[int, int]]) -> None:
        self.model = model
        self.tokens = tokens
        self.charge = charge
        self.order = order
        self.ahead = ahead
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone = False
        self.tried = False
        self.second = 0
        self.until = 0.0


class CallQueue:
    """Who waits at one provider. For one event loop, whose time it goes by."""

    def __init__(self, provider: str, rates: Mapping[str, Rate]) -> None:
        self.provider = provider
        self._rates = rates
        self._loop = asyncio.get_running_loop()
        self._spending = RateUsage()
        self._gates: dict[str, Gate] = {}
        self._queues: dict[str, deque[Ticket]] = {}
        self._waiting: dict[str, tuple[int, int]] = {}  # requests and tokens, for the provider and for each model
        self._begun: dict[str, Window] = {}
        self._stops: dict[str, Stop] = {}
        self._orders = itertools.count(1)
        self._timer: asyncio.TimerHandle | None = None

    # --- for those who call

    def enter(self, model: str, tokens: int) -> Ticket:
        """Take a place at the end of the line."""
        limits = [rate.tokens for rate in self._rates_of(model) if rate.tokens is not None]
        ahead = {name: self._waiting.get(name, (0, 0)) for name in (PROVIDER, model)}
        # One that is larger than a limit could never go out otherwise; what it really takes is counted afterwards.
        ticket = Ticket(model, tokens, min(tokens, *limits) if limits else 0, next(self._orders), ahead)
        self._queues.setdefault(model, deque()).append(ticket)
        self._count(ticket, 1)
        self.step()
        return ticket

    async def first_try(self, ticket: Ticket) -> None:
        """Return when it is known whether the call may go out or must wait."""

    def again(self, ticket: Ticket) -> None:
        """Take the same place again with a ticket that was not used in time."""
        self._give_back(ticket)
        ticket.granted = self._loop.create_future()
        self._queues.setdefault(ticket.model, deque()).appendleft(ticket)
        self._count(ticket, 1)
        self.step()

    def leave(self, ticket: Ticket) -> None:
        """Leave the line, and leave to others what was granted already."""
        if ticket.granted.done() and (ticket.granted.cancelled() or ticket.granted.exception() is not None):
            return
        ticket.gone = True
        if ticket.granted.done():
            self._give_back(ticket)
        else:
            ticket.granted.cancel()
            self._count(ticket, -1)
        self.step()

    def used(self, ticket: Ticket, tokens: int) -> None:
        """Replace the estimate of a call by its real usage."""
        if any(rate.tokens is not None for rate in self._rates_of(ticket.model)) and tokens != ticket.charge:
            self._correct(ticket.second, ticket.model, 0, ticket.charge - tokens)
            self.step()

    def refused(self, model: str, retry_after: float | None, headers: Mapping[str, str]) -> None:
        """Leave a model alone for a while, and ask it more slowly then."""
        now = self._loop.time()
        gate = self._gates.get(model, Gate())
        self._gates[model] = gate.told(headers, now, time.time()).refused(now, self._pace(model, now), retry_after)
        self.step()

    def told(self, model: str, headers: Mapping[str, str]) -> None:
        """Take note of what is left."""
        self._gates[model] = self._gates.get(model, Gate()).told(headers, self._loop.time(), time.time())
        self.step()

    def forecast(self, ticket: Ticket) -> Stop:
        """Return why a call waits, and when it may go out at the soonest."""
        now = self._loop.time()
        stop = self._stops.get(ticket.model, Stop(now, f"waiting behind other calls for {self._said(ticket.model)}"))
        gate = self._gates.get(ticket.model, Gate())
        behind = 0.0 if gate.pace is None else ticket.ahead[ticket.model][0] / gate.pace.at(now)
        for name in (PROVIDER, ticket.model):
            rate, (requests, tokens) = self._rates.get(name, Rate()), ticket.ahead[name]
            behind = max(behind, PERIOD * (requests // rate.requests if rate.requests else 0))
            behind = max(behind, PERIOD * (tokens // rate.tokens if rate.tokens else 0))
        return replace(stop, at=max(stop.at, now) + behind)

    async def close(self) -> None:
        """Stop looking after the line."""
        if self._timer is not None:
            self._timer.cancel()

    # --- what happens

    def step(self) -> None:
        """Let out everybody who may go now, and come back when the next may."""
        now = self._loop.time()
        more = True
        while more:
            opened = self._opened(now)
            self._spending.forget(now)
            granted, stops = admit(
                self._spending, self._rates, now, _wanted(opened), second=math.floor(now), said=self._said
            )
            self._stops.update(stops)
            self._let_out(granted, opened, math.floor(now), math.floor(now) + 1.0, now)
            more = any(len(each) == AT_ONCE and each[-1].granted.done() for each in opened.values())
        self._come_back(min((stop.at for stop in self._stops.values()), default=math.inf))

    def _opened(self, now: float) -> Opened:
        """Return the first calls of each model, as far as its gate lets them through. All others are given a stop."""
        self._stops = {}
        opened: Opened = {}
        for model in list(self._queues):
            if not self._head(model):
                continue
            gate = self._gates.get(model)
            tickets: list[Ticket] = []
            for ticket in islice(_there(self._queues[model]), AT_ONCE):
                if gate is not None:
                    ready, reason = gate.ready_at(ticket.tokens, now)
                    if ready > now:
                        self._stops[model] = Stop(ready, f"{self._said(model)}: {reason}")
                        break
                    gate = gate.after(ticket.tokens, now)
                tickets.append(ticket)
            if tickets:
                opened[model] = tickets
        return opened

    def _let_out(self, granted: Iterable[RateRequest], opened: Opened, second: int, until: float, now: float) -> None:
        tickets = {ticket.order: ticket for each in opened.values() for ticket in each}
        for wanted in granted:
            self._grant(tickets[wanted.order], second, until, now)

    def _grant(self, ticket: Ticket, second: int, until: float, now: float) -> None:
        model = ticket.model
        ticket.second, ticket.until = second, until
        if ticket.gone:  # while it was being asked for
            self._give_back(ticket)
            return
        if self._head(model):
            self._queues[model].popleft()
        self._count(ticket, -1)
        gate = self._gates.get(model)
        if gate is not None:
            self._gates[model] = gate.after(ticket.tokens, now)
        begun = self._begun.setdefault(model, Window())
        begun.forget(math.floor(now))
        begun.add(math.floor(now), 1, 0)
        ticket.granted.set_result(None)

    def _head(self, model: str) -> Ticket | None:
        """Return who is first in line for a model."""
        queue = self._queues[model]
        while queue and queue[0].gone:
            queue.popleft()
        if not queue:
            del self._queues[model]
            return None
        return queue[0]

    def _come_back(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if at == math.inf else self._loop.call_at(at, self.step)

    def _give_back(self, ticket: Ticket) -> None:
        self._correct(ticket.second, ticket.model, 1, ticket.charge)

    def _correct(self, second: int, model: str, requests: int, tokens: int) -> None:
        """Take back what was counted and not spent; if tokens are negative, more were spent than were counted."""
        correct(self._spending, self._loop.time(), second, model, requests, tokens)

    def _count(self, ticket: Ticket, more: int) -> None:
        for name in (PROVIDER, ticket.model):
            requests, tokens = self._waiting.get(name, (0, 0))
            self._waiting[name] = (requests + more, tokens + more * ticket.charge)

    def _pace(self, model: str, now: float) -> float:
        """Return how many calls of a model were begun in a second of late."""
        begun = self._begun.get(model, Window())
        begun.forget(math.floor(now))
        return max(1, begun.requests) / max(1.0, now - min(begun.spent, default=now))

    def _rates_of(self, model: str) -> list[Rate]:
        return [self._rates[name] for name in (PROVIDER, model) if name in self._rates]

    def _said(self, name: str) -> str:
        return f"`{self.provider}`" if name in (PROVIDER, self.provider) else f"`{self.provider}:{name}`"


def correct(spending: RateUsage, now: float, second: int, model: str, requests: int, tokens: int) -> None:
    """Take back what was counted in a second and not spent, or count now what was spent beyond it."""
    if tokens < 0:
        spending.add(math.floor(now), model, 0, -tokens)
        tokens = 0
    spending.give_back(second, model, requests, tokens)


def _wanted(opened: Opened) -> dict[str, list[RateRequest]]:
    return {
        model: [RateRequest(model, ticket.charge, ticket.order) for ticket in tickets]
        for model, tickets in opened.items()
    }


def _there(queue: deque[Ticket]) -> Iterator[Ticket]:
    return (ticket for ticket in queue if not ticket.gone)
