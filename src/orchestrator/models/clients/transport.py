"""The HTTP clients of the SDKs, which read no more of an answer than one may have, and hold no more of it at once.

An SDK reads whatever a server sends: a compressed body that grows a thousandfold, a line that never ends, comments
without an event. So the body is unpacked and measured here, before any of them sees it. Imported with the first call.
"""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies

import httpx2
from pydantic_ai.models import get_user_agent

from orchestrator.models.clients.answer_bounds import MOST_NESTED, MOST_OF_ERRORS, BoundExceeded, HttpExchange, current
from orchestrator.models.clients.connection_pools import ConnectionPools
from orchestrator.models.clients.errors import too_large, unreadable
from orchestrator.models.clients.text_deltas import joined
from orchestrator.models.limits import rate_headers
from orchestrator.models.messages import note_request_sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    import httpx

CONNECT: Final = 10.0
"""Seconds to wait for a connection."""

READ: Final = 600.0
"""Seconds to wait for the next piece of an answer, if the request has no timeout."""

_PIECE: Final = 64 * 1024
_MOST_LINES: Final = 1_000
"""Lines of one event, of which providers use four. SDKs join them one by one, which takes the square of the time."""

_HEADERS: Final = {"Accept-Encoding": "gzip, deflate"}
_ENDS: Final = (b"\n\n", b"\r\n\r\n", b"\r\r")
_COMMENTS: Final = re.compile(rb"^:[^\r\n]*(?:\r\n|\r|\n)", re.MULTILINE)


def http_client() -> httpx2.AsyncClient:
    """Return a client without a connection limit: the number of parallel calls is limited elsewhere."""
    return _Client(
        timeout=httpx2.Timeout(READ, connect=CONNECT),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
        transport=None if getproxies() else ConnectionPools(),  # with one, the proxies of the environment are not used
        headers={"User-Agent": get_user_agent(), **_HEADERS},
        event_hooks={"request": [_watch], "response": [_bound]},
    )


def old_http_client() -> httpx.AsyncClient:
    """Return the same for SDKs that still build on httpx."""
    import httpx

    class Stream(_Stream, httpx.AsyncByteStream):
        """A body as httpx takes it."""

    class Client(httpx.AsyncClient):
        """See `_Client`."""

        async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
            """Send a request, or answer it from what came before."""
            body = _came_before()
            if body is None:
                return await super().send(request, **options)
            return httpx.Response(200, headers=_JSON, content=body, request=request)

    async def bound(response: httpx.Response) -> None:
        if (exchange := current.get()) is not None:
            response.stream = Stream(response.stream, *_measure(response, exchange))

    return Client(
        timeout=httpx.Timeout(READ, connect=CONNECT),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
        headers=_HEADERS,
        event_hooks={"request": [_watch], "response": [bound]},
    )


_JSON: Final = {"content-type": "application/json"}


