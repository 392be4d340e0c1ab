"""Where requests may come from: the names of the server, and the pages of which sites; for every route and stream."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.journal.retry import store_patience
from orchestrator.server.problems import problem_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - addresses that are compared, not listened at
_OPEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What probes ask, by whatever address they know."""

BODY_SECONDS: Final = 60.0
"""How long a client may take to send the body of a request."""

STREAMED: Final = frozenset({"/v1/batches"})
"""Paths to which bodies of any length are sent: they are read in pieces, each of which has its limit."""
LARGEST_STREAM: Final = 1 << 40

LARGEST_LOGIN: Final = 4_000
"""Bytes of a body that is read without knowing who sends it."""

STORE_SECONDS: Final = 1.0
"""How long a request waits for a store that cannot be reached: then it is refused, and the client can repeat it."""

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

        if scope["path"] not in STREAMED:
            store_patience.set(STORE_SECONDS)
        refusal = self._refusal(scope["scheme"], scope["path"], Headers(scope=scope))
        if refusal is None:
            in_time = receive if scope["path"] in STREAMED else _in_time(receive)
            await self._app(scope, in_time, with_headers)
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
            help = "add the site to `origins` in [serve] of orchestrator.toml"
            if origin == f"https://{host}":
                help = "the proxy must send `X-Forwarded-Proto`, and be in `proxies` in [serve] of orchestrator.toml"
            return _refused(f"pages of `{origin}` may not use this server", 403, help)
        crosses = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if origin is None and crosses and headers.get("sec-fetch-mode") != "navigate":
            return _refused("pages of other sites may not use this server", 403, "open it directly")
        length = headers.get("content-length", "0")
        largest = largest_body(path, self._largest_body)
        if not length.isdecimal() or len(length) > 15 or int(length) > largest:
            return body_too_large(largest)
        return None


def _in_time(receive: Receive) -> Receive:
    """Return what receives a body and raises HTTPException if it takes too long; what comes later has no limit."""
    loop = asyncio.get_running_loop()
    until = loop.time() + BODY_SECONDS
    complete = False

    async def receive_in_time() -> Message:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the request was not sent within {BODY_SECONDS:g} seconds") from None
        complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return receive_in_time


def served_names(host: str, names: Iterable[str]) -> frozenset[str]:
    """Return the names under which a server that listens at `host` can be reached, with those that are configured."""
    found = {_name(name) for name in names}
    if is_loopback(host):
        return frozenset({*found, *LOOPBACK, _name(f"[{host}]" if ":" in host else host)})
    if host in _ANY:
        return frozenset({*found, *LOOPBACK, socket.gethostname().lower()})
    return frozenset({*found, host.lower()})


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's own, which no other machine reaches."""
    if host.lower() in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return the name in a `Host` header, without its port; empty if it is not one."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def largest_body(path: str, usual: int) -> int:
    """Return how many bytes a body that is sent to a path may have."""
    return LARGEST_STREAM if path in STREAMED else LARGEST_LOGIN if path == "/v1/session" else usual


def body_too_large(largest: int) -> RequestError:
    """Return the error of a request with too many bytes."""
    return _refused(f"the request has more than {largest:,} bytes", 413, "let the tools of a pipeline read large files")


def _refused(message: str, status: int, help: str) -> RequestError:
    return RequestError(message, status=status, code=codes.REQUEST_REFUSED, help=help)
