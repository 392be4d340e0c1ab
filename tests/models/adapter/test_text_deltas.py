"""Deltas of text are joined before an SDK reads them: the listener and the answer have the same as without that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.models.clients import ProviderClient, transport
from orchestrator.models.clients.answer_bounds import HttpExchange
from orchestrator.models.clients.text_deltas import joined
from orchestrator.models.messages import Message, ModelName, ModelRequest, ToolOffer
from tests.models.adapter.dialects import DIALECTS
from tests.models.adapter.wire import Answer, Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from orchestrator.models.messages import ModelReply

pytestmark = pytest.mark.anyio

CHAT = DIALECTS["openai-chat"]
END = b"data: [DONE]\n\n"


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**head, "choices": [choice], **more}).encode() + b"\n\n"


def texts(*pieces: str, **more: Any) -> list[bytes]:
    return [event({"content": piece}, **more) for piece in pieces]


def call(arguments: str, name: str | None = None) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": 0, "id": "t" if name else None, "type": "function", "function": function}]}


STREAMS: dict[str, list[bytes]] = {
    "text": texts("The ", "capital", " of ", "France"),
    "blank text first": texts("\n", " ", "The", " ", "\n", "capital", "\n"),
    "characters beyond the first plane": texts("a", "\U0001f600", "b\U0001f600"),
    "half of a character": [*texts("a", "b"), event({"content": "\ud83d"}), *texts("c")],
    "thoughts in tags": texts("<think>", "Hm", ".", "</think>", "\n\n", "Paris", " it", " is"),
    "thoughts in a field": [
        event({"content": None, "reasoning_content": "Hm"}),
        event({"content": "", "reasoning_content": "."}),
        *texts("\n", "Paris", " it", " is"),
        event({"reasoning_content": "Or?"}),
        *texts(" ", "Yes", ", it", " is"),
    ],
    "markup": texts("See", " ", "<b>", "Paris", "</b>", " now", "<", "think", ">", "no"),
    "a tool": [*texts("I", " ask", " it"), event(call("", "look_up")), event(call('{"a":')), event(call(" 1}"))],
    "text next to other fields": [
        *texts("a", "b"),
        event({"content": "c", "reasoning": "why"}),
        event({"content": "d", "annotations": []}),
        *texts("e", "f"),
    ],
    "text as parts": [*texts("a", "b"), event({"content": [{"type": "text", "text": "c"}]}), *texts("d", "e")],
    "usage in every event": [
        event({"content": piece}, usage={"prompt_tokens": 1, "completion_tokens": number, "total_tokens": number + 1})
        for number, piece in enumerate(("a", "b", "c"))
    ],
    "events that differ": [event({"content": piece}, created=number // 2) for number, piece in enumerate("abcdef")],
    "padded events": [event({"content": piece}, obfuscation="x" * number) for number, piece in enumerate("abcdef")],
    "comments": [*texts("a", "b"), b": wait\n\n", *texts("c", "d"), b": wait\n\n"],
    "an error": [*texts("a", "b"), b'data: {"error": {"message": "it is so", "code": 500}}\n\n'],
    "a choice too many": [*texts("a", "b"), event({"content": "c"}, choices=[]), *texts("d", "e")],
}
PACKED = {"one by one": 1, "two at once": 2, "all at once": 1_000}


async def ask(pieces: Iterable[bytes]) -> tuple[list[str], ModelReply | str]:
    heard: list[str] = []
    question = ModelRequest(
        (Message("user", "?"),), max_tokens=100, tools=(ToolOffer("look_up", "Look it up.", {"type": "object"}),)
    )
    async with Server(Answer(pieces=tuple(pieces), kind="text/event-stream")) as server:
        client = ProviderClient(lambda _: CHAT.endpoint(server.url))
        try:
            reply = await client.ask(CHAT.model_name, question, on_text=heard.append)
        except Exception as error:  # compared, whatever it is
            return heard, f"{type(error).__name__}: {error}"
        finally:
            await client.aclose()
    return heard, reply


@pytest.mark.parametrize("at_once", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("name", STREAMS)
async def test_an_answer_is_the_same_as_without_joining(
    name: str, newline: bytes, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [event({"role": "assistant", "content": ""}), *STREAMS[name], event({}, "stop"), END]
    events = [each.replace(b"\n", newline) for each in events]
    pieces = [b"".join(events[first : first + at_once]) for first in range(0, len(events), at_once)]
    heard, reply = await ask(pieces)
    monkeypatch.setattr(transport, "joined", lambda events, exchange: events)
    heard_without, reply_without = await ask(pieces)
    assert "".join(heard) == "".join(heard_without)
    if isinstance(reply, str) or isinstance(reply_without, str):
        assert reply == reply_without
    else:
        assert reply.text == reply_without.text
        assert (reply.usage, reply.finish) == (reply_without.usage, reply_without.finish)
        assert (reply.requests, reply.model) == (reply_without.requests, reply_without.model)


async def passed(events: list[bytes]) -> tuple[list[bytes], str]:
    """Join events; the reader is an SDK that has read each of them when it asks for the next."""
    heard: list[str] = []
    exchange = HttpExchange(ModelName("openai", "m"), on_text=heard.append)

    async def stream() -> AsyncIterator[bytes]:
        for each in events:
            yield each

    found = []
    async for each in joined(stream(), exchange):
        heard.append(exchange.unheard("".join(contents([each]))))
        found.append(each)
    return found, "".join(heard)


def contents(events: Iterable[bytes]) -> list[str]:
    read = [json.loads(each.removeprefix(b"data: ")) for each in events if each.startswith(b"data: {")]
    return [choice["delta"].get("content") or "" for each in read for choice in each["choices"]]


@given(st.lists(st.text(max_size=4)))
async def test_every_character_is_heard_once_and_in_order(pieces: list[str]) -> None:
    events = [*texts(*pieces), event({}, "stop")]
    found, heard = await passed(events)
    assert heard == "".join(contents(found)) == "".join(pieces)


async def test_an_sdk_reads_few_events() -> None:
    events = [event({"role": "assistant", "content": ""}), *texts("a", *"b" * 98, "c"), event({}, "stop"), END]
    found, heard = await passed(events)
    assert contents(found) == ["", "a", "b" * 98 + "c", ""]
    assert (found[0], found[1], found[-2:]) == (events[0], events[1], events[-2:])
    assert heard == "a" + "b" * 98 + "c"
