"""Searches of one process: with the settings of a project, within the rate of each provider, remembered for a while."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.web.engines import ENGINES, check_supported, read_results
from orchestrator.tools.web.queries import SearchResult
from orchestrator.tools.web.settings import WebSettings

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.tools.sandbox.permissions import Permissions
    from orchestrator.tools.web.engines import SearchEngine
    from orchestrator.tools.web.queries import SearchQuery

_TIMEOUT: Final = 20.0
_MAX_BYTES: Final = 5_000_000
_MOST_KEPT: Final = 500

Search = Callable[[], Awaitable[list[dict[str, Any]]]]


@runtime_checkable
class SearchRecorder(Protocol):
    """Records searches, or plays recordings of them."""

    async def search(self, request: Mapping[str, Any], search: Search, *, step: str) -> list[dict[str, Any]]:
        """Return the results of a search that `request` describes, for a step; `search` makes it."""


class WebSearch:
    """Searches the web. Safe to use from any thread and event loop."""

    def __init__(
        self,
        directory: Path,
        *,
        recorder: SearchRecorder | None = None,
        environ: Mapping[str, str] = os.environ,
        urls: Mapping[str, str] | None = None,
    ) -> None:
        """`urls` are other addresses of providers, by name."""
        self._directory = directory
        self._recorder = recorder
        self._environ = environ
        self._urls = urls or {}
        self._settings: WebSettings | None = None
        self._kept: OrderedDict[tuple[str, SearchQuery], tuple[float, list[SearchResult]]] = OrderedDict()
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    async def search(
        self, query: SearchQuery, permissions: Permissions, *, provider: str | None = None, step: str = ""
    ) -> tuple[str, list[SearchResult]]:
        """Return the name of the provider, and its results, at most `query.max_results`.

        Raises:
            StepError: The provider is not set up, cannot search like this, refuses or cannot be reached.
            ConfigurationError: The settings are invalid.
        """
        engine = ENGINES[provider or self._configured().provider]
        check_supported(query, engine)

        async def ask() -> list[dict[str, Any]]:
            return [result.data() for result in await self._remembered(engine, query, permissions)]

        if self._recorder is not None:
            found = await self._recorder.search(query.data(engine.name), ask, step=step)
            return engine.name, [SearchResult.restored(each) for each in found]
        return engine.name, await self._remembered(engine, query, permissions)

    def _configured(self) -> WebSettings:
        if self._settings is None:
            self._settings = WebSettings.load(self._directory)
        return self._settings

    async def _remembered(
        self, engine: SearchEngine, query: SearchQuery, permissions: Permissions
    ) -> list[SearchResult]:
        key = (engine.name, query)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        await self._turn(engine)
        if engine.name == "ddgs":
            from orchestrator.tools.web import metasearch

            found: list[SearchResult] = await run_in_thread(partial(metasearch.search, query))
        else:
            found = await self._asked(engine, query, permissions)
        found = found[: query.max_results]
        keep = self._configured().keep
        if keep > 0:
            with self._lock:
                self._kept[key] = (time.monotonic() + keep, found)
                self._kept.move_to_end(key)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return found

    async def _turn(self, engine: SearchEngine) -> None:
        """Wait until the provider accepts another search."""
        rate = self._configured().per_second or engine.per_second
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next.get(engine.name, now))
            self._next[engine.name] = start + 1 / rate
        await asyncio.sleep(start - now)

    async def _asked(self, engine: SearchEngine, query: SearchQuery, permissions: Permissions) -> list[SearchResult]:
        url = self._urls.get(engine.name) or engine.url or self._configured().searxng_url
        if not url:
            help = 'write `searxng_url = "https://..."` below `[web]` in orchestrator.toml'
            message = f"`{engine.name}` needs the address of a server"
            raise StepError(message, code=codes.INVALID_PARAMETER, help=help, retryable=False)
        headers = {"Accept": "application/json", **self._key(engine)}
        answer = await _fetched(engine, url, query, headers, _with_server(permissions, url))
        try:
            return list(read_results(engine, answer))
        except ValueError as error:
            raise StepError(
                f"`{engine.name}` answered in an unknown form: {error}", code=codes.HTTP_FAILED, retryable=False
            ) from None

    def _key(self, engine: SearchEngine) -> dict[str, str]:
        if not engine.key_variables:
            return {}
        for variable in engine.key_variables:
            if key := self._environ.get(variable, "").strip():
                name, before = engine.key_header
                return {name: f"{before}{key}"}
        raise StepError(
            f"`{engine.name}` needs a key",
            code=codes.INVALID_PARAMETER,
            help=f"set the environment variable {engine.key_variables[0]}, or choose another `provider`",
            retryable=False,
        )


def _with_server(permissions: Permissions, url: str) -> Permissions:
    """Return the permissions with the address that the settings name, which may be private."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return permissions.extended(hosts=[f"{parts.hostname}:{port}"])


async def _fetched(
    engine: SearchEngine, url: str, query: SearchQuery, headers: Mapping[str, str], permissions: Permissions
) -> Any:
    import httpx2

    from orchestrator.text.json_text import read_json
    from orchestrator.tools.builtin.http import retry_after
    from orchestrator.tools.sandbox.network import connection_problem, guarded_client, read_limited

    call = engine.request(query)
    try:
        async with asyncio.timeout(_TIMEOUT), guarded_client(permissions, _TIMEOUT) as client:
            sent = client.build_request(
                "GET" if call.json is None else "POST",
                f"{url.rstrip('/')}{call.path}",
                params=dict(call.params) or None,
                json=call.json,
                headers=dict(headers),
            )
            response = await client.send(sent, stream=True, follow_redirects=False)
            try:
                body = b"".join([piece async for piece in read_limited(response, _MAX_BYTES)])
            finally:
                await response.aclose()
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise StepTimeout(f"`{engine.name}` did not respond within {_TIMEOUT:g} s", seconds=_TIMEOUT) from error
    except httpx2.HTTPError as error:
        problem = connection_problem(error)
        raise StepError(f"`{engine.name}` cannot be reached: {problem}", code=codes.HTTP_FAILED) from error
    if response.status_code != 200:
        status = response.status_code
        after = retry_after(response.headers.get("retry-after", "")) if status in (429, 503) else None
        raise StepError(
            f"`{engine.name}` returned {status} {response.reason_phrase}".rstrip(),
            code=codes.HTTP_FAILED,
            help=_HELP.get((engine.name, status)) or _STATUS_HELP.get(status),
            retryable=status == 429 or status >= 500,
            retry_after=after,
        )
    try:
        return read_json(body.decode())
    except ValueError as error:
        raise StepError(f"`{engine.name}` did not answer with JSON: {error}", code=codes.HTTP_FAILED) from None


_HELP: Final = {("searxng", 403): "enable the format `json` of the server: `search: {formats: [html, json]}`"}
_STATUS_HELP: Final = {
    **dict.fromkeys((401, 403), "check the key, and what it permits"),
    402: "the account has no searches left",
    422: "check the parameters of the search",
    429: "search less often (`per_second` below `[web]`), or add a `retry` to the step",
}
