"""The connection to a server: requests on an event loop in a thread, for callers with an event loop and without one.

A request is repeated, as long as `patience` says, if the server cannot have carried it out, or if it is the same to
carry it out twice. All others fail: what has become of them is in the status of the run.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import weakref
from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx2 as httpx
import msgspec

from orchestrator import codes
from orchestrator.client.missing_token import explained
from orchestrator.client.patience import Patience
from orchestrator.client.problem_errors import error_of
from orchestrator.distribution import VERSION
from orchestrator.errors import ConfigurationError, RequestError, ServerUnavailable
from orchestrator.runtime import Portal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping

    from orchestrator.client.address import ServerAddress

T = TypeVar("T")

Params = list[tuple[str, str | int | float | bool | None]]

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
"""How long a response may take, and a stream be silent, which sends something every 10 seconds."""

LARGEST_EVENT: Final = 512 * 1024 * 1024
"""Bytes of one event in a stream."""

_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING: Final = frozenset({502, 503, 504})


class ServerConnection:
    """Requests to one server. `close` ends them."""

    def __init__(self, address: ServerAddress, *, patience: float) -> None:
        self.address = address
        self.closed = False
        self._patience = patience
        self._portal = Portal()
        self._http: httpx.AsyncClient | None = None
        self._met = False
        """Whether the server has answered: before, an error in its URL is more likely than an absence."""
        _open_connections.add(self)

    # --- for callers

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the connection's event loop, and wait for the result.

        Raises:
            ConfigurationError: The client is closed.
        """
        self._require_open(work)
        future = self._portal.submit(work)
        try:
            return future.result()
        except BaseException:  # a Ctrl-C
            future.cancel()
            raise

    async def acall(self, work: Coroutine[Any, Any, T]) -> T:
        """As `call`, for callers on another event loop."""
        self._require_open(work)
        return await asyncio.wrap_future(self._portal.submit(work))

    def trigger(self, act: Callable[[], object]) -> Callable[[], None]:
        """Return what lets `act` happen soon on the connection's event loop; callable from anywhere."""
        return self._portal.trigger(act)

    def close(self) -> None:
        """End all requests and streams."""
        if self.closed:
            return
        self.closed = True
        _open_connections.discard(self)
        if self._http is not None:
            self._portal.call(self._http.aclose())
        self._portal.close()

    def reset(self) -> None:
        """In a child of `fork`: connect again on next use, as the parent's thread does not exist here."""
        _of_parent.append((self._portal, self._http))
        self._portal, self._http = Portal(), None

    # --- on the event loop of the connection

    def patience(self) -> Patience:
        """Return how long to try again from now on."""
        return Patience(self._patience if self._met else 0.0)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        content: AsyncIterator[bytes] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        wait: float = 0.0,
    ) -> httpx.Response:
        """Send a request and return its response; `wait` is how many seconds the server may think about it.

        `body` is sent as JSON, or `content` as it is, piece by piece.

        `repeatable`: whether it is the same to carry it out twice; by default, of a GET.

        Raises:
            OrchestratorError: What the server reports.
            ServerUnavailable: ORC917, it cannot be reached, or what has become of the request is unknown.
        """
        again = method == "GET" if repeatable is None else repeatable
        sent = content if body is None else msgspec.json.encode(body)
        given = {**(headers or {}), **({} if sent is None else {"content-type": content_type})}
        timeout = httpx.Timeout(None if wait == inf else READ_SECONDS + wait, connect=CONNECT_SECONDS)
        patience = self.patience()
        while True:
            try:
                response = await self._client.request(
                    method, f"{self.address.url}{path}", params=params, content=sent, headers=given, timeout=timeout
                )
            except httpx.HTTPError as error:
                may_repeat = again or isinstance(error, _UNSENT)
                if may_repeat and isinstance(error, httpx.TransportError) and await patience.wait():
                    continue
                raise self._unreachable(error, sent=not isinstance(error, _UNSENT) and not again) from error
            self._met = True
            if response.is_success:
                return response
            problem = explained(error_of(response), self.address)
            refused = problem.code == codes.REQUEST_REFUSED and content is None  # nothing was done
            passing = response.status_code in _PASSING and (again or refused)
            if not passing or not await patience.wait(_retry_after(response)):
                raise problem

    async def get(self, path: str, params: Params | None = None, *, wait: float = 0.0) -> Any:
        """Return the JSON of what is at a path."""
        return decoded(await self.request("GET", path, params=params, wait=wait))

    async def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Any:
        """Post JSON, and return that of the response."""
        return decoded(
            await self.request("POST", path, body={} if body is None else body, headers=headers, repeatable=repeatable)
        )

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.EventSource]:
        """Open a stream of server-sent events, once.

        Raises:
            OrchestratorError: What the server reports instead.
            httpx.TransportError: The connection is lost, now or later.
        """
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        url = f"{self.address.url}{path}"
        async with self._client.sse(url, headers=dict(headers), timeout=timeout, max_event_size=LARGEST_EVENT) as found:
            self._met = True
            if not found.response.is_success:
                await found.response.aread()
                raise explained(error_of(found.response), self.address)
            yield found

    def unreachable(self, error: Exception | None) -> ServerUnavailable:
        """Return the error of a server that has not answered for a while."""
        return self._unreachable(error, sent=False)

    def _unreachable(self, error: Exception | None, *, sent: bool) -> ServerUnavailable:
        said = " ".join(str(error or "").split()) or type(error).__name__
        if sent:
            return ServerUnavailable(
                f"the connection to the server {self.address.url} was lost before it answered: {said}",
                url=self.address.url,
                help="look at the status of the run before you repeat the command: it may have been carried out",
            )
        return ServerUnavailable(
            f"the server {self.address.url} cannot be reached: {said}",
            url=self.address.url,
            help="start it, or check its URL",
        )

    @property
    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            token = self.address.token
            self._http = httpx.AsyncClient(
                headers={
                    "user-agent": f"orchestrator/{VERSION}",
                    **({} if token is None else {"authorization": f"Bearer {token}"}),
                },
                trust_env=not self.address.is_local,  # a proxy cannot reach what is on this machine
                follow_redirects=False,
            )
        return self._http

    def _require_open(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            if self.closed:
                raise ConfigurationError("this client is closed", help="connect again with `orc.connect(url)`")
            self._portal.refuse_inside("await run.aresult()")
        except ConfigurationError:
            work.close()
            raise


def decoded(response: httpx.Response) -> Any:
    """Return the JSON of a response.

    Raises:
        RequestError: It is none: something else than `orchestrator serve` has answered.
    """
    try:
        return msgspec.json.decode(response.content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        url = response.request.url
        raise RequestError(
            f"the response to {response.request.method} {url.path} of {url.host} is not JSON",
            status=response.status_code,
            help="check that the URL is that of an Orchestrator server",
        ) from error


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds that a server asks to wait, as far as they are reasonable."""
    text = response.headers.get("retry-after", "")
    return min(float(text), CONNECT_SECONDS) if text.isdecimal() else 0.0


_open_connections: weakref.WeakSet[ServerConnection] = weakref.WeakSet()

_of_parent: list[Any] = []
"""What a child of `fork` has of its parent. It is never closed: the connections in it are still the parent's."""


def _reset_all() -> None:
    for connection in list(_open_connections):
        connection.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


@atexit.register
def _close_all() -> None:
    for connection in list(_open_connections):
        connection.close()
