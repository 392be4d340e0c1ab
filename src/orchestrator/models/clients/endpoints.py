"""Where a model is asked: at which provider, which address, with which key. Nothing here loads an SDK."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal

from orchestrator.errors import MissingExtra, ModelMissing
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.catalog.providers import PROVIDERS, Provider
from orchestrator.remedies import StoreKey
from orchestrator.text.representation import PartlyShown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.messages import ModelName
    from orchestrator.remedies import Remedy


class Endpoint(PartlyShown, frozen=True):
    """One place where models are asked. Without an address it is where the provider's own library asks.

    `api` chooses between the two protocols of OpenAI. By default OpenAI itself is asked by its Responses API, and
    custom servers by the Chat Completions API, which all of them have.
    """

    hidden: ClassVar = ("key",)

    provider: Provider
    base_url: str = ""
    key: str | None = None
    api: Literal["responses", "chat"] | None = None


def endpoint_of(name: ModelName, providers: Mapping[str, Provider] = PROVIDERS, keys: Keys | None = None) -> Endpoint:
    """Return the endpoint of a model, with its API key.

    Raises:
        ModelMissing: No provider has this name, or it has no address or no key here.
    """
    keys = keys or Keys.load()
    provider = providers.get(name.provider)
    if provider is None:
        raise _missing(name, f"unknown provider in `{name}`", f"providers are {', '.join(providers)}")
    base_url = provider.url(keys.environ)
    if provider.kind == "openai" and not base_url and provider.name != "openai":
        where = " or ".join((*provider.url_variables, "`base_url` in orchestrator.toml"))
        raise _missing(name, f"`{name}` cannot be called: {provider.title} has no address", f"set it in {where}")
    key = keys.find(provider)
    if key is None and provider.needs_key:
        help, remedy = how_to_give_key(provider)
        raise _missing(name, f"`{name}` cannot be called: no API key for {provider.title}", help, remedy)
    return Endpoint(provider, base_url, (key.value or None) if key else None)


def how_to_give_key(provider: Provider) -> tuple[str, StoreKey]:
    """Return the help and the remedy for a missing key of a provider."""
    variable = provider.key_variables[0] if provider.key_variables else f"{provider.name.upper()}_API_KEY"
    return f"set {variable}", StoreKey(provider.name)


_SDKS = {
    "openai": ("openai",),
    "anthropic": ("anthropic",),
    "google": ("google.genai",),
    # Its router speaks OpenAI's protocol.
    "huggingface": ("openai",),
    "ollama": ("openai",),
    "mistral": ("mistralai",),
    "groq": ("groq",),
    "bedrock": ("boto3",),
}
_MODULES = {kind: ("pydantic_ai", *modules) for kind, modules in _SDKS.items()} | {
    "transformers": ("transformers", "torch")
}
"""What each kind of provider needs. The extra has the name of the kind."""


def missing_extra(provider: Provider) -> MissingExtra | None:
    """Return the error for a provider whose packages are not installed. None of them is loaded to find out."""
    modules = _MODULES.get(provider.kind)
    if modules is None or all(_is_there(module) for module in modules):
        return None
    return MissingExtra(f"models of {provider.title} need a package that is not installed", extra=provider.kind)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False


def _missing(name: ModelName, message: str, help: str, *remedies: Remedy) -> ModelMissing:
    return ModelMissing(message, provider=name.provider, model=name.model, help=help, remedies=remedies)
