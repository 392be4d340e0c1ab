"""Rate limits of models: requests and tokens per minute, and the limits that providers report."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from orchestrator.errors import ModelRateLimited
from orchestrator.models.limits.backoff import rate_headers
from orchestrator.models.limits.queue import CallQueue
from orchestrator.models.limits.settings import LimitSettings
from orchestrator.models.limits.shared import SharedCallQueue, SharedRateUsage
from orchestrator.models.limits.windows import Rate, RateUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from orchestrator.errors import ModelError
    from orchestrator.models.limits.queue import Ticket
    from orchestrator.models.messages import ModelName

__all__ = ["LimitSettings", "Limits", "Rate", "RateUsage", "SharedRateUsage", "Turn", "rate_headers"]


_LONGEST = 100 * 365 * 86400.0  # seconds


class Turn:
    """The turn of one call."""

    def __init__(self, line: CallQueue, ticket: Ticket) -> None:
        self._line = line
        self._ticket = ticket

    def used(self, tokens: int) -> None:
        """Say how many tokens the call has taken in the end, once; without that it counts as it was estimated."""
        self._line.used(self._ticket, tokens)


class Limits:
    """Decides when a model may be asked: within the limits of the settings, and within what its provider lets know.

    One for all runs of a process. With `shared`, the limits of the settings hold for all processes that share it. For
    one event loop: what was learnt in one is not known in another.
    """

    def __init__(self, settings: LimitSettings | None = None, *, shared: SharedRateUsage | None = None) -> None:
        self._settings = settings or LimitSettings()
        self._shared = shared
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[str, CallQueue] = {}

    @asynccontextmanager
    async def turn(
        self,
        name: ModelName,
        tokens: int,
        waiting: Callable[[str, float | None], AbstractAsyncContextManager[None]],
    ) -> AsyncIterator[Turn]:
        """Wait for the turn of a call that will take about so many tokens, which is to be made within the context.

        `waiting(reason, until)` is entered for as long as it really waits; `until` in seconds since the epoch.

        Raises:
            ModelRateLimited: It would have to wait longer than the settings allow. Nothing was sent.
        """
        line = self._line(name.provider)
        ticket = line.enter(name.model, tokens)
        try:
            await self._granted(name, line, ticket, waiting)
        except BaseException:
            line.leave(ticket)
            raise
        yield Turn(line, ticket)

    def told(self, name: ModelName, headers: Mapping[str, str]) -> None:
        """Take note of what the headers of an answer say of limits."""
        if headers:
            self._line(name.provider).told(name.model, headers)

    def refused(self, name: ModelName, retry_after: float | None, headers: Mapping[str, str]) -> None:
        """Take note that the provider has refused a call as one too many.

        The model is not called for as long as the provider requests, then at half the rate, and then faster again.
        """
        if retry_after is not None and not retry_after <= _LONGEST:  # not a number is not either
            retry_after = _LONGEST
        self._line(name.provider).refused(name.model, retry_after, headers)

    def bound(self, error: ModelError) -> None:
        """Have no further attempt made after an error that asks to wait for longer than the settings allow."""
        asked, longest = error.retry_after, self._settings.longest_wait
        error.longest_wait = longest
        if asked is None or not error.retryable:
            return
        if not asked <= longest:  # or it is not a number
            error.message += f"; it requests a wait of {_duration(asked)}, longer than the {_duration(longest)} allowed"
            error.args = (error.message,)
            error.help = "name a further model, resume the run later, or raise `longest_wait` in `[limits]` of "
            error.help += "orchestrator.toml"
            error.retryable = False

    async def aclose(self) -> None:
        """Give back what others may use."""
        lines, self._lines = self._lines, {}
        if self._loop is asyncio.get_running_loop():
            for line in lines.values():
                await line.close()

    def _line(self, provider: str) -> CallQueue:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lines = loop, {}
        line = self._lines.get(provider)
        if line is None:
            rates = self._settings.rates.get(provider, {})
            line = (
                SharedCallQueue(provider, rates, self._shared) if rates and self._shared else CallQueue(provider, rates)
            )
            self._lines[provider] = line
        return line

    async def _granted(
        self,
        name: ModelName,
        line: CallQueue,
        ticket: Ticket,
        waiting: Callable[[str, float | None], AbstractAsyncContextManager[None]],
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.longest_wait
        await line.first_try(ticket)
        while not _is_good(ticket, loop.time()):
            if ticket.granted.done():  # and too late: it had to wait for its place in the process
                line.again(ticket)
                await line.first_try(ticket)
                continue
            stop = line.forecast(ticket)
            if stop.at > deadline:
                raise self._too_long(name, stop.reason, stop.at - loop.time())
            async with waiting(stop.reason, time.time() + stop.at - loop.time()):
                await asyncio.wait([ticket.granted], timeout=deadline - loop.time())
                if not ticket.granted.done():
                    stop = line.forecast(ticket)
                    raise self._too_long(name, stop.reason, stop.at - loop.time())

    def _too_long(self, name: ModelName, reason: str, seconds: float) -> ModelRateLimited:
        return ModelRateLimited(
            f"`{name}` is rate-limited for at least another {_duration(seconds)} ({reason})",
            provider=name.provider,
            model=name.model,
            help="name a further model, lower `max_parallel`, or raise what `[limits]` of orchestrator.toml allows: "
            "the limit itself or `longest_wait`",
            retryable=False,  # or a policy for retries would wait for longer than the settings allow
            retry_after=seconds,
        )


def _is_good(ticket: Ticket, now: float) -> bool:
    """Whether a call may go out now; raises what has gone wrong while its turn was asked for."""
    if not ticket.granted.done():
        return False
    ticket.granted.result()
    return now < ticket.until


def _duration(seconds: float) -> str:
    if not seconds < _LONGEST:
        return "more than a hundred years"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
