"""Which model `auto` means here, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.distribution import install_command
from orchestrator.models.catalog.names import AUTO, OFFLINE, NameProblem, parse_model_name
from orchestrator.models.clients.endpoints import missing_extra
from orchestrator.models.messages import ModelName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys


def auto_model(catalogue: Catalogue, keys: Keys, ollama: Sequence[str] = ()) -> tuple[ModelName, str]:
    """Return the model that `auto` means, and the reason in words. `ollama`: the models of a running Ollama.

    The default of the settings; else a small model of the first provider whose key is at hand; else the first model of
    Ollama that can answer; else the model by rules. A provider whose packages are not installed is passed over.

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
    found, passed_over = _first(catalogue, keys, ollama)
    lacking = [
        f"{reason}, but its packages are not installed ({install_command(extra)})" for reason, extra in passed_over
    ]
    if found is not None:
        name, reason = found
        return name, "; ".join((reason, *lacking))
    if lacking:
        return OFFLINE, "; ".join((*lacking, "so this is no language model"))
    reason = "there is no key of a provider (orchestrator keys set PROVIDER) and no running Ollama"
    return OFFLINE, f"{reason}: this is no language model"


def _first(
    catalogue: Catalogue, keys: Keys, ollama: Sequence[str]
) -> tuple[tuple[ModelName, str] | None, list[tuple[str, str]]]:
    """Return the first model that can be asked, with the reason, and what would go before it with which extra."""
    lacking: list[tuple[str, str]] = []
    for name, reason in _wanted(catalogue, keys, ollama):
        missing = missing_extra(catalogue.providers[name.provider])
        if missing is None:
            return (name, reason), lacking
        if (said := (reason, missing.extra)) not in lacking:
            lacking.append(said)
    return None, lacking


def _wanted(catalogue: Catalogue, keys: Keys, ollama: Sequence[str]) -> Iterator[tuple[ModelName, str]]:
    """Yield the models that there is access to, the first one first."""
    for provider in catalogue.providers.values():
        key = keys.find(provider) if provider.default else None
        if key is not None:
            where = "in the environment" if key.source == "environment" else "stored"
            yield ModelName(provider.name, provider.default), f"{key.variable} is {where}"
    for model in ollama:
        name = ModelName("ollama", model)
        card = catalogue.find(name)
        if card is None or card.capabilities != {"embeddings"}:
            yield name, "Ollama runs here"
