"""What models cost and how much they read, from `genai-prices`: a table in a package, read when it is first needed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from genai_prices.types import ModelInfo, TieredPrices
    from genai_prices.types import Provider as PricedProvider

    from orchestrator.models.catalog.providers import Provider
    from orchestrator.models.messages import Usage


_NOT_NAMES: Final = ("ft:", "regional.", "gpt-3.5-0301", "gpt-4o:extended", "gpt-4o-mini-2024-07-18.ft-")
"""What stands in the table for whole families of names, and cannot be called."""


_FOREIGN: Final = {"google": "claude", "openai": "gpt-oss"}


class Listed(Struct, frozen=True):
    """The entry of one model. Prices in USD per million tokens; for short inputs where they differ."""

    id: str
    context_window: int | None
    input_price: float | None
    cached_price: float | None
    output_price: float | None
    deprecated: bool


def version() -> str:
    """Return the version of the table."""
    from importlib.metadata import version

    return version("genai-prices")


def listed(provider: Provider, model: str) -> Listed | None:
    """Return the entry of a model by any name that the provider accepts, or None."""
    found = _found(provider, model)
    return _listed(found[1]) if found else None


def models(provider: Provider) -> Iterator[Listed]:
    """Yield all models of a provider that are in the table."""
    priced = _provider(provider.prices)
    for each in priced.models if priced else ():
        if not each.id.startswith(_NOT_NAMES) and not _of_others(provider, each.id):
            yield _listed(each)


def cost(provider: Provider, model: str, usage: Usage) -> float | None:
    """Return what a call costs in USD today, by all steps and conditions of its price, or None if it is not listed."""
    found = _found(provider, model)
    if found is None or not (found[1].prices if isinstance(found[1].prices, list) else [found[1].prices]):
        return None
    from genai_prices import Usage as PricedUsage

    priced = PricedUsage(
        input_tokens=usage.input, cache_read_tokens=usage.cached or None, output_tokens=usage.output or None
    )
    return float(found[1].calc_price(priced, found[0]).total_price)


@lru_cache(4096)
def _found(provider: Provider, model: str) -> tuple[PricedProvider, ModelInfo] | None:
    prices, reference = provider.prices, model
    if provider.name == "huggingface":
        # The router's models carry who runs them, `meta-llama/Llama-3.3-70B-Instruct:groq`; without, it may be anyone.
        reference, _, by = model.rpartition(":")
        prices = f"huggingface_{by}" if reference else ""
    priced = _provider(prices)
    others = None if provider.maker else _all()
    info = priced.find_model(reference, all_providers=others) if priced and not _of_others(provider, model) else None
    return (priced, info) if priced and info else None


def _of_others(provider: Provider, model: str) -> bool:
    """Whether the table lists with a maker what others sell: Claude at Vertex AI, OpenAI's open weights."""
    foreign = _FOREIGN.get(provider.name)
    return foreign is not None and foreign in model.lower()


@cache
def _provider(name: str) -> PricedProvider | None:
    return next((each for each in _all() if each.id == name), None) if name else None


@cache
def _all() -> list[PricedProvider]:
    from genai_prices.data import providers

    return providers


def _listed(info: ModelInfo) -> Listed:
    empty = isinstance(info.prices, list) and not info.prices
    price = None if empty else info.get_prices(datetime.now(UTC))
    embeds = price is not None and price.input_mtok is not None and price.output_mtok is None
    return Listed(
        info.id,
        info.context_window,
        _base(price.input_mtok) if price else None,
        _base(price.cache_read_mtok) if price else None,
        0.0 if embeds else _base(price.output_mtok) if price else None,
        bool(info.deprecated),
    )


def _base(price: Decimal | TieredPrices | None) -> float | None:
    from genai_prices.types import TieredPrices

    if price is None:
        return None
    return float(price.base if isinstance(price, TieredPrices) else price)
