"""How much calls of models may cost, and the ledgers that hold them to it before they are made."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.errors import BudgetExceeded
from orchestrator.models.messages import ModelName
from orchestrator.text.words import plural

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from orchestrator.config.tables.base import SpendingTable


class Budget(Struct, frozen=True):
    """The most that may be spent: USD, tokens (input and output), requests. None: no limit."""

    usd: float | None = None
    tokens: int | None = None
    requests: int | None = None

    def to_dict(self) -> dict[str, float]:
        """Return the limits that there are, as JSON data."""
        limits = {"usd": self.usd, "tokens": self.tokens, "requests": self.requests}
        return {name: limit for name, limit in limits.items() if limit is not None}


def budget_of(table: SpendingTable) -> Budget | None:
    """Return the budget that a table of `orchestrator.toml` sets; None if it limits nothing."""
    budget = Budget(table.usd, table.tokens, table.requests)
    return budget if budget.to_dict() else None


class Spent(Struct, frozen=True):
    """What calls have taken: USD, tokens (input and output), requests."""

    usd: float = 0.0
    tokens: int = 0
    requests: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.usd + other.usd, self.tokens + other.tokens, self.requests + other.requests)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.usd - other.usd, self.tokens - other.tokens, self.requests - other.requests)


class Estimate(Struct, frozen=True):
    """What a call may take at most, as far as that is known before it. `usd` is None where no price is known."""

    model: ModelName
    usd: float | None
    tokens: int
    requests: int = 1


class Reservation(Struct, frozen=True, eq=False):
    """What is reserved for one in-flight call."""

    held: Spent


class Ledger:
    """What may be spent within one scope (a step, a run, a project), what has been, and what is kept for calls.

    Each call reserves its estimate before it is made, and settles for what it really took. So however many calls are
    made at once, what is spent passes the limit only by what calls took beyond their own estimates. Safe to use from
    any thread. `scope` is how messages name it, such as ``the run`` or ``step `draft` ``, `setting` what to raise.
    """

    def __init__(self, budget: Budget, scope: str, spent: Spent | None = None, *, setting: str = "`budget`") -> None:
        self.budget = budget
        self.scope = scope
        self._setting = setting
        self._spent = spent or Spent()
        self._held: set[Reservation] = set()
        self._kept = Spent()
        self._lock = threading.Lock()
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    @property
    def spent(self) -> Spent:
        """What has been spent, without the reservations of in-flight calls."""
        return self._spent

    @property
    def held(self) -> Spent:
        """The reservations of in-flight calls."""
        return self._kept

    def know(self, spent: Spent) -> None:
        """Take note that at least so much has been spent, also by others."""
        with self._lock:
            own = self._spent
            self._spent = Spent(
                max(own.usd, spent.usd), max(own.tokens, spent.tokens), max(own.requests, spent.requests)
            )

    def restart(self, spent: Spent) -> None:
        """Restart with what has been spent: a new period of the project has begun."""
        with self._lock:
            self._spent = spent
        self.pass_on()

    def reserve(self, estimate: Estimate) -> Reservation:
        """Keep free what a call may take.

        Raises:
            BudgetExceeded: It might take more than there is left, or the budget is in USD and its price is not known.
        """
        with self._lock:
            self._refuse_unknown(estimate)
            taken = Spent(estimate.usd or 0.0, estimate.tokens, estimate.requests)
            over = self._over(self._spent + self._kept + taken)
            if over:
                raise self._exceeded(estimate, over)
            reservation = Reservation(taken)
            self._held.add(reservation)
            self._kept += taken
            return reservation

    def could_fit(self, estimate: Estimate) -> bool:
        """Whether a call would fit if the in-flight calls took only a request of their reservations."""
        return self._fits(estimate, Spent(requests=len(self._held)))

    def is_full_for(self, estimate: Estimate) -> bool:
        """Whether a call does not fit now."""
        return not self._fits(estimate, self.held)

    def _fits(self, estimate: Estimate, held: Spent) -> bool:
        if self.budget.usd is not None and estimate.usd is None:
            return False
        return not self._over(self._spent + held + Spent(estimate.usd or 0.0, estimate.tokens, estimate.requests))

    def settle(self, reservation: Reservation, spent: Spent) -> None:
        """Replace what was kept for a call by what it took: nothing, if it was not made. Doing so again is harmless."""
        with self._lock:
            if reservation not in self._held:
                return
            self._held.remove(reservation)
            # Sums of decimals are not exact: what is left of none is nothing.
            self._kept = self._kept - reservation.held if self._held else Spent()
            self._spent += spent
        self.pass_on()

    async def changed(self, *, again: bool = False) -> None:
        """Wait in line until an in-flight call ends; return at once if there is none. `again`: at its front.

        Only the first in line is notified, and notifies the next with `pass_on` unless it waits again: a
        thousand waiting calls do not all try whenever one call ends.
        """
        import asyncio  # plans need budgets, but checking one does not need this

        loop = asyncio.get_running_loop()
        mine = (loop, loop.create_future())
        with self._lock:
            if not self._held:
                return
            (self._waiting.appendleft if again else self._waiting.append)(mine)
        try:
            await mine[1]
        except asyncio.CancelledError:
            if mine[1].done() and not mine[1].cancelled():
                self.pass_on()
            raise
        finally:
            with self._lock, suppress(ValueError):
                self._waiting.remove(mine)

    def pass_on(self) -> None:
        """Tell the first in line that it may try."""
        while True:
            with self._lock:
                if not self._waiting:
                    return
                loop, future = self._waiting.popleft()
            with suppress(RuntimeError):  # its loop has been closed
                loop.call_soon_threadsafe(_release, self, future)
                return

    def _over(self, spent: Spent) -> str:
        """Return which limit would be passed, in words; empty if none."""
        limits = self.budget
        if limits.usd is not None and spent.usd > limits.usd * (1 + 1e-12):  # sums of decimals are not exact
            return f"{usd(limits.usd)}"
        if limits.tokens is not None and spent.tokens > limits.tokens:
            return f"{limits.tokens:,} tokens"
        if limits.requests is not None and spent.requests > limits.requests:
            return plural(limits.requests, "request")
        return ""

    def _exceeded(self, estimate: Estimate, limit: str) -> BudgetExceeded:
        held = self._kept
        unit = limit.rpartition(" ")[2].removesuffix("s")

        def amount(spent: Spent) -> str:
            if unit == "token":
                return f"{spent.tokens:,} tokens"
            return f"{spent.requests:,}" if unit == "request" else usd(spent.usd)

        kept = f", {amount(held)} reserved for in-flight calls" if held.requests else ""
        next_one = amount(Spent(estimate.usd or 0.0, estimate.tokens))
        needs = "would be one more" if unit == "request" else f"could take up to {next_one}"
        less = "" if unit == "request" else ", or ask for less with `max_tokens` or a cheaper model"
        error = BudgetExceeded(
            f"the budget of {self.scope} is {limit}: {amount(self._spent)} spent{kept}, "
            f"and the next call of `{estimate.model}` {needs}",
            provider=estimate.model.provider,
            model=estimate.model.model,
            help=f"raise {self._setting} and resume: completed calls are not repeated{less}",
        )
        error.scope = self.scope
        whole = self._spent + held + Spent(estimate.usd or 0.0, estimate.tokens, estimate.requests)
        error.needs = {"usd": whole.usd, "tokens": whole.tokens, "requests": whole.requests}
        return error

    def _refuse_unknown(self, estimate: Estimate) -> None:
        if self.budget.usd is None or estimate.usd is not None:
            return
        error = BudgetExceeded(
            f"the budget of {self.scope} is in USD, and the price of `{estimate.model}` is unknown",
            provider=estimate.model.provider,
            model=estimate.model.model,
            help=f'give its price in `[models."{estimate.model}"]` in orchestrator.toml (`input_price` and '
            "`output_price`, USD per million tokens; 0 if it is free), or limit `tokens` or `requests`",
        )
        error.scope = self.scope
        raise error


def reserve_all(ledgers: Sequence[Ledger], estimate: Estimate) -> list[tuple[Ledger, Reservation]]:
    """Keep free in every ledger what a call may take; in none of them if one refuses.

    Raises:
        BudgetExceeded: One of them has too little left.
    """
    held: list[tuple[Ledger, Reservation]] = []
    try:
        for ledger in ledgers:
            held.append((ledger, ledger.reserve(estimate)))  # noqa: PERF401 - those before one that refuses are undone
    except BudgetExceeded:
        settle_all(held, Spent())
        raise
    return held


def settle_all(held: Sequence[tuple[Ledger, Reservation]], spent: Spent) -> None:
    """Settle what is kept for one call for what it took."""
    for ledger, reservation in held:
        ledger.settle(reservation, spent)


def usd(amount: float) -> str:
    """Return an amount of money as people read it: cents, or two digits where it is less than ten of them."""
    if amount == 0 or amount >= 0.1:
        return f"${amount:.2f}"
    return f"${Decimal(f'{amount:.2g}'):f}"


def exact_usd(amount: float) -> str:
    """Return a limit or a price with all its digits."""
    return f"${Decimal(f'{amount:.10g}').normalize():f}"


def limits_in_words(budget: Budget) -> list[str]:
    """Return the limits of a budget, each in words."""
    limits = [] if budget.usd is None else [exact_usd(budget.usd)]
    for count, unit in ((budget.tokens, "token"), (budget.requests, "request")):
        if count is not None:
            limits.append(plural(count, unit))
    return limits


def _release(ledger: Ledger, future: asyncio.Future[None]) -> None:
    if future.done():  # it was cancelled in the meantime
        ledger.pass_on()
    else:
        future.set_result(None)
