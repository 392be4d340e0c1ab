"""Connections to model servers: used again, spread over small pools, through the proxies of the environment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx2
import pytest

from orchestrator.models.clients.connection_pools import AT_ONCE, KEPT, ConnectionPools
from orchestrator.models.clients.transport import http_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone"


class Counted:
    """A server that answers when it may, and counts its connections."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.changed = asyncio.Event()
        self.connections = self.open = self.asked = 0
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                self.asked += 1
                self.changed.set()
                await self.may.wait()
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self.changed.set()
            writer.close()

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.changed.clear()
            await self.changed.wait()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Counted, str]]:
    counted = Counted()
    listening = await asyncio.start_server(counted.serve, "127.0.0.1", 0, backlog=1000)
    yield counted, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    listening.close()
    counted.may.set()
    await counted.until(lambda: counted.open == 0)


async def test_requests_one_after_another_use_one_connection(server: tuple[Counted, str]) -> None:
    counted, url = server
    counted.may.set()
    async with http_client() as client:
        for _ in range(5):
            assert (await client.get(url)).text == "done"
    assert counted.connections == 1


async def test_requests_at_once_are_spread_over_pools_of_which_few_are_kept(server: tuple[Counted, str]) -> None:
    counted, url = server
    count = AT_ONCE * (KEPT + 2)
    pools = ConnectionPools()
    async with httpx2.AsyncClient(transport=pools) as client:
        tasks = [asyncio.create_task(client.get(url)) for _ in range(count)]
        await counted.until(lambda: counted.asked == count)
        counted.may.set()
        assert [answer.text for answer in await asyncio.gather(*tasks)] == ["done"] * count
        await counted.until(lambda: counted.open == AT_ONCE * KEPT)
        await asyncio.gather(*(client.get(url) for _ in range(AT_ONCE * KEPT)))
    assert counted.connections == count


async def test_a_request_that_is_cancelled_frees_its_place(server: tuple[Counted, str]) -> None:
    counted, url = server
    pools = ConnectionPools()
    async with httpx2.AsyncClient(transport=pools) as client:
        for number in range(AT_ONCE + 1):
            task = asyncio.create_task(client.get(url))
            await counted.until(lambda asked=number + 1: counted.asked == asked)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert [pool.in_flight for pool in pools._pools] == [0]


async def test_the_proxies_of_the_environment_are_used(
    server: tuple[Counted, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, url = server
    counted.may.set()
    monkeypatch.setenv("HTTP_PROXY", url)
    async with http_client() as client:
        await client.get("http://models.example/v1")
    assert counted.heads[0].startswith(b"GET http://models.example/v1 ")
