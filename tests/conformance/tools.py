"""The tools of the conformance cases: small, deterministic, and able to fail on demand."""

import asyncio
import threading
import time
from typing import Any, TypedDict

import orchestrator as orc


@orc.tool
async def echo(value: Any = None) -> Any:
    """Return the value."""
    return value


class Document(TypedDict):
    """A title and a text."""

    title: str
    text: str
    words: int


@orc.tool(primary="text")
def document(title: str, text: str = "") -> Document:
    """Return a document, whose text is what the step's name stands for."""
    return {"title": title, "text": text, "words": len(text.split())}


@orc.tool
async def fail(message: str = "it broke", retryable: bool = True) -> str:
    """Fail."""
    raise orc.StepError(message, retryable=retryable)


@orc.tool
async def flaky(context: orc.ToolContext, failures: int, value: str = "at last") -> str:
    """Fail in the first attempts, then return the value."""
    if context.attempt <= failures:
        raise orc.StepError(f"attempt {context.attempt} failed")
    return value


@orc.tool
def crash(number: int = 0) -> float:
    """Fail as ordinary Python code does."""
    return 1 / number


class Gates:
    """What calls of `gate` wait for, by the paths of their steps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}

    def open(self, step: str) -> None:
        """Let the step end, now or as soon as it has begun."""
        with self._lock:
            self._open.add(step)
            loop, event = self._waiting.get(step, (None, None))
        if loop is not None and event is not None:
            loop.call_soon_threadsafe(event.set)

    async def passed(self, step: str) -> None:
        """Return when the gate is open."""
        event = asyncio.Event()
        with self._lock:
            if step in self._open:
                return
            self._waiting[step] = (asyncio.get_running_loop(), event)
        await event.wait()

    def close(self) -> None:
        """Close all gates."""
        with self._lock:
            self._open.clear()
            self._waiting.clear()


GATES = Gates()


@orc.tool
async def gate(context: orc.ToolContext, value: Any = None) -> Any:
    """Return the value when the case has opened the gate for this step."""
    await GATES.passed(context.step)
    return value


@orc.tool
async def hang() -> None:
    """Never return."""
    await asyncio.Event().wait()


@orc.tool
def block(seconds: float = 5.0) -> None:
    """Hold a thread."""
    time.sleep(seconds)  # the point of this tool is that nothing can interrupt it


@orc.tool
def not_json() -> Any:
    """Return something that is not JSON data."""
    return object()


class shelf:  # noqa: N801 - the name of a tool
    """A tool with several actions."""

    def put(self, thing: str, copies: int = 1) -> int:
        """Return how many there are."""
        return copies

    def take(self, thing: str) -> str:
        """Return the thing."""
        return thing


shelf = orc.tool(shelf)


@orc.tool(requires=("exotic",))
def exotic() -> None:
    """Need an extra that nobody has."""


@orc.tool
async def overloaded(retry_after: float) -> str:
    """Fail, and ask to wait before another attempt."""
    raise orc.StepError("too many requests", retry_after=retry_after)
