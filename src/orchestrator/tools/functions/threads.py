"""Worker threads for blocking tools. They are daemons, so that they can be abandoned.

The threads of `asyncio.to_thread`, `concurrent.futures` and anyio are joined when the interpreter exits, so a tool that
hangs would keep a command from exiting after its step has timed out.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

_IDLE_SECONDS = 10.0
_Job = tuple[Callable[[], Any], asyncio.Future[Any], contextvars.Context]


class _WorkerPool:
    """A thread per concurrent call (the scheduler limits them); idle threads end after a while."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()

    def submit(self, job: _Job) -> None:
        with self._lock:
            start = self._idle == 0
            if not start:
                self._idle -= 1
        self._jobs.put(job)
        if start:
            threading.Thread(target=self._work, name="orchestrator-tool", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if self._idle == 0:  # a job was promised to an idle thread: this one
                        continue
                    self._idle -= 1
                return
            settle = _execute(job)
            with self._lock:
                self._idle += 1  # before the caller is notified, so that its next call finds this thread
            settle()
            del job, settle  # so that an idle thread keeps no result alive


def _execute(job: _Job) -> Callable[[], None]:
    """Run the function, and return a function that reports its outcome to the caller's loop."""
    function, future, context = job
    try:
        report = partial(_set_result, future, context.run(function))
    except BaseException as error:  # any exception, including SystemExit, belongs to the caller
        report = partial(_set_exception, future, error)

    def settle() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed
            future.get_loop().call_soon_threadsafe(report)

    return settle


def _set_result(future: asyncio.Future[Any], outcome: Any) -> None:
    if not future.done():
        future.set_result(outcome)


def _set_exception(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


_POOL = _WorkerPool()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.__init__)  # type: ignore[misc]  # the threads do not exist in a child


async def run_in_thread(function: Callable[[], Any]) -> Any:
    """Run a blocking function in a thread and wait for it. When cancelled, the thread is abandoned."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    _POOL.submit((function, future, contextvars.copy_context()))
    return await future
