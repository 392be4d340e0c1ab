"""How models are named: `openai:gpt-5-mini`, `openai/gpt-5-mini`, `gpt-5-mini`, `auto`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from orchestrator.diagnostics import suggest
from orchestrator.errors import ModelMissing
from orchestrator.models.catalog.providers import SPELLINGS
from orchestrator.models.messages import ModelName
from orchestrator.remedies import ListModels, Remedy
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from orchestrator.models.catalog.providers import Provider

AUTO_MODEL: Final = ModelName("auto", "auto")
"""Stands for the default model, which is chosen when a run needs one."""

_SEPARATOR = re.compile(r"[:/]")
_TAG = re.compile(r"latest|[0-9.]+[bm](-.*)?", re.IGNORECASE)


class KnownModels(Protocol):
    """Where names are looked up; the catalogue is one."""

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers and the servers of the settings, by name."""

    def makers_of(self, model: str) -> list[ModelName]:
        """Return a model's names at those who made it."""

    def hosts_of(self, model: str) -> list[ModelName]:
        """Return a model's names at the other providers that offer it."""

    def models_of(self, provider: str) -> Iterable[str]:
        """Return the models of a provider that are known."""

    def find(self, name: ModelName) -> object | None:
        """Return what is known of a model, by any name that its provider takes, or None."""


class NameProblem(Struct, frozen=True):
    """Why a text is not a model name. `suggestion`, if any, is the replacement."""

    message: str
    help: str
    suggestion: str | None = None
    remedies: tuple[Remedy, ...] = ()

    def error(self) -> ModelMissing:
        """Return it as an error, for places without a file."""
        return ModelMissing(self.message, help=self.help, remedies=self.remedies)


def parse_model_name(text: str, known: KnownModels) -> ModelName | NameProblem:
    """Return the model that a text names.

    The part before the first `:` or `/` is a provider or a server of the settings if it is one. Any model may be named
    at those: there are newer ones than the catalogue knows. A name alone must be known, and is that of its maker.
    """
    name = text.strip()
    if not name:
        return NameProblem("the name of the model is empty", "write for example `openai:gpt-5-mini`")
    if name == str(AUTO_MODEL):
        return AUTO_MODEL
    before, separator, rest = _split(name)
    provider = provider_named(before, known.providers)
    if separator and provider is not None:
        if not rest.strip():
            return NameProblem(f"`{name}` names a provider, but no model", f"write `{provider}:` and the model")
        return ModelName(provider, rest.strip())
    makers = known.makers_of(name)
    if makers:
        return makers[0]
    if provider is not None:
        example = known.providers[provider].default or next(iter(known.models_of(provider)), "MODEL")
        return NameProblem(
            f"`{name}` is a provider; the name of the model is missing", f"write for example `{provider}:{example}`"
        )
    if separator == ":" or (separator and suggest(before, _names(known))):
        return _unknown_provider(name, before, rest, known)
    return _unknown_model(name, known)


def misspelt(name: ModelName, known: KnownModels) -> str | None:
    """Return the known model of the same provider that was probably meant, if this one is not known and one is near."""
    if name.provider not in known.providers or known.find(name) is not None:
        return None
    # Other numbers are another version, and probably a newer one than is known here.
    alike = [model for model in known.models_of(name.provider) if _digits(model) == _digits(name.model)]
    return suggest(name.model, alike)


def provider_named(text: str, providers: Container[str]) -> str | None:
    """Return the provider that a text names, in any spelling and case."""
    if text in providers:
        return text
    folded = text.strip().lower()
    found = SPELLINGS.get(folded, folded)
    return found if found in providers else None


def _split(name: str) -> tuple[str, str, str]:
    found = _SEPARATOR.search(name)
    if found is None:
        return name, "", ""
    return name[: found.start()], found[0], name[found.end() :]


def _digits(model: str) -> list[str]:
    return re.findall(r"\d+", model)


def _names(known: KnownModels) -> list[str]:
    return [*known.providers, *SPELLINGS]


def _unknown_provider(name: str, before: str, rest: str, known: KnownModels) -> NameProblem:
    message = f"unknown provider `{before}` in `{name}`"
    near = suggest(before, _names(known))
    if near is not None and rest:
        meant = f"{SPELLINGS.get(near, near)}:{rest}"
        return NameProblem(message, f"did you mean `{meant}`?", meant)
    if _TAG.fullmatch(rest):
        return NameProblem(message, f"write `ollama:{name}` if it is a model of Ollama", f"ollama:{name}")
    listed = quoted_list(known.providers)
    return NameProblem(message, f"the providers are {listed}; for a custom server, add a table `[servers.{before}]`")


def _unknown_model(name: str, known: KnownModels) -> NameProblem:
    message = f"unknown model `{name}` without a provider"
    hosts = known.hosts_of(name)
    if hosts and "/" in name:
        hosts.insert(0, ModelName("huggingface", name))
    if hosts:
        listed = quoted_list(hosts[:3], last="or")
        suggestion = str(hosts[0]) if len(hosts) == 1 else None
        return NameProblem(f"`{name}` is offered by several providers", f"name one of them: {listed}", suggestion)
    for provider, each in known.providers.items():
        if each.default and each.default.startswith(f"{name.lower()}-"):  # the name of a family, such as `claude`
            meant = f"{provider}:{each.default}"
            return NameProblem(message, f"did you mean `{meant}`?", meant)
    models = {
        model: provider
        for provider, each in known.providers.items()
        if each.maker
        for model in known.models_of(provider)
    }
    near = suggest(name, models)
    if near is not None:
        meant = f"{models[near]}:{near}"
        return NameProblem(message, f"did you mean `{meant}`?", meant)
    if "/" in name:
        meant = f"huggingface:{name}"
        return NameProblem(message, f"write for example `{meant}`, if that provider offers it", meant)
    help = f"write it as `provider:model`, for example `ollama:{name}`"
    return NameProblem(message, help, remedies=(ListModels(),))
