"""How much calls of models may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be spent: USD, tokens (input and output), requests. None: no limit."""

    usd: float | None = None
    tokens: int | None = None
    requests: int | None = None

    def to_dict(self) -> dict[str, float]:
        """Return the limits that there are, as JSON data."""
        limits = {"usd": self.usd, "tokens": self.tokens, "requests": self.requests}
        return {name: limit for name, limit in limits.items() if limit is not None}
