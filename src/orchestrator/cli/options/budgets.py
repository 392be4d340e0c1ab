"""Budgets on the command line: `2usd`, `50000tokens`, `100requests`."""

from __future__ import annotations

import re
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Final

from orchestrator.errors import ConfigurationError
from orchestrator.models.budget import Budget, usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_UNITS: Final = {
    "usd": "usd",
    "token": "tokens",
    "tokens": "tokens",
    "request": "requests",
    "requests": "requests",
}
_AMOUNT: Final = re.compile(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)\s*([a-z$]*)\s*", re.IGNORECASE)


def read_budget(words: Iterable[str] | None) -> Budget | None:
    """Return the budget that the values of `--budget` make together; None if there are none.

    Raises:
        ConfigurationError: One of them is not an amount of dollars, tokens or requests, or a unit is given twice.
    """
    limits: dict[str, float] = {}
    for word in words or ():
        match = _AMOUNT.fullmatch(word)
        unit = _UNITS.get(match[2].lower()) if match else None
        if match is None or unit is None:
            amount = match[1] if match else "2"
            raise _refused(word, f"write for example `--budget {amount}usd`, `50000tokens` or `100requests`")
        if unit in limits:
            raise _refused(word, f"{unit} are limited twice; give each kind once")
        number = float(match[1].replace("_", "").replace(",", ""))
        if unit != "usd" and number != int(number):
            raise _refused(word, f"{unit} are counted in whole numbers")
        limits[unit] = number if unit == "usd" else int(number)
    return Budget(**limits) if limits else None  # type: ignore[arg-type] # whole where they have to be


def budget_words(words: Iterable[str] | None) -> list[str]:
    """Return the command line words of the same budget."""
    return [part for word in words or () for part in ("--budget", word)]


def larger_budget(words: Iterable[str] | None, *, done: int, left: int) -> list[str]:
    """Return a budget with which the rows that are left can be run too, judged by what those have taken that ended."""
    limits = read_budget(words)
    if limits is None:
        return []
    factor = max(2.0, 1.25 * (done + left) / max(1, done))
    larger = {unit: _rounded_up(limit * factor) for unit, limit in limits.to_dict().items()}
    return [f"{amount if unit == 'usd' else ceil(amount):.10g}{unit}" for unit, amount in larger.items()]


def _rounded_up(amount: float) -> float:
    """Return an amount with two digits that is not smaller."""
    if amount <= 0:
        return 1.0
    unit = 10.0 ** (floor(log10(amount)) - 1)
    return round(ceil(round(amount / unit, 9)) * unit, 10)


def budget_text(budget: Mapping[str, float]) -> str:
    """Format a budget as text."""
    parts = [usd(budget["usd"])] if "usd" in budget else []
    parts += [f"{budget[unit]:,.0f} {unit}" for unit in ("tokens", "requests") if unit in budget]
    return ", ".join(parts)


def _refused(word: str, help: str) -> ConfigurationError:
    return ConfigurationError(f"`--budget` takes an amount of usd, tokens or requests, not `{word}`", help=help)
