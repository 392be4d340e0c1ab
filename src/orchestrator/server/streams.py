"""Live streams of events (server-sent events) that any number of readers can leave and rejoin without a gap."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import aclosing, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import StreamingResponse

from orchestrator.errors import OrchestratorError
from orchestrator.journal.records import LEASE_SECONDS
from orchestrator.journal.retry import store_patience
from orchestrator.server.access import credential_watch
from orchestrator.server.problems import problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from prometheus_client import Gauge
    from starlette.types import Message, Send

    from orchestrator.api.run import Run
    from orchestrator.journal import Event

HEARTBEAT: Final = b": still connected\n\n"
HEARTBEAT_SECONDS: Final = 10.0
SEND_SECONDS: Final = 30.0
"""How long a reader may take to accept what is sent to it; then its connection is closed, and it can rejoin."""

_CACHED_BYTES: Final = 16_000_000


class EncodedEvents:
    """The newest recorded events as they are sent, so that each is encoded once for all its readers."""

    def __init__(self) -> None:
        self._encoded: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0

    def encode(self, event: Event) -> bytes:
        """Return an event as a block of the stream. One that is not recorded has no id."""
        if not event.seq:
            return block_of(event.type, event.to_dict())
        key = (event.run_id, event.seq)
        found = self._encoded.get(key)
        if found is None:
            found = block_of(event.type, event.to_dict(), event.seq)
            self._encoded[key] = found
            self._size += len(found)
            while self._size > _CACHED_BYTES:
                self._size -= len(self._encoded.popitem(last=False)[1])
        return found


async def run_events(run: Run, after: int, encoded: EncodedEvents) -> AsyncIterator[bytes]:
    """Yield the events of a run as blocks of a stream, those of a moment together, then its end.

    The last block is `end`, with the state of the run: a client that loses the connection before it rejoins.
    """
    try:
        async with aclosing(run.follower.abatches(after)) as batches:
            async for batch in batches:
                yield b"".join(map(encoded.encode, batch))
        status = await run.astatus()
        yield block_of("end", {"run_id": run.id, "state": status.state, "last_seq": status.last_seq})
    except OrchestratorError as error:
        yield block_of("problem", problem(error))


class EventStream(StreamingResponse):
    """The response that sends blocks until `stopping` is set, and a comment while there are none.

    A reader that accepts nothing for `SEND_SECONDS`, such as one whose connection is half open, is disconnected: it
    rejoins without a gap.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        blocks: AsyncIterator[bytes],
        stopping: asyncio.Event,
        *,
        readers: Gauge | None = None,
        permitted: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`readers` counts the open streams; `permitted` is asked now and then whether this one may continue."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(with_heartbeat(blocks, stopping), headers=headers)
        self._readers = readers
        self._permitted = permitted

    async def stream_response(self, send: Send) -> None:
        """Send everything, unless the reader stops reading. It waits for the store as long as runs do."""
        store_patience.set(LEASE_SECONDS)
        with nullcontext() if self._readers is None else self._readers.track_inprogress():
            await self._stream_in_time(send)

    async def _stream_in_time(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)

        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                watch = asyncio.create_task(self._watch(limit))
                try:
                    await super().stream_response(send_in_time)
                finally:
                    watch.cancel()

    async def _watch(self, limit: asyncio.Timeout) -> None:
        """End the stream when its reader may read it no more."""
        while self._permitted is not None:
            await asyncio.sleep(credential_watch.CHECK_SECONDS)
            if not await self._permitted():
                limit.reschedule(asyncio.get_running_loop().time())
                return


async def with_heartbeat(
    blocks: AsyncIterator[bytes], stopping: asyncio.Event, *, seconds: float = HEARTBEAT_SECONDS
) -> AsyncIterator[bytes]:
    """Yield blocks until `stopping` is set, and a comment whenever there was none for some seconds."""
    stop = asyncio.ensure_future(stopping.wait())
    pending: asyncio.Future[bytes] | None = None
    try:
        while not stopping.is_set():
            pending = pending or asyncio.ensure_future(anext(blocks))
            awaited: set[asyncio.Future[Any]] = {pending, stop}
            await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if pending.done():
                try:
                    block = pending.result()
                except StopAsyncIteration:
                    return
                pending = None
                yield block
            elif not stop.done():
                yield HEARTBEAT
    finally:
        stop.cancel()
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)  # also of one that has ended, or it is reported


def block_of(name: str, data: Any, id: int | str | None = None) -> bytes:
    """Return a block of a stream. A client that rejoins sends the `id` of the last block that had one."""
    text = msgspec.json.encode(data)  # has no line breaks
    line = "" if id is None else f"id: {id}\n"
    return b"%bevent: %b\ndata: %b\n\n" % (line.encode(), name.encode(), text)
