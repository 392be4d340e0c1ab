"""What is known of models without asking anybody: prices, how much they read and answer, what they can do."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.models.catalog import costs
from orchestrator.models.catalog.settings import ModelSettings
from orchestrator.models.messages import ModelName, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.models.catalog.providers import Provider

MODALITIES: Final = {"vision": "image", "audio": "audio", "video": "video", "files": "file"}
"""The input types other than text, by the capability that enables them."""

_SIZE = re.compile(r"(?:^|[-_:])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z0-9])")


class ModelCard(Struct, frozen=True):
    """What is known about one model. Prices in USD per million tokens, 0 if it is free; None means unknown.

    `size` in billions of parameters; `quality` and `speed` are rough ranks from 1 to 5. `certain`: `capabilities` are
    all that it has; otherwise it may have more. `image_price` is that of a picture, `image_output_price` that of its
    tokens, `minute_price` that of a minute of a recording, `character_price` that of a million characters.
    `deprecated`: its provider will end it, or has better ones.
    """

    name: ModelName
    context_window: int | None = None
    max_output: int | None = None
    input_price: float | None = None
    cached_price: float | None = None
    output_price: float | None = None
    image_price: float | None = None
    image_output_price: float | None = None
    minute_price: float | None = None
    character_price: float | None = None
    modalities: frozenset[str] = frozenset({"text"})
    capabilities: frozenset[str] = frozenset()
    size: float | None = None
    expertise: frozenset[str] = frozenset()
    quality: int | None = None
    speed: int | None = None
    deprecated: bool = False
    certain: bool = False

    def lacks(self, capability: str) -> bool:
        """Whether the model certainly cannot do this."""
        return self.certain and capability not in self.capabilities

    @property
    def free(self) -> bool:
        """Whether using it costs nothing."""
        return self.input_price == 0 and self.output_price == 0


class Catalogue(Struct, frozen=True):
    """What is known from `genai-prices`, the built-in table (`known.toml`) and the settings, which take precedence."""

    settings: ModelSettings = field(default_factory=ModelSettings)

    @classmethod
    def load(cls, directory: str | Path = ".") -> Catalogue:
        """Return the catalogue with the settings of `orchestrator.toml` in `directory`.

        Raises:
            ConfigurationError: The file has a setting that is unknown or of the wrong type.
        """
        return cls(ModelSettings.load(directory))

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers and the servers of the settings, by name."""
        return self.settings.providers

    @property
    def version(self) -> str:
        """What the catalogue was made of: the version of the prices and the date of the built-in table."""
        return f"genai-prices {costs.version()}, table of {_known()[0]}"

    def find(self, name: ModelName) -> ModelCard | None:
        """Return what is known of a model, or None if nothing is."""
        provider = self.providers.get(name.provider)
        if provider is None:
            return None
        override = self.settings.models.get(name)
        listed = costs.listed(provider, name.model)
        if listed is None and override is None and not provider.free:
            return None
        return _card(name, provider, listed, override)

    def cards(self, provider: str | None = None) -> list[ModelCard]:
        """Return the models that are known at a provider, or at all, of those that can do something; by name."""
        wanted = [self.providers[provider]] if provider else list(self.providers.values())
        return [card for each in wanted for card in self._of(each)]

    def cost(self, name: ModelName, usage: Usage) -> float | None:
        """Return what a call has cost in USD, or None if the price is not known."""
        provider = self.providers.get(name.provider)
        if provider is None:
            return None
        override = self.settings.models.get(name)
        if not {"input_price", "cached_price", "output_price"} & set(override or ()):
            return 0.0 if provider.free else costs.cost(provider, name.model, usage)
        card = self.find(name)
        return _cost(card, usage) if card else None

    def models_of(self, provider: str) -> list[str]:
        """Return the names of the models that are known at a provider."""
        return [card.name.model for card in self.cards(provider)]

    def makers_of(self, model: str) -> list[ModelName]:
        """Return a model's names at those who made it, where a name alone is understood."""
        own = [name for name in self.settings.models if name.model == model]
        return [*own, *self._named(model, makers=True)]

    def hosts_of(self, model: str) -> list[ModelName]:
        """Return a model's names at those who offer models of others."""
        return list(self._named(model, makers=False))

    def _named(self, model: str, *, makers: bool) -> Iterator[ModelName]:
        for provider in self.providers.values():
            if provider.maker == makers and (found := costs.listed(provider, model)) and _rule(found.id)["can"]:
                yield ModelName(provider.name, model)

    def _of(self, provider: Provider) -> Iterator[ModelCard]:
        found = {each.id: each for each in costs.models(provider) if _rule(each.id)["can"]}
        own = {
            name.model: override for name, override in self.settings.models.items() if name.provider == provider.name
        }
        for model in sorted({*found, *own}):
            listed = found.get(model) or costs.listed(provider, model)
            yield _card(ModelName(provider.name, model), provider, listed, own.get(model))


