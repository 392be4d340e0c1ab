"""Connections to model servers in several small pools.

A pool looks at all its connections whenever a request begins or ends: with a thousand at once that takes more processor
time than the answers. So each pool has a bounded number of requests in flight, and further pools are made when needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import httpx2
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AT_ONCE: Final = 20
"""Requests in flight of one pool."""

KEPT: Final = 5
"""Pools that are kept when they have no request in flight, with at most `AT_ONCE` idle connections each."""


class _TransportPool(Struct, eq=False):
    transport: httpx2.AsyncHTTPTransport
    in_flight: int = 0


class ConnectionPools(httpx2.AsyncBaseTransport):
    """Sends each request through the first pool that has room, so that idle connections are used again."""

    def __init__(self) -> None:
        self._tls = httpx2.create_ssl_context()
        self._pools: list[_TransportPool] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; its place in the pool is free when the response is closed."""
        pool = next((pool for pool in self._pools if pool.in_flight < AT_ONCE), None) or self._new()
        pool.in_flight += 1
        try:
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            await self.release(pool)
            raise
        response.stream = _Body(cast("httpx2.AsyncByteStream", response.stream), self, pool)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, []
        for pool in pools:
            await pool.transport.aclose()

    def _new(self) -> _TransportPool:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=AT_ONCE)
        pool = _TransportPool(httpx2.AsyncHTTPTransport(verify=self._tls, limits=limits))
        self._pools.append(pool)
        return pool

    async def release(self, pool: _TransportPool) -> None:
        """Take note that a request of a pool is no longer in flight."""
        pool.in_flight -= 1
        if pool.in_flight == 0 and pool in self._pools[KEPT:]:
            self._pools.remove(pool)
            await pool.transport.aclose()


class _Body(httpx2.AsyncByteStream):
    """The body of a response."""

    def __init__(self, stream: httpx2.AsyncByteStream, pools: ConnectionPools, pool: _TransportPool) -> None:
        self._stream = stream
        self._pools = pools
        self._pool: _TransportPool | None = pool

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        """Close the response, and free its place."""
        pool, self._pool = self._pool, None
        try:
            await self._stream.aclose()
        finally:
            if pool is not None:
                await self._pools.release(pool)
