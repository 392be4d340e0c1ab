"""Which models fit the requirements of a step, the best first, with the reasons: a pure function of the catalogue."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.models.budget import exact_usd
from orchestrator.models.catalog.entries import ModelCard
from orchestrator.models.selection.purposes import capability_for, does_not_make, makes_something_else

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.models.calls.gateway import Requirements, Selection
    from orchestrator.models.selection.purposes import Purpose

_UNKNOWN_RANK: Final = 2
"""The rank of a model without a known rank: a little below the middle."""

_CHEAPEST, _DEAREST = 0.1, 100.0
"""USD per million tokens between which cheapness falls from 5 to 0."""

_WORDS: Final = {
    "balanced": "the best balance of quality, speed and price",
    "cost": "the cheapest",
    "speed": "the fastest",
    "quality": "the best",
}


class Picked(Struct, frozen=True):
    """A model that fits, and why it stands where it does."""

    card: ModelCard
    why: str


def select(
    cards: Iterable[ModelCard], requires: Requirements, selection: Selection = "balanced", purpose: Purpose = "text"
) -> list[Picked]:
    """Return the models that certainly satisfy all requirements, the best first.

    What is not known of a model does not satisfy a requirement. Old models are never among them. The
    order of two models does not depend on which others there are, nor on the requirements. Equals keep the order of
    `cards`, which is that of the providers.
    """
    fitting = [card for card in cards if not unfit(card, requires, purpose)]
    fitting.sort(key=lambda card: _key(card, selection))
    count = len(fitting)
    told = f" ({requirements_in_words(requires)})" if requirements_in_words(requires) else ""
    first = f"{_WORDS[selection]} of {count} that fit{told}" if count > 1 else f"the only one that fits{told}"
    return [
        Picked(card, f"{first if place == 1 else f'number {place} of {count} by `{selection}`'}: {_facts(card)}")
        for place, card in enumerate(fitting, start=1)
    ]


def unfit(card: ModelCard, requires: Requirements, purpose: Purpose = "text") -> str:
    """Return why a model is not selected, in words; empty if it may be."""
    if problem := makes_something_else(card, purpose):
        return problem
    if purpose != "text" and capability_for(purpose) not in card.capabilities:
        return does_not_make(purpose)
    return "it is deprecated" if card.deprecated else violation(card, requires)


def violation(card: ModelCard, requires: Requirements, *, trusting: bool = False) -> str:
    """Return which requirement a model does not satisfy, in words; empty if none.

    With `trusting`, what is not known of it is taken for granted, but for what it costs.
    """
    lacking = [each for each in requires.capabilities if each not in card.capabilities]
    if lacking := sorted(each for each in lacking if not trusting or card.lacks(each)):
        return f"it cannot do {', '.join(lacking)}"
    if (blind := sorted(requires.modalities - card.modalities)) and (card.certain or not trusting):
        return f"it does not read {', '.join(blind)}"
    if (weak := sorted(requires.expertise - card.expertise)) and not trusting:
        return f"it is not rated as good at {', '.join(weak)}"
    if requires.providers and card.name.provider not in requires.providers:
        return f"its provider is not {' or '.join(requires.providers)}"
    if requires.max_cost is not None and _dearer(card, requires.max_cost):
        return "it costs too much, or its price is unknown"
    window, size = card.context_window, card.size
    if requires.context is not None and (not trusting if window is None else window < requires.context):
        return "its context window is too small, or unknown"
    if requires.min_size is not None and (not trusting if size is None else size < requires.min_size):
        return "it is too small, or its size is unknown"
    if requires.max_size is not None and (not trusting if size is None else size > requires.max_size):
        return "it is too large, or its size is unknown"
    return ""


def requirements_in_words(requires: Requirements) -> str:
    """Return requirements in words; empty if there are none."""
    told = sorted(requires.capabilities)
    told += [f"reads {each}" for each in sorted(requires.modalities)]
    told += [f"good at {each}" for each in sorted(requires.expertise)]
    if requires.providers:
        told.append(f"at {' or '.join(requires.providers)}")
    if requires.context is not None:
        told.append(f"context of {requires.context:,} tokens")
    if requires.max_cost is not None:
        told.append(f"at most {exact_usd(requires.max_cost)} per million tokens")
    if requires.min_size is not None:
        told.append(f"at least {requires.min_size:g}B parameters")
    if requires.max_size is not None:
        told.append(f"at most {requires.max_size:g}B parameters")
    return ", ".join(told)


def _dearer(card: ModelCard, most: float) -> bool:
    prices = (card.input_price, card.output_price)
    return any(price is None or price > most for price in prices)


def _key(card: ModelCard, selection: Selection) -> tuple[float, ...]:
    quality = card.quality or _UNKNOWN_RANK
    speed = card.speed or _UNKNOWN_RANK
    price = _price(card)
    match selection:
        case "cost":
            return (price, -quality, -speed)
        case "speed":
            return (-speed, -quality, price)
        case "quality":
            return (-quality, price, -speed)
        case "balanced":
            # Quality counts twice: a worse answer is not made good by coming sooner.
            return (-(quality**2) * speed * _cheapness(price), price, -quality)


def _price(card: ModelCard) -> float:
    """Return the price of a million tokens of which three quarters are read, as in most steps; infinite if unknown."""
    if card.input_price is None or card.output_price is None:
        return math.inf
    return (3 * card.input_price + card.output_price) / 4


def _cheapness(price: float) -> float:
    """Return a rank from 0 to 5 that falls by as much for every tenfold price."""
    clamped = min(max(price, _CHEAPEST), _DEAREST)
    return 5 * math.log(_DEAREST / clamped) / math.log(_DEAREST / _CHEAPEST)


def _facts(card: ModelCard) -> str:
    told = []
    if card.quality is not None:
        told.append(f"quality {card.quality} of 5")
    if card.speed is not None:
        told.append(f"speed {card.speed} of 5")
    if card.free:
        told.append("free")
    elif card.input_price is None or card.output_price is None:
        told.append("of unknown price")
    else:
        prices = f"{exact_usd(card.input_price)} and {exact_usd(card.output_price)}"
        told.append(f"{prices} per million tokens read and written")
    return ", ".join(told)
