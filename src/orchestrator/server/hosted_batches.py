"""Batches that clients send row by row: rows are read as runs start, and results are kept until a client has them.

Nothing of the rows is stored but what their runs record. If a request is cut off, its batch stops; sent again with the
id of the batch, it continues.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.errors import OrchestratorError, RequestError
from orchestrator.server.wakeups import Wakeups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from orchestrator.api.batches import BatchResults
    from orchestrator.runtime import Row, RowResult

MOST_KEPT: Final = 1_000
"""How many results are kept for clients. With so many that no client has read, further rows wait."""

KEPT_SECONDS: Final = 900.0
"""How long the last results are kept after the end of a batch."""

MOST_BATCHES: Final = 100
STOP_SECONDS: Final = 20.0


def batch_stopped(reason: str) -> RequestError:
    """Return the error of a batch that ended before its last row."""
    return RequestError(
        f"the batch was stopped: {reason}",
        status=409,
        code=codes.REQUEST_REFUSED,
        help="resume it: send its rows again with its id",
    )


NumberedRow = tuple[int, "Row"]


class RowFeed:
    """Rows from the thread that receives them to the one that starts their runs, one at a time."""

    def __init__(self) -> None:
        self._rows: queue.Queue[NumberedRow | RequestError | None] = queue.Queue(1)
        self._ended = threading.Event()
        self._taken = Wakeups()

    async def put(self, row: NumberedRow | None) -> None:
        """Add a row once the one before was taken; None: there are no others.

        Raises:
            RequestError: The batch has ended before.
        """
        placed = False

        def is_placed() -> bool:
            nonlocal placed
            if not self._ended.is_set():
                with suppress(queue.Full):
                    self._rows.put_nowait(row)
                    placed = True
            return placed or self._ended.is_set()

        await self._taken.wait_for(is_placed)
        if not placed and row is not None:
            raise RequestError(
                "the batch has ended", status=409, code=codes.REQUEST_REFUSED, help="resume it by its id"
            )

    def cut_off(self, error: RequestError) -> None:
        """Stop the batch at once: its request was cut off. A row that was not taken yet is dropped."""
        with suppress(queue.Empty):
            self._rows.get_nowait()
        with suppress(queue.Full):
            self._rows.put_nowait(error)

    def __iter__(self) -> Iterator[NumberedRow]:
        """Yield the rows as they come."""
        while (row := self._rows.get()) is not None:
            self._taken.notify()
            if isinstance(row, RequestError):
                raise row
            yield row

    def end(self) -> None:
        """Take no more rows."""
        self._ended.set()
        self._taken.notify()
        with suppress(queue.Full):
            self._rows.put_nowait(None)


class HostedBatch:
    """A batch that this server executes."""

    def __init__(self, start: Callable[[Iterable[NumberedRow]], BatchResults], request: str = "") -> None:
        """`request` is the client's name for the request that sends the rows."""
        self.request = request
        self.feed = RowFeed()
        self._results = start(self.feed)
        self.id = self._results.batch
        self.error: OrchestratorError | None = None
        self.ended_at: float | None = None
        self._kept: deque[tuple[int, RowResult]] = deque()
        self._number = 0
        self._sent = 0
        self._stopped = False
        self._changed = threading.Condition(threading.RLock())
        self._news = Wakeups()
        threading.Thread(target=self._execute, name=f"batch-{self.id}", daemon=True).start()

    async def results(self, after: int, *, seconds: float, forget: bool) -> list[tuple[int, RowResult]]:
        """Return the results that follow the one numbered `after`, and wait some seconds for one.

        With `forget`, those up to `after` are forgotten, as far as they were sent: their client has them.

        Raises:
            OrchestratorError: Why the batch has stopped, after its last result.
        """
        if forget:
            self._forget(after)
        await self._news.wait_for(lambda: self.ended_at is not None or bool(self._following(after)), seconds)
        with self._changed:
            found = self._following(after)
            if not found and self.error is not None:
                raise self.error
            self._sent = max(self._sent, found[-1][0] if found else 0)
            return found

    def sent_before(self, after: int) -> int:
        """Return `after`, or the number of the last result that was sent, if that is less."""
        return min(after, self._sent)

    def _following(self, after: int) -> list[tuple[int, RowResult]]:
        with self._changed:
            return [each for each in self._kept if each[0] > after]

    def _forget(self, after: int) -> None:
        with self._changed:
            while self._kept and self._kept[0][0] <= min(after, self._sent):
                self._kept.popleft()
            self._changed.notify_all()

    def stop(self, reason: str) -> None:
        """Interrupt its runs; the batch can be resumed."""
        with self._changed:
            self._stopped = True
            self.error = batch_stopped(reason)
            self._changed.notify_all()
        self._news.notify()
        self._results.stop()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self.ended_at is not None, timeout=seconds)

    def _execute(self) -> None:
        try:
            with self._results as results:
                for result in results:
                    with self._changed:
                        self._changed.wait_for(lambda: len(self._kept) < MOST_KEPT or self._stopped)
                        if self._stopped:
                            return
                        self._number += 1
                        self._kept.append((self._number, result))
                    self._news.notify()
        except OrchestratorError as error:
            self.error = error
        except CancelledError:
            self.error = self.error or batch_stopped("the server is shutting down")
        finally:
            self.feed.end()
            with self._changed:
                self.ended_at = time.monotonic()
                self._changed.notify_all()
            self._news.notify()


class HostedBatches:
    """The batches that this server executes, and those that have just ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: dict[str, HostedBatch] = {}

    def add(self, batch: HostedBatch) -> None:
        """Note a batch that has begun."""
        now = time.monotonic()
        with self._lock:
            self._batches = {
                id: each
                for id, each in self._batches.items()
                if each.ended_at is None or now - each.ended_at < KEPT_SECONDS
            }
            self._batches[batch.id] = batch

    def take_over(self, batch_id: str) -> None:
        """End a batch of a request that was cut off, so that another one can resume it.

        Raises:
            RequestError: It does not end.
        """
        with self._lock:
            known = self._batches.get(batch_id)
        if known is None or known.ended_at is not None:
            return
        known.stop("it is resumed by another request")
        if not known.wait(STOP_SECONDS):
            raise RequestError("the batch is still executed", status=503, code=codes.REQUEST_REFUSED, help="try again")

    def refuse_if_full(self) -> None:
        """Raise RequestError if the server can execute no further batch now."""
        with self._lock:
            running = sum(each.ended_at is None for each in self._batches.values())
        if running >= MOST_BATCHES:
            raise RequestError(
                f"the server executes {MOST_BATCHES} batches already",
                status=503,
                code=codes.REQUEST_REFUSED,
                help="try again later",
            )

    def find(self, batch_id: str, request: str = "") -> HostedBatch:
        """Return a batch; with `request`, as that request sends it.

        Raises:
            RequestError: ORC817, this server does not execute it.
        """
        with self._lock:
            found = self._batches.get(batch_id)
        if found is None or (request and found.request != request):
            raise RequestError(
                f"this server does not execute the batch `{batch_id}`",
                status=404,
                code=codes.BATCH_NOT_FOUND,
                help="resume it: send its rows again with its id; its runs are listed by `GET /v1/runs?batch=`",
            )
        return found

    def stop(self) -> None:
        """Interrupt all batches."""
        with self._lock:
            running = [each for each in self._batches.values() if each.ended_at is None]
        for each in running:
            each.stop("the server is shutting down")
