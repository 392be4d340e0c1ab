"""The usage and cost of model calls: tokens, requests, and money where the price is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert, field

from orchestrator.models.budget import Spent, usd
from orchestrator.models.messages import Usage
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping


class Spending(Struct, frozen=True):
    """The sum over `calls` model calls, including failed ones. `known_cost` in USD, without `unpriced` calls."""

    usage: Usage = field(default_factory=Usage)
    known_cost: float = 0.0
    calls: int = 0
    unpriced: int = 0

    @property
    def cost(self) -> float | None:
        """USD; None where the price of a call is unknown."""
        return None if self.unpriced else self.known_cost

    @property
    def spent(self) -> Spent:
        """The same, as budgets count it."""
        return Spent(self.known_cost, self.tokens, self.usage.requests)

    @property
    def tokens(self) -> int:
        """Input and output."""
        return self.usage.input + self.usage.output

    def __str__(self) -> str:
        """In words: `1,234 tokens, $0.02`; nothing where no model was called."""
        return f"{plural(self.tokens, 'token')}, {self.price}" if self else ""

    @property
    def price(self) -> str:
        """The cost in words, with the number of calls whose price is unknown."""
        if not self.unpriced:
            return usd(self.known_cost)
        if self.unpriced == self.calls:
            return "price unknown"
        return f"at least {usd(self.known_cost)} ({self.unpriced:,} of {self.calls:,} calls of unknown price)"

    def __add__(self, other: Spending) -> Spending:
        return Spending(
            self.usage + other.usage,
            self.known_cost + other.known_cost,
            self.calls + other.calls,
            self.unpriced + other.unpriced,
        )

    def __bool__(self) -> bool:
        return self.calls > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the sum as JSON data: `{usage, cost, known_cost, model_calls, unpriced}`."""
        return {
            "usage": self.usage.to_dict(),
            "cost": self.cost,
            "known_cost": self.known_cost,
            "model_calls": self.calls,
            "unpriced": self.unpriced,
        }

    @classmethod
    def of_call(cls, usage: Usage, cost: float | None) -> Spending:
        """Return what one call spent; `cost` is None if its price is unknown."""
        return cls(usage, cost or 0.0, 1, 1 if cost is None else 0)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spending:
        """Build the sum that `to_dict` described."""
        parts = (data["usage"], data["known_cost"], data["model_calls"], data["unpriced"])
        usage, known_cost, calls, unpriced = convert(parts, tuple[Usage, float, int, int])
        return cls(usage, known_cost, calls, unpriced)


NOTHING = Spending()
"""No model call."""


def spending_of(data: Mapping[str, Any]) -> Spending:
    """Return the usage and cost of one call, from the data of its event `step.model`."""
    cost = data.get("cost")
    usage = data.get("usage") or {}
    counts = {name: usage.get(name) or 0 for name in ("input", "output", "cached", "reasoning", "requests")}
    return Spending.of_call(Usage(**counts), cost)
