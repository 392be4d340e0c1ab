"""An event loop in a dedicated thread, for callers without one."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.errors import ConfigurationError
from orchestrator.journal.records import LEASE_SECONDS
from orchestrator.journal.retry import store_patience
from orchestrator.tools.functions.task_guard import guard_stop, guard_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Portal:
    """Starts its thread on first use. `close` cancels what still runs and ends the thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the thread; its result comes through the future.

        It has the context of the caller, but waits for the store as runs do, whatever patience the caller has.
        """
        context = copy_context()
        context.run(store_patience.set, LEASE_SECONDS)
        return context.run(asyncio.run_coroutine_threadsafe, work, self._started())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread and wait for its result.

        Raises:
            ConfigurationError: The caller runs in that very thread, so it would wait for itself.
        """
        try:
            self.refuse_inside()
        except ConfigurationError:
            work.close()
            raise
        return self.submit(work).result()

    def refuse_inside(self, twin: str = "await pipeline.arun(...)") -> None:
        """Refuse a caller who runs in the thread, and so would wait for himself.

        Raises:
            ConfigurationError: It does.
        """
        if threading.current_thread() is self._thread:
            raise ConfigurationError(
                "a blocking call was made inside an async tool", help=f"use its async twin there: `{twin}`"
            )

    def trigger(self, act: Callable[[], object]) -> Callable[[], None]:
        """Return what lets `act` happen in the thread soon; a signal's handler may call it, as it takes no lock."""
        loop = self._started()

        def soon() -> None:
            with suppress(RuntimeError):  # the thread has ended, so there is nothing left to act upon
                loop.call_soon_threadsafe(act)

        return soon

    def close(self) -> None:
        """End the thread, if it was started."""
        with self._lock:
            thread, loop, stop = self._thread, self._loop, self._stop
            self._thread = self._loop = self._stop = None
        if thread is not None and loop is not None and stop is not None:
            loop.call_soon_threadsafe(stop.set)
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                started: Future[asyncio.AbstractEventLoop] = Future()
                self._thread = threading.Thread(
                    target=self._serve, args=(started,), name="orchestrator-loop", daemon=True
                )
                self._thread.start()
                self._loop = started.result()
            return self._loop

    def _serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        async def main() -> None:
            stop = self._stop = asyncio.Event()
            started.set_result(asyncio.get_running_loop())
            while not stop.is_set():
                with suppress(
                    asyncio.CancelledError
                ):  # a thread that a tool has started cancels every task that it finds
                    await stop.wait()

        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            guard_tasks(loop)
            guard_stop(loop)
            serving = loop.create_task(main())
            while not serving.done():
                # A thread that a tool has started may stop the loop; a callback may ask for the program's end.
                with suppress(RuntimeError, SystemExit, KeyboardInterrupt):
                    loop.run_until_complete(serving)
