"""The results of a batch: an iterator over what becomes of each row, for callers with an event loop and without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, NoReturn, Self

from orchestrator.api.arguments import not_picklable
from orchestrator.runtime.host.batches import Batch, Row, RowResult

if TYPE_CHECKING:
    from concurrent.futures import Future

    from orchestrator.runtime import Portal


class BatchResults(Iterator[RowResult]):
    """Yields the result of each row as soon as it is available. `batch` is the id that resumes the batch later.

    Runs are executed in the background of this process, also between two results; `close`, or the end of a `with`
    block, interrupts those in progress.
    """

    def __init__(
        self, portal: Portal, batch: Batch, rows: Iterable[Row] | None, *, numbered: Iterable[tuple[int, Row]] = ()
    ) -> None:
        """Without `rows`, those that are `numbered` are executed."""
        self.batch = batch.id
        self._portal = portal
        self._stop = portal.trigger(batch.stop)
        self._results = batch.numbered_results(numbered) if rows is None else batch.results(rows)
        self._turn = asyncio.Lock()
        self._pending: Future[RowResult | None] | None = None

    def __repr__(self) -> str:
        return f"BatchResults({self.batch!r})"

    def __reduce__(self) -> NoReturn:
        raise not_picklable("a `BatchResults`", "pickle the results that it yields")

    def __next__(self) -> RowResult:
        """Wait for the next result."""
        self._portal.refuse_inside("async for result in pipeline.amap(...)")

        async def following() -> RowResult | None:
            async with self._turn:
                return await anext(self._results, None)

        self._pending = self._pending or self._portal.submit(following())
        result = self._pending.result()  # a Ctrl-C leaves it pending
        self._pending = None
        if result is None:
            raise StopIteration
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def stop(self) -> None:
        """Interrupt the runs in progress; the results end as soon as they have stopped.

        Returns at once. May be called from any thread, and from a signal handler.
        """
        self._stop()

    def close(self) -> None:
        """Interrupt the runs in progress, and wait until they have stopped."""

        async def closed() -> None:
            async with self._turn:  # a caller may have stopped waiting for a result
                await self._results.aclose()

        self.stop()
        self._portal.call(closed())
        self._pending = None


class AsyncBatchResults(AsyncIterator[RowResult]):
    """As `BatchResults`, on the event loop that reads the results, which must run until the last one."""

    def __init__(self, batch: Batch, rows: Iterable[Row]) -> None:
        self.batch = batch.id
        self._results = batch.results(rows)

    def __repr__(self) -> str:
        return f"AsyncBatchResults({self.batch!r})"

    def __reduce__(self) -> NoReturn:
        raise not_picklable("a `AsyncBatchResults`", "pickle the results that it yields")

    async def __anext__(self) -> RowResult:
        """Wait for the next result."""
        return await anext(self._results)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Interrupt the runs in progress, and wait until they have stopped."""
        await self._results.aclose()
