"""What is known of one call while its answer comes in: what it may send at most, and what it has sent so far."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from msgspec import Struct, field

from orchestrator.errors import ModelError
from orchestrator.models.messages import ModelName

MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a server may send in one call: three times the longest answer of today, streamed token by token."""

MOST_OF_ERRORS: Final = 1024 * 1024
"""Bytes of the body of an error; the rest is not read. Its status counts, whatever its body is."""

MOST_NESTED: Final = 200_000
"""Objects and lists in one piece of JSON. Three bytes of `[],` become a hundred in memory, and more in an SDK."""

MOST_PARTS: Final = 1_000
"""Parts of an answer: texts, thoughts, requests for tools."""

_KEPT: Final = 64 * 1024


class HttpExchange(Struct):
    """One call. `on_text` gets an answer that is to come in pieces; `vectors`: it has vectors or media, which are long.

    `ahead` is how many characters the listener has and the SDK has not yet: it gets them in larger pieces. `limits` are
    the headers that tell of rate limits; `head` is how the body begins; `whole` is all of it, where a server answered
    at once though a stream was asked for. `fault` is why the answer is not read to its end.
    """

    name: ModelName
    max_bytes: int = MOST_BYTES
    on_text: Callable[[str], None] | None = None
    vectors: bool = False
    limits: dict[str, str] = field(default_factory=dict)
    ahead: int = 0
    received: int = 0
    head: bytearray = field(default_factory=bytearray)
    whole: bytes | None = None
    fault: ModelError | None = None

    @property
    def streams(self) -> bool:
        """Whether the answer is to come in pieces."""
        return self.on_text is not None

    @property
    def max_document(self) -> int:
        """Bytes of one document at most: a whole body, a line, an event of a stream. Vectors and media may be all."""
        return self.max_bytes if self.vectors else max(self.max_bytes // 4, 1)

    @property
    def max_text(self) -> int:
        """Characters of an answer at most: a million tokens. SDKs join its pieces one by one, so it takes its time."""
        return max(self.max_document // 4, 1)

    def hear(self, text: str) -> None:
        """Give a piece of the answer to the listener, before the SDK has it."""
        self.ahead += len(text)
        if self.on_text is not None:
            self.on_text(text)

    def unheard(self, text: str) -> str:
        """Return what the listener has not yet of a text that comes from the SDK."""
        heard = min(self.ahead, len(text))
        self.ahead -= heard
        return text[heard:]

    def keep(self, piece: bytes) -> None:
        """Keep the first bytes of a body, to report what came instead of an answer."""
        if len(self.head) < _KEPT:
            self.head += piece[: _KEPT - len(self.head)]


class BoundExceeded(Exception):
    """A server has sent what no answer is."""

    def __init__(self, fault: ModelError) -> None:
        super().__init__(fault.message)
        self.fault = fault


current: ContextVar[HttpExchange | None] = ContextVar("the call that is being made", default=None)
