"""Checks whether providers are reachable and accept the key, with their lists of models: calls that cost nothing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import httpx2

    from orchestrator.models.catalog.keys import Key, Keys
    from orchestrator.models.catalog.providers import Provider

TIMEOUT: Final = 10.0
_PATIENCE_AT_HOME: Final = 2.0
_MAX_BYTES: Final = 16 * 1024 * 1024
_ANTHROPIC_VERSION: Final = "2023-06-01"

_URLS: Final = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "groq": "https://api.groq.com",
}
"""Where the providers are whose own libraries know it."""

_PATHS: Final = {"anthropic": "/v1/models", "google": "/v1beta/models?pageSize=1000", "groq": "/openai/v1/models",
                 "mistral": "/v1/models"}  # fmt: skip


class Probe(Struct, frozen=True):
    """The response of a provider. `problem` is empty if it accepts the key; `models` are those that it lists."""

    provider: str
    problem: str = ""
    models: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the provider is reachable and accepts the key."""
        return not self.problem


async def probe_all(providers: Iterable[Provider], keys: Keys) -> list[Probe]:
    """Check several providers in parallel; return the results in their order."""
    import asyncio

    return list(await asyncio.gather(*(probe(provider, keys) for provider in providers)))


async def probe(provider: Provider, keys: Keys) -> Probe:
    """Ask one provider for its models. Errors are part of the result; a key never is.

    Raises:
        ConfigurationError: The file of keys cannot be used.
    """
    import httpx2

    key = keys.find(provider)
    if key is None and provider.needs_key:
        return Probe(provider.name, "no API key")
    if provider.kind == "transformers":
        return Probe(provider.name)
    request = _request(provider, key, keys.environ)
    if request is None:
        return Probe(provider.name, "it cannot be checked without a call that costs money")
    url, headers = request
    begun = time.perf_counter()
    patience = provider.timeout or (_PATIENCE_AT_HOME if provider.free else TIMEOUT)
    try:
        async with httpx2.AsyncClient(timeout=patience, follow_redirects=False) as client:
            status, content = await _get(client, url, headers)
    except httpx2.TimeoutException:
        return Probe(provider.name, f"no answer within {patience:g} s")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return Probe(provider.name, f"it cannot be reached: {type(error).__name__}")
    seconds = time.perf_counter() - begun
    if status in (401, 403):
        where = f"the key in {key.variable} is rejected" if key else "it requires a key"
        return Probe(provider.name, f"{where} (status {status})", seconds=seconds)
    if status != 200:
        return Probe(provider.name, f"it answered with status {status}", seconds=seconds)
    return Probe(provider.name, models=_models(content), seconds=seconds)


def _request(provider: Provider, key: Key | None, environ: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    """Return the address to ask and the headers that hold the key."""
    value = key.value if key else ""
    if provider.kind == "bedrock":
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        base = provider.url(environ) or f"https://bedrock.{region}.amazonaws.com"
        return (f"{base}/foundation-models", {"authorization": f"Bearer {value}"}) if value else None
    base = provider.url(environ) or _URLS.get(provider.kind, "")
    if not base:
        return None
    if provider.name == "openrouter":  # its list of models is public, so it would prove nothing
        return f"{base}/key", {"authorization": f"Bearer {value}"}
    if provider.kind == "huggingface" and base == provider.base_url and "huggingface.co" in base:
        return "https://huggingface.co/api/whoami-v2", {"authorization": f"Bearer {value}"}
    headers = {"authorization": f"Bearer {value}"} if value else {}
    if provider.kind == "anthropic":
        headers = {"x-api-key": value, "anthropic-version": _ANTHROPIC_VERSION}
    elif provider.kind == "google":
        headers = {"x-goog-api-key": value}
    return base + _PATHS.get(provider.kind, "/models"), headers


async def _get(client: httpx2.AsyncClient, url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    content = b""
    async with client.stream("GET", url, headers=headers) as response:
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _MAX_BYTES:
                break
        return response.status_code, content


def _models(content: bytes) -> tuple[str, ...]:
    """Read the names out of a list of models: `{data: [{id}]}`, or Google's `{models: [{name}]}`."""
    try:
        answer = json.loads(content)
    except ValueError:
        return ()
    listed = (answer.get("data") or answer.get("models")) if isinstance(answer, dict) else answer
    return tuple(name for each in listed if (name := _name(each))) if isinstance(listed, list) else ()


def _name(entry: Any) -> str:
    name = (entry.get("id") or entry.get("name")) if isinstance(entry, dict) else None
    return name.removeprefix("models/") if isinstance(name, str) else ""