def _card(
    name: ModelName, provider: Provider, listed: costs.Listed | None, override: Mapping[str, Any] | None
) -> ModelCard:
    rule = _rule(name.model)
    capabilities = frozenset(rule["can"])
    card = ModelCard(
        name,
        context_window=(listed.context_window if listed else None) or rule["context_window"],
        max_output=rule["max_output"],
        input_price=0.0 if provider.free else listed.input_price if listed else None,
        cached_price=0.0 if provider.free else listed.cached_price if listed else None,
        output_price=0.0 if provider.free else listed.output_price if listed else None,
        image_price=0.0 if provider.free else rule["image_price"],
        image_output_price=0.0 if provider.free else rule["image_output_price"],
        minute_price=0.0 if provider.free else rule["minute_price"],
        character_price=0.0 if provider.free else rule["character_price"],
        capabilities=capabilities,
        size=_size(name.model),
        expertise=frozenset(rule["expertise"]),
        quality=rule["quality"],
        speed=rule["speed"],
        deprecated=rule["old"] or bool(listed and listed.deprecated),
        certain=bool(rule["match"]) and provider.maker,
    )
    if override is not None:
        card = replace(card, **override, certain=card.certain or "capabilities" in override)
    read = {kind for capability, kind in MODALITIES.items() if capability in card.capabilities}
    return replace(card, modalities=frozenset({"text", *read}))


def _cost(card: ModelCard, usage: Usage) -> float | None:
    cached = card.input_price if card.cached_price is None else card.cached_price
    parts = ((usage.input - usage.cached, card.input_price), (usage.cached, cached), (usage.output, card.output_price))
    total = 0.0
    for tokens, price in parts:
        if tokens:
            if price is None:
                return None
            total += tokens * price / 1_000_000
    return total


def _size(model: str) -> float | None:
    """Read a number of parameters from a name: `llama-3.1-8b`, `qwen3:0.6b`, `mixtral-8x7b`."""
    found = _SIZE.search(model.lower())
    return int(found[1] or 1) * float(found[2]) if found else None


def _rule(model: str) -> Mapping[str, Any]:
    """Return the rule of the built-in table for a model; the empty rule if none matches."""
    return _rule_of(model.lower().rpartition("/")[2])


_NOTHING: Final[Mapping[str, Any]] = {
    "match": "", "can": (), "context_window": None, "max_output": None, "quality": None, "speed": None, "expertise": (),
    "old": False, "image_price": None, "image_output_price": None, "minute_price": None, "character_price": None,
}  # fmt: skip


@cache
def _rule_of(name: str) -> Mapping[str, Any]:
    for pattern, rule in _known()[1]:
        if pattern.search(name):
            return rule
    return _NOTHING


@cache
def _known() -> tuple[str, list[tuple[re.Pattern[str], Mapping[str, Any]]]]:
    """Return the date of the built-in table, and its rules."""
    table = tomllib.loads(files("orchestrator.models").joinpath("known.toml").read_text("utf-8"))
    return str(table["date"]), [(re.compile(rule["match"]), {**_NOTHING, **rule}) for rule in table["rule"]]
