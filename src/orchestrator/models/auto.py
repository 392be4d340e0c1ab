"""Which model `auto` means here, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.models.exchange import ModelName
from orchestrator.models.names import AUTO, OFFLINE, NameProblem, parse_model_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.models.catalogue import Catalogue
    from orchestrator.models.keys import Keys


def auto_model(catalogue: Catalogue, keys: Keys, ollama: Sequence[str] = ()) -> tuple[ModelName, str]:
    """Return the model that `auto` means, and the reason in words. `ollama`: the models of a running Ollama.

    The default of the settings; else a small model of the first provider whose key is at hand; else the first model of
    Ollama that can answer; else the model by rules.

    Raises:
        ModelMissing: The default of the settings names no model.
        ConfigurationError: The file of keys cannot be used.
    """
    default = catalogue.settings.default
    if default is not None:
        name = parse_model_name(default, catalogue)
        if isinstance(name, NameProblem):
            raise name.error()
        if name != AUTO:
            return name, "it is the default in orchestrator.toml"
    for provider in catalogue.providers.values():
        key = keys.find(provider) if provider.default else None
        if key is not None:
            where = "in the environment" if key.source == "environment" else "stored"
            return ModelName(provider.name, provider.default), f"{key.variable} is {where}"
    for model in ollama:
        name = ModelName("ollama", model)
        card = catalogue.find(name)
        if card is None or card.capabilities != {"embeddings"}:
            return name, "Ollama runs here, and no key of a provider was found"
    return OFFLINE, "there is no key of a provider and no running Ollama: this is no language model"
