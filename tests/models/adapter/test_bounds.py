"""What a server of models may send: nothing that it does takes more memory than an answer may have."""

from __future__ import annotations

import gc
import gzip
import json
import socket
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator.errors import ModelError, ModelRejected
from orchestrator.models.clients import Endpoint, ProviderClient
from orchestrator.models.messages import Message, ModelName, ModelRequest
from tests.models.adapter.dialects import DIALECTS, Dialect
from tests.models.adapter.wire import Answer, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

QUESTION = ModelRequest((Message("user", "What is the capital of France?"),), max_tokens=1000)
LIMIT = 400_000
"""Bytes that may be read in these tests; a document may have a quarter of it."""

ENDLESS = 1_000_000
CHAT = DIALECTS["openai-chat"]
HTTP = [name for name in DIALECTS if name != "bedrock"]
SSE = [name for name in HTTP if name != "google"]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)


async def refusal(dialect: Dialect, answer: Answer, *, streams: bool, limit: int | None = LIMIT) -> ModelError:
    """Return the error that an answer is refused with. The server's last piece has not been waited for."""
    async with Server(answer) as server:
        endpoint = dialect.endpoint(server.url)
        endpoint = replace(endpoint, provider=replace(endpoint.provider, max_bytes=limit))
        client = ProviderClient(lambda _: endpoint)
        try:
            with pytest.raises(ModelError) as caught:
                await client.ask(dialect.model_name, QUESTION, on_text=(lambda _: None) if streams else None)
        finally:
            await client.aclose()
    return caught.value


def repeated(piece: bytes, size: int = ENDLESS, start: bytes = b"") -> tuple[bytes, ...]:
    block = piece * max(1, 20_000 // len(piece))
    return (start, *([block] * (size // len(block) + 1))) if start else (block,) * (size // len(block) + 1)


def chat_chunks(delta: Callable[[int], dict[str, Any]], count: int) -> Iterator[bytes]:
    for number in range(count):
        choice = {"index": 0, "delta": delta(number), "finish_reason": None}
        body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        yield b"data: " + json.dumps(body).encode() + b"\n\n"


def tool_call(number: int) -> dict[str, Any]:
    call = {"index": number, "id": f"call_{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return {"tool_calls": [call]}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", DIALECTS)
async def test_an_answer_without_an_end_is_refused(name: str, streams: bool) -> None:
    dialect = DIALECTS[name]
    if streams:
        pieces = dialect.pieces(("word " * 200,) * 2_000)
    else:
        pieces = repeated(b"word ", start=b'{"id": "')
    error = await refusal(
        dialect, Answer(pieces=pieces, kind=dialect.kind if streams else "application/json"), streams=streams
    )
    assert (error.code, error.retryable, error.provider) == ("ORC733", False, dialect.provider)
    assert "which is not a valid answer" in error.message
    assert f"`max_bytes` under `[servers.{dialect.provider}]`" in str(error.help)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw"])
@pytest.mark.parametrize("name", HTTP)
async def test_an_answer_that_grows_when_it_is_unpacked_is_refused(name: str, coding: str, streams: bool) -> None:
    plain = b" " * 20_000_000
    if coding == "gzip":
        packed = gzip.compress(plain)
    elif coding == "deflate":
        packed = zlib.compress(plain)
    else:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        packed = deflate.compress(plain) + deflate.flush()
    headers = {"content-encoding": "gzip" if coding == "gzip" else "deflate"}
    error = await refusal(DIALECTS[name], Answer(packed, headers=headers), streams=streams)
    assert error.code == "ORC733"


@pytest.mark.parametrize("name", SSE)
@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (repeated(b": still there\n\n"), "more than 400,000 bytes"),
        (repeated(b": still there\n"), "more than 400,000 bytes"),
        (repeated(b"x", start=b"data: "), "a line of more than 100,000 bytes"),
        (repeated(b"data: x\n"), "an event of more than 1,000 lines"),
        (repeated(b"\r\n"), "more than 400,000 bytes"),
    ],
    ids=["comments", "comments in one event", "a line", "an event", "empty lines"],
)
async def test_a_stream_that_says_nothing_for_ever_is_refused(name: str, pieces: tuple[bytes, ...], said: str) -> None:
    error = await refusal(DIALECTS[name], Answer(pieces=pieces, kind="text/event-stream"), streams=True)
    assert (error.code, said in error.message) == ("ORC733", True), error.message


@pytest.mark.parametrize(
    "delta",
    [
        lambda _: {"content": "x" * 100},
        lambda _: {"reasoning_content": "x" * 100},
        lambda _: {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "x" * 100}}]},
    ],
    ids=["text", "thoughts", "arguments"],
)
async def test_what_comes_together_in_small_pieces_is_refused(delta: Callable[[int], dict[str, Any]]) -> None:
    answer = Answer(pieces=tuple(chat_chunks(delta, 3_000)), kind="text/event-stream")
    error = await refusal(CHAT, answer, streams=True, limit=1_600_000)
    assert "an answer of more than 100,000 characters" in error.message


