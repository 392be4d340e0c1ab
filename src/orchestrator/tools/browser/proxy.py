"""The only way of a browser to the network: a local proxy that connects to permitted addresses, and counts bytes.

It sees every connection of every page: documents, redirects, scripts, workers, sockets and downloads. TLS passes
through it unread. The browser must give a random password, so that neither other programs nor its own updates can use
the proxy.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import h11
import httpcore2
import httpx2

from orchestrator.errors import PermissionDenied
from orchestrator.tools.sandbox.network import GuardedTransport, connection_problem, open_connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from types import TracebackType
    from typing import Self

    from orchestrator.tools.sandbox.permissions import Permissions

_CHUNK: Final = 64 * 1024
_LONGEST_HEAD: Final = 64 * 1024
_CONNECT_TIMEOUT: Final = 30.0
_MOST_NAMED: Final = 50
_HOP_BY_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
_USER: Final = "orchestrator"


class FilteringProxy:
    """Serves one browser, within the permissions of a run, until it has received `max_bytes`.

    `refused` and `failed` are what the browser did not reach, by host and port, with the reason; `received` is counted
    in bytes.
    """

    def __init__(self, permissions: Permissions, max_bytes: int, on_exceeded: Callable[[], object]) -> None:
        self.refused: dict[str, PermissionDenied] = {}
        self.failed: dict[str, str] = {}
        self.received = 0
        self._permissions = permissions
        self._max_bytes = max_bytes
        self._on_exceeded = on_exceeded
        self._password = secrets.token_urlsafe(24)
        self._connections: set[asyncio.Task[Any] | None] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def exceeded(self) -> bool:
        """Whether the browser has received too much."""
        return self.received > self._max_bytes

    @property
    def access(self) -> dict[str, str]:
        """Where it is, and what the browser must say, as Playwright expects it."""
        # Without `<-loopback>` the browser would connect to addresses of this machine itself.
        server = f"http://127.0.0.1:{self._port}"
        return {"server": server, "username": _USER, "password": self._password, "bypass": "<-loopback>"}

    async def __aenter__(self) -> Self:
        """Listen on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_LONGEST_HEAD)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it and all its connections."""
        if self._server is not None:
            self._server.close()
        tasks = [task for task in self._connections if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._connections.add(task)
        try:
            await self._serve(_BrowserConnection(reader, writer))
        except (OSError, h11.ProtocolError, httpx2.HTTPError, httpcore2.NetworkError, httpcore2.TimeoutException):
            pass  # one of the ends has gone
        except asyncio.CancelledError:
            pass  # the visit has ended; asyncio would report a cancelled connection
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, browser: _BrowserConnection) -> None:
        while True:
            request = await browser.request()
            if request is None:
                return
            if not self._authorized(request):
                await browser.send(
                    h11.Response(
                        status_code=407,
                        headers=[
                            ("Proxy-Authenticate", 'Basic realm="orchestrator"'),
                            ("Content-Length", "0"),
                            ("Connection", "close"),
                        ],
                    ),
                    h11.EndOfMessage(),
                )
                return
            if request.method == b"CONNECT":
                await self._tunnel(browser, request)
                return
            if not await self._forward(browser, request):
                return

    def _authorized(self, request: h11.Request) -> bool:
        given = dict(request.headers).get(b"proxy-authorization", b"")
        expected = b"Basic " + base64.b64encode(f"{_USER}:{self._password}".encode())
        return secrets.compare_digest(given, expected)

    async def _tunnel(self, browser: _BrowserConnection, request: h11.Request) -> None:
        """Connect the browser with a permitted server, for TLS and for WebSockets."""
        host, _, port = request.target.decode("ascii", "replace").rpartition(":")
        if not port.isdecimal():
            return
        try:
            server = await open_connection(self._permissions, host.strip("[]"), int(port), _CONNECT_TIMEOUT)
        except PermissionDenied as error:
            self._note_refused(host, int(port), error)
            return
        except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
            self._note_failed(host, int(port), error)
            return
        try:
            await browser.send(h11.Response(status_code=200, headers=[]))
            await _first_of(self._upward(browser, server), self._downward(browser, server))
        finally:
            await server.aclose()

    async def _upward(self, browser: _BrowserConnection, server: httpcore2.AsyncNetworkStream) -> None:
        piece = browser.rest()
        while piece or (piece := await browser.reader.read(_CHUNK)):
            await server.write(piece)
            piece = b""

    async def _downward(self, browser: _BrowserConnection, server: httpcore2.AsyncNetworkStream) -> None:
        while piece := await server.read(_CHUNK):
            self._count(piece)
            await browser.write(piece)

    async def _forward(self, browser: _BrowserConnection, request: h11.Request) -> bool:
        """Send a plain request to a permitted server; return whether the connection can be used again."""
        url = request.target.decode("ascii", "replace")
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            return False
        port = parts.port or 80
        headers = [(name, value) for name, value in request.headers if name not in _HOP_BY_HOP]
        names = {name for name, _ in request.headers}
        content = browser.body() if names & {b"content-length", b"transfer-encoding"} else None
        sent = httpx2.Request(request.method.decode(), url, headers=headers, content=content)
        async with GuardedTransport(self._permissions) as transport:
            try:
                response = await transport.handle_async_request(sent)
            except PermissionDenied as error:
                self._note_refused(parts.hostname, port, error)
                return False
            except httpx2.HTTPError as error:
                self._note_failed(parts.hostname, port, error)
                return False
            try:
                kept = [(name, value) for name, value in response.headers.raw if name.lower() not in _HOP_BY_HOP]
                await browser.send(h11.Response(status_code=response.status_code, headers=kept))
                async for piece in cast("httpx2.AsyncByteStream", response.stream):
                    self._count(piece)
                    await browser.send(h11.Data(data=piece))
                await browser.send(h11.EndOfMessage())
            finally:
                await response.aclose()
        return browser.next_request()

    def _count(self, piece: bytes) -> None:
        self.received += len(piece)
        if self.exceeded:
            self._on_exceeded()
            raise ConnectionAbortedError

    def _note_refused(self, host: str, port: int, error: PermissionDenied) -> None:
        if len(self.refused) < _MOST_NAMED:
            self.refused[f"{host}:{port}"] = error

    def _note_failed(self, host: str, port: int, error: Exception) -> None:
        if len(self.failed) < _MOST_NAMED:
            self.failed[f"{host}:{port}"] = connection_problem(error)


class _BrowserConnection:
    """The HTTP of one connection of the browser."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)

    async def request(self) -> h11.Request | None:
        """Return the next request; None at the end."""
        event = await self._event()
        return event if isinstance(event, h11.Request) else None

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the body of the request in pieces."""
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)

    def rest(self) -> bytes:
        """Return what was read beyond the request."""
        return bytes(self._protocol.trailing_data[0])

    def next_request(self) -> bool:
        """Prepare for another request; return whether there can be one."""
        with suppress(h11.ProtocolError):
            if self._protocol.their_state is h11.SEND_BODY:
                self._protocol.next_event()  # the end of a request without a body
            self._protocol.start_next_cycle()
            return True
        return False

    async def send(self, *events: h11.Event) -> None:
        """Send parts of a response."""
        for event in events:
            if (data := self._protocol.send(event)) is not None:
                await self.write(data)

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def _event(self) -> object:
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            self._protocol.receive_data(await self.reader.read(_CHUNK))
        return event


async def _first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Await coroutines until the first has ended, and cancel the others."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
