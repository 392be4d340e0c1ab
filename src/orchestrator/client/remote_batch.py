"""A batch on a server: rows are sent while runs are executed, and once more to a server that was restarted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import msgspec

from orchestrator import codes, runtime
from orchestrator.api.arguments import not_picklable
from orchestrator.client.json_values import json_inputs
from orchestrator.client.views import row_from
from orchestrator.errors import InputError, OrchestratorError, RequestError, ServerUnavailable
from orchestrator.runtime.host.batches import Row, RowResult
from orchestrator.runtime.ids import new_run_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from orchestrator.client.connection import ServerConnection

MOST_UNSETTLED: Final = 500
"""How many rows without a result are sent ahead. They are kept, to send them again to a server that was restarted."""

WAIT_SECONDS: Final = 20.0
_PAUSE: Final = 0.05


class RemoteBatch:
    """Sends rows and receives their results, on the event loop of the connection."""

    def __init__(
        self, connection: ServerConnection, head: Mapping[str, Any], rows: Iterable[Row], batch: str | None
    ) -> None:
        self.id = batch or new_run_id()
        self._connection = connection
        self._head = {**head, "batch": self.id, "numbered": True, "may_be_new": batch is None}
        self._rows = iter(rows)
        self._count = 0
        self._unsettled: dict[int, Any] = {}
        self._unreadable: dict[int, OrchestratorError] = {}
        self._all_read = False
        self._room = asyncio.Condition()
        self._upload: asyncio.Task[None] | None = None

    async def results(self) -> AsyncGenerator[RowResult, None]:
        """Yield the results of all rows, in the order in which they end."""
        patience = self._connection.patience()
        try:
            while not (self._all_read and not self._unsettled):
                self._head["request"] = uuid.uuid4().hex
                self._upload = asyncio.create_task(self._send())
                try:
                    async for result in self._received(self._upload):
                        patience.reset()
                        yield result
                except OrchestratorError as error:
                    if not _passes(error) or not await patience.wait(_PAUSE):
                        raise
                    self._head["may_be_new"] = True  # it may not have reached the server
                finally:
                    self._upload.cancel()
                    await asyncio.gather(self._upload, return_exceptions=True)
        finally:
            self.stop()

    def stop(self) -> None:
        """Send no more rows: the server stops the batch. The runs in progress continue there."""
        if self._upload is not None:
            self._upload.cancel()

    async def _send(self) -> None:
        """Send the rows in one request: first those that were sent before and have no result."""
        await self._connection.request(
            "POST", "/v1/batches", content=self._lines(), content_type="application/jsonl", wait=inf
        )

    async def _lines(self) -> AsyncIterator[bytes]:
        yield msgspec.json.encode(self._head) + b"\n"
        for number, inputs in sorted(self._unsettled.items()):
            yield self._line(number, inputs)
        while not self._all_read:
            async with self._room:
                await self._room.wait_for(lambda: len(self._unsettled) < MOST_UNSETTLED)
            number = await runtime.in_thread(self._read)
            if number:
                yield self._line(number, self._unsettled[number])

    def _line(self, number: int, inputs: Any) -> bytes:
        """Return the line of a row; of one that could not be read, with the reason."""
        error = self._unreadable.get(number)
        row = [number, inputs] if error is None else [number, None, error.message]
        return msgspec.json.encode(row) + b"\n"

    def _read(self) -> int:
        """Read the next row, and return its number; 0: there are no others."""
        row = next(self._rows, None)
        if row is None:
            self._all_read = True
            return 0
        self._count += 1
        try:
            inputs = None if isinstance(row, OrchestratorError) else json_inputs(row)
        except InputError as error:
            row, inputs = error, None
        if isinstance(row, OrchestratorError):
            self._unreadable[self._count] = row
        self._unsettled[self._count] = inputs
        return self._count

    async def _received(self, upload: asyncio.Task[None]) -> AsyncIterator[RowResult]:
        """Yield results until all rows have one, or the batch has ended before."""
        path, after = f"/v1/batches/{self.id}/results", 0
        while not (self._all_read and not self._unsettled):
            try:
                page = await self._connection.get(
                    path,
                    [("after", after), ("wait", WAIT_SECONDS), ("request", self._head["request"])],
                    wait=WAIT_SECONDS,
                )
            except RequestError as error:
                if error.code != codes.BATCH_NOT_FOUND:
                    raise
                if upload.done():
                    await upload  # says why there is no such batch
                    raise ServerUnavailable(error.message, url=self._connection.address.url) from error
                await asyncio.wait([upload], timeout=_PAUSE)  # it has not begun
                continue
            after = page["next"]
            for view in page["results"]:
                result = self._settled(row_from(view))
                if result is not None:
                    yield result
            async with self._room:
                self._room.notify_all()
            if page["ended"]:
                await upload  # raises if it was cut off
                return

    def _settled(self, result: RowResult) -> RowResult | None:
        """Note the result of a row; None if it had one before."""
        if result.row not in self._unsettled:
            return None
        del self._unsettled[result.row]
        error = self._unreadable.pop(result.row, None)
        return result if error is None else RowResult(result.row, None, "invalid", error=error.to_dict())


def _passes(error: OrchestratorError) -> bool:
    """Whether the rows can be sent again: the connection was lost, or the server was restarted."""
    if isinstance(error, ServerUnavailable):
        return True
    return error.code == codes.REQUEST_REFUSED


class RemoteBatchResults(Iterator[RowResult]):
    """Yields the result of each row as soon as it is available, as `BatchResults`.

    `close`, or the end of a `with` block, sends no more rows; runs in progress continue on the server.
    """

    def __init__(self, connection: ServerConnection, batch: RemoteBatch) -> None:
        self.batch = batch.id
        self._connection = connection
        self._stop = connection.trigger(self._cancel)
        self._results = batch.results()
        self._task: asyncio.Task[RowResult | None] | None = None
        self._stopped = False

    def __repr__(self) -> str:
        return f"RemoteBatchResults({self.batch!r})"

    def __reduce__(self) -> NoReturn:
        raise not_picklable("a `RemoteBatchResults`", "pickle the results that it yields")

    def __next__(self) -> RowResult:
        """Wait for the next result."""
        result = self._connection.call(self._next())
        if result is None:
            raise StopIteration
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def stop(self) -> None:
        """Send no more rows; the results end at once. May be called from any thread, and from a signal handler."""
        self._stop()

    def close(self) -> None:
        """As `stop`, and wait until the connection is closed."""
        self._connection.call(self._closed())

    async def _next(self) -> RowResult | None:
        if self._stopped:
            return None
        self._task = asyncio.ensure_future(anext(self._results, None))
        try:
            return await self._task
        except asyncio.CancelledError:
            if not self._task.done():  # the caller was cancelled
                raise
            return None

    async def _closed(self) -> None:
        self._cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self._results.aclose()

    def _cancel(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()


class RemoteAsyncBatchResults(AsyncIterator[RowResult]):
    """As `RemoteBatchResults`, for callers on any event loop."""

    def __init__(self, connection: ServerConnection, batch: RemoteBatch) -> None:
        self.batch = batch.id
        self._connection = connection
        self._results = batch.results()

    def __repr__(self) -> str:
        return f"RemoteAsyncBatchResults({self.batch!r})"

    async def __anext__(self) -> RowResult:
        """Wait for the next result."""
        result = await self._connection.acall(_following(self._results))
        if result is None:
            raise StopAsyncIteration
        return result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Send no more rows; runs in progress continue on the server."""
        await self._connection.acall(self._results.aclose())


async def _following(results: AsyncGenerator[RowResult, None]) -> RowResult | None:
    return await anext(results, None)
