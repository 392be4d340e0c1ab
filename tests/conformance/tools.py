"""The tools of the conformance cases: small, deterministic, and able to fail on demand."""

import asyncio
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
