"""Joins the text deltas of a stream of chat completions: an SDK then takes one event instead of hundreds.

An SDK and Pydantic AI take ten times the processor time for an event that this does. The listener gets each delta at
once. Whatever is more than a delta of text passes unchanged, with what came before it, so that nothing else is
interpreted here: it is recognized by its form, and other protocols pass too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from orchestrator.models.clients.answer_bounds import BoundExceeded
from orchestrator.models.clients.errors import too_large

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from orchestrator.models.clients.answer_bounds import HttpExchange

_BEGIN: Final = b"data: {"
_END: Final = b"\n\n"
_PADDING: Final = "obfuscation"
"""Random characters of each event that hide its length."""

_json: Final = msgspec.json.Decoder()


async def joined(events: AsyncIterator[bytes], exchange: HttpExchange) -> AsyncIterator[bytes]:
    """Yield a stream of events in which deltas of text are joined; the exchange's listener gets them as they come.

    The reader must have read an event to its end when it asks for the next one.
    """
    deltas = _Deltas(exchange)
    async for some in events:
        for event in _separate(some):
            for each in deltas.add(event):
                yield each
    for each in deltas.end():
        yield each


def _separate(events: bytes) -> list[bytes]:
    """Return the events of some bytes, if each can be recognized; else the bytes as they are."""
    if not events.startswith(_BEGIN) or b"\r" in events or not events.endswith(_END):
        return [events]
    return [event + _END for event in events[: -len(_END)].split(_END)]


class _Deltas:
    """The deltas that were not yet passed: `rest` is the event of the first, without its text."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self._in_text = False  # the last event was text that more text is added to
        self._tagged = False
        self._rest: dict[str, Any] | None = None
        self._texts: list[str] = []
        self._length = 0

    def add(self, event: bytes) -> Iterator[bytes]:
        """Add an event; yield what is to be passed."""
        chunk = _text_chunk(event)
        if chunk is None:
            yield from self.end()
            self._in_text = False
            yield event
            return
        delta = chunk["choices"][0]["delta"]
        text = delta["content"]
        if not self._in_text or text.startswith("<"):
            # Blank text at the beginning may be dropped; after a tag, what looks like text may be thoughts.
            yield from self.end()
            self._tagged = self._tagged or (text.startswith("<") and text.endswith(">"))
            self._in_text = not self._tagged and not text.isspace()
            yield event
            return
        delta["content"] = ""
        if chunk != self._rest:
            yield from self.end()
            self._rest = chunk
        self._texts.append(text)
        self._length += len(text)
        if self._length > (most := self._exchange.max_text):
            raise BoundExceeded(too_large(self._exchange, f"an answer of more than {most:,} characters"))
        self._exchange.hear(text)

    def end(self) -> Iterator[bytes]:
        """Yield the event of the deltas that were not yet passed, if there are any."""
        if self._rest is not None:
            self._rest["choices"][0]["delta"]["content"] = "".join(self._texts)
            event = b"data: " + msgspec.json.encode(self._rest) + _END
            self._rest, self._texts = None, []
            yield event


def _text_chunk(event: bytes) -> dict[str, Any] | None:
    """Return a chunk of a chat that only adds text to it; None for any other event."""
    if not event.startswith(_BEGIN):
        return None
    try:
        chunk: Any = _json.decode(event[len(_BEGIN) - 1 :])
        choice = chunk["choices"][0]
        delta = choice["delta"]
        text = delta["content"]
        ends = chunk.pop("usage", None) or choice.get("finish_reason") or choice.get("logprobs")
        more = len(chunk["choices"]) > 1 or any(delta[key] for key in delta if key not in ("content", "role"))
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
        return None
    chunk.pop(_PADDING, None)
    return chunk if isinstance(text, str) and text and not ends and not more else None