async def test_an_answer_asks_for_a_bounded_number_of_tools() -> None:
    answer = Answer(pieces=tuple(chat_chunks(tool_call, 2_500)), kind="text/event-stream")
    assert "more than 1,000 parts" in (await refusal(CHAT, answer, streams=True, limit=None)).message
    body = CHAT.whole("", "tool_calls")
    calls = [tool_call(number)["tool_calls"][0] for number in range(1_001)]
    body["choices"][0]["message"]["tool_calls"] = calls
    error = await refusal(CHAT, Answer(json.dumps(body).encode()), streams=False, limit=None)
    assert "more than 1,000 parts" in error.message


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
async def test_json_that_grows_in_memory_is_refused(streams: bool) -> None:
    body = b'{"choices": [' + b"[]," * 250_000 + b"[]]}"
    for answer in (Answer(body), Answer(b"data: " + body + b"\n\n", kind="text/event-stream")):
        if streams or answer.kind != "text/event-stream":
            error = await refusal(CHAT, answer, streams=streams, limit=None)
            assert "JSON of more than 200,000 objects and lists" in error.message


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
async def test_compression_that_was_not_asked_for_is_refused(coding: str) -> None:
    error = await refusal(CHAT, Answer(b"{}", headers={"content-encoding": coding}), streams=False)
    assert f"compressed by `{coding}`" in error.message
    error = await refusal(CHAT, Answer(b"{}", headers={"content-encoding": "gzip"}), streams=False)
    assert "its compression is broken" in error.message


@pytest.mark.parametrize("name", DIALECTS)
async def test_an_error_keeps_its_status_however_long_its_body_is(name: str) -> None:
    dialect = DIALECTS[name]
    for headers in ({}, {"content-encoding": "gzip"}):
        if headers and name == "bedrock":
            continue
        error = await refusal(dialect, Answer(b"no " * ENDLESS, status=400, headers=headers), streams=False)
        assert (type(error), error.status) == (ModelRejected, 400)


def open_sockets() -> set[int]:
    """Return the descriptors of all sockets that are open, also of those that nothing refers to any more."""
    return {each.fileno() for each in gc.get_objects() if isinstance(each, socket.socket)} - {-1}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [200, 400])
async def test_an_answer_that_is_not_read_to_its_end_leaves_no_socket_open(status: int, streams: bool) -> None:
    dialect = DIALECTS["bedrock"]  # its SDK has sockets of its own, which only the garbage collector would close
    pieces = dialect.pieces(("word " * 200,) * 2_000) if streams and status == 200 else (b"no " * ENDLESS,)
    before = open_sockets()
    await refusal(dialect, Answer(pieces=pieces, status=status, kind=dialect.kind), streams=streams)
    assert open_sockets() <= before


def _same(endpoint: Endpoint, _: ModelName) -> Endpoint:
    return endpoint


@pytest.mark.parametrize("name", HTTP)
async def test_an_answer_that_is_compressed_is_read(name: str) -> None:
    dialect = DIALECTS[name]
    for answer, streams in ((dialect.answer("Paris."), False), (dialect.stream("Par", "is."), True)):
        body = gzip.compress(answer.body if answer.pieces is None else b"".join(answer.pieces))
        pieces = tuple(body[at : at + 7] for at in range(0, len(body), 7))
        packed = Answer(pieces=pieces, headers={"content-encoding": "gzip"}, kind=answer.kind)
        async with Server(packed) as server:
            endpoint = dialect.endpoint(server.url)
            client = ProviderClient(partial(_same, endpoint))
            reply = await client.ask(dialect.model_name, QUESTION, on_text=(lambda _: None) if streams else None)
            await client.aclose()
        assert reply.text == "Paris."
