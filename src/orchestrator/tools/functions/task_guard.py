"""Guards the tasks and the event loop of runs against custom tools, which share the loop with them.

A tool may cancel what it has started itself. What it must not do, such as `for task in asyncio.all_tasks():
task.cancel()` or `loop.stop()`, raises an error inside the tool, and so fails its step instead of ending other runs.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class ToolCallGuard:
    """Within it, the function of a custom tool runs: what it starts belongs to this call, as long as it is `active`.

    `task` is the task that makes the call.
    """

    __slots__ = ("_token", "active", "task")

    def __init__(self) -> None:
        self.active = True
        self.task = asyncio.current_task()

    def __enter__(self) -> None:
        self._token = _call.set(self)

    def __exit__(self, *exception: object) -> None:
        self.active = False
        _call.reset(self._token)


_call: ContextVar[ToolCallGuard | None] = ContextVar("orchestrator_tool_call", default=None)
"""The call of a custom tool that code runs in: that of its tasks, threads, timers and callbacks, too."""


class GuardedTask(asyncio.Task[T]):
    """A task that a tool can cancel only if the tool has started it, or if the call that has started it has ended."""

    def __init__(self, work: Coroutine[Any, Any, T], **options: Any) -> None:
        self._owner = _call.get()
        super().__init__(work, **options)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel the task.

        Raises:
            RuntimeError: A tool must not cancel it.
        """
        call, owner = _call.get(), self._owner
        if call is not None and owner is not call and self is not call.task and (owner is None or owner.active):
            raise RuntimeError("a tool must not cancel tasks that it did not start: they belong to runs")
        return super().cancel(msg)


def create_guarded_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], *, name: str | None = None
) -> asyncio.Task[T]:
    """Run a coroutine of the runtime as a task. It belongs to no tool, even if a tool's call leads to it."""
    token = _call.set(None)
    try:
        return GuardedTask(work, loop=loop, name=name)
    finally:
        _call.reset(token)


def cancel_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task on behalf of the runtime, even if a tool's call leads to it."""
    token = _call.set(None)
    try:
        task.cancel()
    finally:
        _call.reset(token)


def guard_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Make all tasks of a loop guarded, also those that tools start. For a loop that has no other user."""
    loop.set_task_factory(lambda loop, work, **options: GuardedTask(work, loop=loop, **options))


def guard_stop(loop: asyncio.AbstractEventLoop) -> None:
    """Refuse to stop a loop from within a tool. All other code can stop it as before."""
    stop = loop.stop
    if isinstance(stop, _GuardedStop):
        return
    with suppress(AttributeError):  # a loop that is not written in Python may not allow it
        loop.stop = _GuardedStop(stop)  # type: ignore[method-assign]


class _GuardedStop:
    def __init__(self, stop: Any) -> None:
        self._stop = stop

    def __call__(self) -> None:
        if _call.get() is not None:
            raise RuntimeError("a tool must not stop the event loop, which executes runs")
        self._stop()
