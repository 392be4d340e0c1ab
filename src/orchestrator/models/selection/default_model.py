"""Which model `auto` stands for here, and why."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from orchestrator.distribution import install_command
from orchestrator.errors import ModelMissing
from orchestrator.models.catalog.names import AUTO_MODEL, NameProblem, parse_model_name
from orchestrator.models.clients.endpoints import missing_extra
from orchestrator.models.messages import ModelName
from orchestrator.remedies import Replay, StoreKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys

_CONNECT_SECONDS: Final = 0.3


def default_model(catalogue: Catalogue, keys: Keys, ollama: Sequence[str] = ()) -> tuple[ModelName, str]:
    """Return the model that `auto` stands for, and the reason in words. `ollama`: the models of a running Ollama.

    It is the default of the settings; else a small model of the first provider whose key is set; else the first text
    model of Ollama. Providers whose packages are not installed are skipped.

    Raises:
        ModelMissing: No model is available, or the default of the settings is invalid.
        ConfigurationError: The file of keys cannot be used.
    """
    default = catalogue.settings.default
    if default is not None:
        name = parse_model_name(default, catalogue)
        if isinstance(name, NameProblem):
            raise name.error()
        if name != AUTO_MODEL:
            return name, "it is the default in orchestrator.toml"
    found, skipped = _first_installed(catalogue, keys, ollama)
    lacking = [f"{reason}, but its packages are not installed ({install_command(extra)})" for reason, extra in skipped]
    if found is None:
        problem = "; ".join(lacking) or "no API key of a provider is set, and Ollama is not running"
        raise no_model(f"no model is available for `auto`: {problem}")
    name, reason = found
    return name, "; ".join((reason, *lacking))


def no_model(message: str) -> ModelMissing:
    """Return the error for a machine on which nothing answers for `auto`."""
    help = "start Ollama or set the API key of a provider"
    return ModelMissing(message, help=help, remedies=[StoreKey(), Replay()])


def ollama_is_running(catalogue: Catalogue, keys: Keys) -> bool:
    """Whether something accepts connections at the address of Ollama, and its packages are installed here."""
    provider = catalogue.providers["ollama"]
    if missing_extra(provider) is not None:
        return False
    try:
        address = urlsplit(provider.url(keys.environ))
        port = address.port or (443 if address.scheme == "https" else 80)
        with socket.create_connection((address.hostname or "", port), timeout=_CONNECT_SECONDS):
            return True
    except (OSError, ValueError):
        return False


def _first_installed(
    catalogue: Catalogue, keys: Keys, ollama: Sequence[str]
) -> tuple[tuple[ModelName, str] | None, list[tuple[str, str]]]:
    """Return the first model that can be called, with the reason, and the reasons and extras of those before it."""
    skipped: list[tuple[str, str]] = []
    for name, reason in _accessible(catalogue, keys, ollama):
        missing = missing_extra(catalogue.providers[name.provider])
        if missing is None:
            return (name, reason), skipped
        if (said := (reason, missing.extra)) not in skipped:
            skipped.append(said)
    return None, skipped


def _accessible(catalogue: Catalogue, keys: Keys, ollama: Sequence[str]) -> Iterator[tuple[ModelName, str]]:
    """Yield the models that a key or a running server gives access to, in the order of preference."""
    for provider in catalogue.providers.values():
        key = keys.find(provider) if provider.default else None
        if key is not None:
            where = "in the environment" if key.source == "environment" else "stored"
            yield ModelName(provider.name, provider.default), f"{key.variable} is {where}"
    for model in ollama:
        name = ModelName("ollama", model)
        card = catalogue.find(name)
        if card is None or card.capabilities != {"embeddings"}:
            yield name, "Ollama is running"
