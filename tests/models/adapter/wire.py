"""A server on a real socket that answers as a test says: whole, in pieces, too late, cut off, or not at all."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

if TYPE_CHECKING:
    from types import TracebackType


class Answer(Struct, frozen=True):
    """What is sent back. `then`: end properly, cut the connection, or say nothing more and leave it open.

    With `pieces` the body is sent in chunks, otherwise as a whole; `cut` then breaks off in the middle of it.
    """

    body: bytes = b""
    pieces: tuple[bytes, ...] | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    then: Literal["end", "cut", "hang"] = "end"


class Asked(Struct, frozen=True):
    """One request that has come."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


class Server:
    """Gives every request the same answer, and remembers what came. `gone` is set when a client hangs up on it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.came = asyncio.Event()
        self.sent = asyncio.Event()
        self.gone = asyncio.Event()
        self.url = ""
        self._serving: set[asyncio.Task[None] | None] = set()

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection: a socket that is left to the garbage collector is a warning, and so an error."""
        self._server.close()
        serving = [task for task in self._serving if task is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._one(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._serving.discard(asyncio.current_task())

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append(Asked(head[0].split(" ")[1], headers, body))
        self.came.set()
        answer = self.answer
        more = {"content-type": answer.kind} | answer.headers
        if answer.then != "hang":
            more["connection"] = "close"
        if answer.pieces is None:
            more["content-length"] = str(len(answer.body))
        else:
            more["transfer-encoding"] = "chunked"
        lines = [f"HTTP/1.1 {answer.status} -", *(f"{key}: {value}" for key, value in more.items()), "", ""]
        if answer.pieces is not None:
            writer.write("\r\n".join(lines).encode("latin-1"))
            for piece in answer.pieces:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await writer.drain()
            if answer.then == "end":
                writer.write(b"0\r\n\r\n")
        elif answer.then != "hang":
            writer.write("\r\n".join(lines).encode("latin-1"))
            writer.write(answer.body if answer.then == "end" else answer.body[: len(answer.body) // 2])
        await writer.drain()
        self.sent.set()
        if answer.then == "hang":
            await reader.read()
            self.gone.set()