class _Client(httpx2.AsyncClient):
    """Answers a request from the body that came before, where a server gave a whole one instead of a stream."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        body = _came_before()
        if body is None:
            return await super().send(request, **options)
        return httpx2.Response(200, headers=_JSON, content=body, request=request)


def _came_before() -> bytes | None:
    exchange = current.get()
    return None if exchange is None else exchange.whole


class WholeAnswer(Exception):
    """A server has answered at once though a stream was asked for; its body is in the exchange."""


async def _watch(request: httpx2.Request | httpx.Request) -> None:
    """Have it noted when a request is sent: no earlier than when there is a connection."""
    request.extensions["trace"] = _trace


async def _trace(event: str, info: dict[str, Any]) -> None:
    if event.endswith("send_request_body.started"):
        note_request_sent(sent=True)


async def _bound(response: httpx2.Response) -> None:
    """Put bounds on a response before its body is read, also on that of a redirect."""
    if (exchange := current.get()) is not None:
        response.stream = _NewStream(response.stream, *_measure(response, exchange))


def _measure(
    response: httpx2.Response | httpx.Response, exchange: HttpExchange
) -> tuple[HttpExchange, list[str], bool]:
    """Take note of what the headers say, and take from them what the body no longer is: compressed."""
    exchange.limits.update(rate_headers(response.headers))
    written = response.headers.pop("content-encoding", "") if "content-encoding" in response.headers else ""
    codings = [coding for each in written.split(",") if (coding := each.strip().lower()) not in ("", "identity")]
    if codings:
        response.headers.pop("content-length", None)
    return exchange, codings, response.is_success


class _Stream:
    """A body within bounds, unpacked. `answers`: it is an answer, and not an error or a redirect."""

    def __init__(self, stream: Any, exchange: HttpExchange, codings: list[str], answers: bool) -> None:
        self._stream = stream
        self._exchange = exchange
        self._codings = codings
        self._answers = answers
        self._begun = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._begun:  # OpenAI's SDK reads what follows the last event once more, and for a moment only
            async for packed in self._stream:
                yield packed
            return
        self._begun = True
        pieces = self._pieces()
        if not self._answers:
            with suppress(BoundExceeded):  # the status is enough
                async for piece in pieces:
                    yield piece
            return
        try:
            async for piece in self._streamed(pieces) if self._exchange.streams else self._whole(pieces):
                yield piece
        except BoundExceeded as exceeded:
            self._exchange.fault = exceeded.fault
            raise

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yield the body unpacked, in pieces of a bounded size; refuse one that is too large in all."""
        exchange = self._exchange
        most = exchange.max_bytes if self._answers else MOST_OF_ERRORS
        unpack = _unpacker(self._codings, exchange)
        async for packed in self._stream:
            for piece in unpack(packed):
                exchange.received += len(piece)
                exchange.keep(piece)
                if exchange.received > most:
                    raise BoundExceeded(too_large(exchange, f"more than {most:,} bytes"))
                yield piece

    def _streamed(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        return joined(_events(pieces, self._exchange), self._exchange)

    async def _whole(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        document = BoundedDocument(self._exchange)
        async for piece in pieces:
            document.add(piece)
            yield piece


class _NewStream(_Stream, httpx2.AsyncByteStream):
    """A body as httpx2 takes it."""


class BoundedDocument:
    """Measures one piece of JSON that is held as a whole: a body, or an event of a stream."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self._bytes = 0
        self._nested = 0

    def add(self, piece: bytes | bytearray) -> None:
        """Add a piece; raises BoundExceeded where the document becomes too large."""
        self._bytes += len(piece)
        self._nested += piece.count(b"{") + piece.count(b"[")
        most = self._exchange.max_document
        if self._bytes > most:
            raise BoundExceeded(too_large(self._exchange, f"a body, a line or an event of more than {most:,} bytes"))
        if self._nested > MOST_NESTED:
            raise BoundExceeded(too_large(self._exchange, f"JSON of more than {MOST_NESTED:,} objects and lists"))


async def _events(pieces: AsyncIterator[bytes], exchange: HttpExchange) -> AsyncIterator[bytes]:
    """Yield a stream of events, each in one piece. A body that is JSON becomes the whole answer of the exchange."""
    begun = bytearray()
    async for piece in pieces:
        if not begun:
            piece = piece.lstrip(b"\r\n\t \xef\xbb\xbf")
        begun += piece
        if begun:
            break
    if begun.startswith((b"{", b"[")):
        document = BoundedDocument(exchange)
        document.add(begun)
        async for piece in pieces:
            document.add(piece)
            begun += piece
        exchange.whole = bytes(begun)
        raise WholeAnswer
    event = _Event(exchange)
    if done := event.add(bytes(begun)):
        yield done
    async for piece in pieces:
        if done := event.add(piece):
            yield done
    if rest := event.rest():
        yield rest


class _Event:
    """The event that has begun, and is not complete."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self._begun = bytearray()
        self._checked = 0
        self._lines = 0
        self._document = BoundedDocument(exchange)

    def add(self, piece: bytes) -> bytes:
        """Add a piece, and return the events that it completes."""
        begun = self._begun
        seen = max(len(begun) - 3, 0)
        begun += piece
        done = b""
        ends = [begun.find(mark, seen) + len(mark) for mark in _ENDS if mark in begun[seen:]]
        if ends:
            first = min(ends)
            if first > _PIECE:
                self._check(first)
            last = max(at + len(mark) for mark in _ENDS if (at := begun.rfind(mark)) >= 0)
            done = bytes(begun[:last])
            del begun[:last]
            self._checked, self._lines, self._document = 0, 0, BoundedDocument(self._exchange)
        if len(begun) > _PIECE:
            self._check(len(begun))
        return done

    def rest(self) -> bytes:
        """Return what is left when the stream has ended."""
        return bytes(self._begun)

    def _check(self, end: int) -> None:
        """Check what has come since the last time, and drop comments: with them an event may take for ever."""
        begun = self._begun
        last = max(begun.rfind(b"\n", self._checked, end), begun.rfind(b"\r", self._checked, end)) + 1
        if last > self._checked:
            lines = _COMMENTS.sub(b"", bytes(begun[self._checked : last]))
            self._lines += len(lines.splitlines())
            self._document.add(lines)
            begun[self._checked : last] = lines
            self._checked += len(lines)
        most = self._exchange.max_document
        if end - self._checked > most:
            raise BoundExceeded(too_large(self._exchange, f"a line of more than {most:,} bytes"))
        if self._lines > _MOST_LINES:
            raise BoundExceeded(too_large(self._exchange, f"an event of more than {_MOST_LINES:,} lines"))


# --- compression


def _unpacker(codings: list[str], exchange: HttpExchange) -> Callable[[bytes], Iterable[bytes]]:
    """Return what unpacks a body, piece by piece."""
    if not codings:
        return lambda packed: (packed,)
    if codings in (["gzip"], ["x-gzip"]):
        return _Inflater(zlib.MAX_WBITS | 16, exchange)
    if codings == ["deflate"]:
        return _Inflater(zlib.MAX_WBITS, exchange)
    # Each layer may grow a thousandfold; and others were not asked for.
    raise BoundExceeded(unreadable(exchange, f"it is compressed by `{', '.join(codings)}`, which was not requested"))


class _Inflater:
    def __init__(self, window: int, exchange: HttpExchange) -> None:
        self._inflate = zlib.decompressobj(window)
        self._exchange = exchange
        self._may_be_raw = window == zlib.MAX_WBITS

    def __call__(self, packed: bytes) -> Iterator[bytes]:
        try:
            piece = self._inflate.decompress(packed, _PIECE)
        except zlib.error as error:
            if not self._may_be_raw:
                raise self._broken(error) from None
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            piece = self._decompressed(packed)
        self._may_be_raw = False
        while piece:
            yield piece
            piece = self._decompressed(self._inflate.unconsumed_tail)

    def _decompressed(self, packed: bytes) -> bytes:
        try:
            return self._inflate.decompress(packed, _PIECE)
        except zlib.error as error:
            raise self._broken(error) from None

    def _broken(self, error: zlib.error) -> BoundExceeded:
        return BoundExceeded(unreadable(self._exchange, f"its compression is broken: {error}"))
