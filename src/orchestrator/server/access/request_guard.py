"""Where requests may come from: the names of the server, and the pages of which sites; for every route and stream."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.server.problems import problem_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - addresses that are compared, not listened at
_OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What probes ask, by whatever address they know."""

_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class RequestGuard:
    """Refuses requests for other names, and those that the pages of other sites send; adds headers for browsers.

    It is what protects a server on a loopback address from a page that resolves its own name to that address.
    """

    def __init__(self, app: ASGIApp, *, names: frozenset[str], origins: frozenset[str], largest_body: int) -> None:
        """`largest_body` in bytes; one whose length is not announced is counted by what reads it."""
        self._app = app
        self._names = names
        self._origins = origins
        self._largest_body = largest_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope["scheme"], scope["path"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, with_headers)
        else:
            await problem_response(refusal)(scope, receive, with_headers)

    def _refusal(self, scheme: str, path: str, headers: Headers) -> RequestError | None:
        if path in _OPEN:
            return None
        host = headers.get("host", "")
        if _name(host) not in self._names:
            return _refused(
                f"this server is not called `{host}`", 421, "add the name to `names` in [serve] of orchestrator.toml"
            )
        origin = headers.get("origin")
        if origin is not None and origin != f"{scheme}://{host}" and origin not in self._origins:
            return _refused(
                f"pages of `{origin}` may not use this server",
                403,
                "add the site to `origins` in [serve] of orchestrator.toml",
            )
        crosses = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if origin is None and crosses and headers.get("sec-fetch-mode") != "navigate":
            return _refused("pages of other sites may not use this server", 403, "open it directly")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 15 or int(length) > self._largest_body:
            return body_too_large(self._largest_body)
        return None


def served_names(host: str, names: Iterable[str]) -> frozenset[str]:
    """Return the names under which a server that listens at `host` can be reached, with those that are configured."""
    found = {_name(name) for name in names}
    if host in LOOPBACK:
        return frozenset({*found, *LOOPBACK})
    if host in _ANY:
        return frozenset({*found, *LOOPBACK, socket.gethostname().lower()})
    return frozenset({*found, host.lower()})


def _name(host: str) -> str:
    """Return the name in a `Host` header, without its port; empty if it is not one."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def body_too_large(largest: int) -> RequestError:
    """Return the error of a request with too many bytes."""
    return _refused(f"the request has more than {largest:,} bytes", 413, "let the tools of a pipeline read large files")


def _refused(message: str, status: int, help: str) -> RequestError:
    return RequestError(message, status=status, code=codes.REQUEST_REFUSED, help=help)
