"""HTTP that can only reach permitted addresses: each connection uses an address that was checked after resolving.

The check is below the client, where the socket is opened, so that it also applies to redirects, and to names whose
address changes between two lookups. Importing this module loads httpx2.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from functools import cache
from typing import TYPE_CHECKING

import httpcore2
import httpx2
from httpcore2 import AnyIOBackend

from orchestrator import codes
from orchestrator.errors import StepError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable

    from orchestrator.tools.sandbox.permissions import Permissions

_MOST_REDIRECTS = 10
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent"})


@cache
def _tls() -> ssl.SSLContext:
    """Return the trusted certificates, loaded once because loading takes longer than a request."""
    return httpx2.create_ssl_context()


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections to permitted addresses only."""

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self._backend = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore2
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        end = None if timeout is None else time.monotonic() + timeout
        failure: Exception = httpcore2.ConnectError("the name has no address")
        for address in await self._permitted(host, port):
            left = None if end is None else max(end - time.monotonic(), 0.001)
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout=left, local_address=local_address, socket_options=socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _permitted(self, host: str, port: int) -> list[str]:
        """Resolve a name and return its permitted addresses. Raises PermissionDenied if none is permitted."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError("the name cannot be resolved") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        judged = [(address, self._permissions.check_host(host, port, [address])) for address in addresses]
        permitted = [address for address, refusal in judged if refusal is None]
        for _, refusal in judged:
            if refusal is not None and not permitted:
                raise refusal.error()
        return permitted

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's transport over permitted connections. Proxies from the environment are not used."""

    def __init__(self, permissions: Permissions) -> None:
        # The base class has no parameter for the network backend, so its only attribute is set here.
        self._pool = httpcore2.AsyncConnectionPool(ssl_context=_tls(), network_backend=_GuardedBackend(permissions))


async def open_connection(
    permissions: Permissions,
    host: str,
    port: int,
    timeout: float,  # noqa: ASYNC109 - as above
) -> httpcore2.AsyncNetworkStream:
    """Open a connection to a permitted address.

    Raises:
        PermissionDenied: No address of the host is permitted.
        ConnectError: It cannot be reached (an exception of httpcore2, as is a timeout).
    """
    return await _GuardedBackend(permissions).connect_tcp(host, port, timeout)


def guarded_client(permissions: Permissions, timeout: float) -> httpx2.AsyncClient:
    """Return a client that can only reach permitted addresses."""
    return httpx2.AsyncClient(transport=GuardedTransport(permissions), timeout=timeout, trust_env=False)


async def send_request(client: httpx2.AsyncClient, request: httpx2.Request, *, follow: bool) -> httpx2.Response:
    """Send a request and follow redirects; the caller reads the body.

    A redirect to another origin drops all headers from the pipeline, which may contain keys.
    """
    given = [name for name in request.headers if name not in _HARMLESS]
    for _ in range(_MOST_REDIRECTS + 1):
        response = await client.send(request, stream=True, follow_redirects=False)
        following = response.next_request
        if not follow or following is None:
            return response
        await response.aclose()
        if following.url.scheme not in ("http", "https"):
            raise StepError(
                f"{safe_url(str(request.url))} redirects to a `{following.url.scheme}:` URL",
                code=codes.HTTP_FAILED,
                retryable=False,
            )
        following = _redirected(request, following, response.status_code)
        if _origin(following.url) != _origin(request.url):
            for name in given:
                if name not in ("host", "accept-encoding", "connection", "content-length", "transfer-encoding"):
                    following.headers.pop(name, None)
        request = following
    raise StepError(f"{safe_url(str(request.url))} redirects more than {_MOST_REDIRECTS} times", code=codes.HTTP_FAILED)


def _redirected(request: httpx2.Request, following: httpx2.Request, status: int) -> httpx2.Request:
    """Return the request that follows a redirect, with the method and the content required by RFC 9110, 15.4.

    After 303, and for a POST after 301 and 302, it is a GET (or still a HEAD); all others keep method and content.
    httpx turns any request into a GET after a 302, as browsers do, so a DELETE would end as a successful GET.
    """
    method = request.method
    changed = method not in ("GET", "HEAD") and (status == 303 or (status in (301, 302) and method == "POST"))
    headers = following.headers.copy()
    for name in [name for name in headers if name.startswith("content-") or name == "transfer-encoding"]:
        del headers[name]
    if changed:
        return httpx2.Request("GET", following.url, headers=headers, extensions=following.extensions)
    for name, value in request.headers.items():
        if name.startswith("content-") or name == "transfer-encoding":
            headers[name] = value
    return httpx2.Request(
        method, following.url, headers=headers, stream=request.stream, extensions=following.extensions
    )


async def read_limited(response: httpx2.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the decoded body in pieces, and refuse a body longer than `max_bytes`."""
    if "," in response.headers.get("content-encoding", ""):  # each layer can expand a thousandfold
        raise StepError("the response is compressed more than once", code=codes.HTTP_FAILED, retryable=False)
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > max_bytes:
            raise StepError(
                f"the response of {safe_url(str(response.url))} is longer than the limit of {max_bytes:,} bytes",
                code=codes.HTTP_FAILED,
                help="increase `max_bytes`, or download it to a file",
                retryable=False,
            )
        yield piece


def public_url(url: httpx2.URL) -> str:
    """Return a URL for records: without user, password, query and fragment, with the host name in Unicode."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = f":{url.port}" if url.port else ""
    path = url.raw_path.partition(b"?")[0].decode("ascii")
    return f"{url.scheme}://{host}{port}{path}"


def safe_url(url: str) -> str:
    """Return a URL for messages: without user, password, query and fragment, which may contain keys."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return "the address"
    port = f":{parsed.port}" if parsed.port else ""
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    origin = f"{parsed.scheme}://{host}{port}" if parsed.scheme or host else ""
    return f"`{origin}{parsed.path}`"


def connection_problem(error: BaseException) -> str:
    """Return the system's error for a connection, which libraries hide: "connection refused"."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, OSError) and cause.errno is not None and cause.errno in errno.errorcode:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or "the connection was lost"


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
