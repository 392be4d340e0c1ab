"""Answers that are none, or not where they should be: errors in a body, nothing, whole answers in place of streams."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.errors import ModelAnswerInvalid, ModelError, ModelRateLimited, ModelRejected, ModelUnavailable
from orchestrator.models.clients import ProviderClient
from orchestrator.models.messages import Message, ModelReply, ModelRequest, ToolOffer, ToolRequest
from tests.models.adapter.dialects import DIALECTS, Dialect
from tests.models.adapter.wire import Answer, Server

pytestmark = pytest.mark.anyio

QUESTION = ModelRequest((Message("user", "What is the capital of France?"),), system="Be short.", max_tokens=1000)
FORM = replace(
    QUESTION,
    schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
)
TOOLS = replace(QUESTION, tools=(ToolOffer("look", "Look.", {"type": "object", "properties": {}}),))
CHAT = DIALECTS["openai-chat"]
HTTP = [name for name in DIALECTS if name != "bedrock"]
BOTH = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)


async def ask(
    dialect: Dialect, answer: Answer, *, streams: bool = False, request: ModelRequest = QUESTION, **settings: Any
) -> tuple[ModelReply, list[str], Any]:
    """Return the reply, the pieces that came, and what was sent."""
    pieces: list[str] = []
    async with Server(answer) as server:
        endpoint = dialect.endpoint(server.url)
        endpoint = replace(endpoint, provider=replace(endpoint.provider, **settings))
        client = ProviderClient(lambda _: endpoint)
        try:
            reply = await client.ask(dialect.model_name, request, on_text=pieces.append if streams else None)
        finally:
            await client.aclose()
        assert len(server.asked) == 1  # nothing is paid for twice
        return reply, pieces, server.asked[0].data


async def fault(dialect: Dialect, answer: Answer, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(dialect, answer, **options)
    return caught.value


# --- whole answers in place of streams


@pytest.mark.parametrize("name", HTTP)
async def test_a_whole_answer_in_place_of_a_stream_is_read(name: str) -> None:
    dialect = DIALECTS[name]
    reply, pieces, _ = await ask(dialect, dialect.answer("Paris."), streams=True)
    assert (reply.text, reply.finish, pieces) == ("Paris.", "stop", ["Paris."])
    assert (reply.usage.input, reply.usage.output) == (100, 30)
    in_pieces = tuple(bytes([byte]) for byte in b"\r\n " + dialect.answer("Paris.").body)
    reply, pieces, _ = await ask(dialect, Answer(pieces=in_pieces, kind="text/plain"), streams=True)
    assert (reply.text, pieces) == ("Paris.", ["Paris."])


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_server_may_be_set_not_to_stream(name: str) -> None:
    dialect = DIALECTS[name]
    reply, _, sent = await ask(dialect, dialect.answer("Paris."), streams=True, stream=False)
    assert reply.text == "Paris."
    assert not sent.get("stream")


# --- errors in the body of a response that says 200


@BOTH
@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (
            {"error": {"message": "upstream overloaded", "code": 502}},
            ModelUnavailable,
            "status 502: upstream overloaded",
        ),
        ({"error": {"message": "slow down", "code": "429"}}, ModelRateLimited, "slow down"),
        ({"error": {"message": "no such model", "status": 404}}, ModelRejected, "no such model"),
        ({"error": {"message": "it broke", "type": "server_error"}}, ModelError, "answered with an error: it broke"),
        ({"error": "it broke"}, ModelError, "answered with an error: it broke"),
        ({"object": "error", "message": "it broke", "code": 500}, ModelUnavailable, "it broke"),
        ({"detail": "it broke"}, ModelError, "it broke"),
    ],
)
@pytest.mark.parametrize("name", HTTP)
async def test_an_error_in_the_body_is_what_the_provider_says(
    name: str, body: Any, kind: type[ModelError], said: str, streams: bool
) -> None:
    error = await fault(DIALECTS[name], Answer(json.dumps(body).encode()), streams=streams)
    assert (type(error), said in error.message) == (kind, True), error
    assert "validation error" not in error.message


@pytest.mark.parametrize("name", [name for name in HTTP if name != "google"])
async def test_an_error_in_a_stream_is_what_the_provider_says(name: str) -> None:
    dialect = DIALECTS[name]
    event = b'event: error\ndata: {"type": "error", "error": {"message": "upstream overloaded", "code": 502}}\n\n'
    for before in (0, 1):
        answer = Answer(pieces=(*dialect.pieces(("Par",))[:before], event), kind="text/event-stream")
        error = await fault(dialect, answer, streams=True)
        assert "upstream overloaded" in error.message, error


# --- nothing


@BOTH
@pytest.mark.parametrize("text", ["", " \n"])
@pytest.mark.parametrize("request_", [QUESTION, FORM, TOOLS], ids=["text", "data", "tools"])
@pytest.mark.parametrize("name", HTTP)
async def test_an_empty_answer_says_so(name: str, request_: ModelRequest, text: str, streams: bool) -> None:
    dialect = DIALECTS[name]
    error = await fault(dialect, dialect.answer(text), streams=streams, request=request_)
    assert isinstance(error, ModelAnswerInvalid)
    assert error.message == f"`{dialect.model_name}` returned an empty answer"
    assert error.reply is not None


async def test_an_answer_without_choices_is_empty() -> None:
    bodies: tuple[Any, ...] = ({"choices": []}, CHAT.whole("", "stop") | {"choices": []})
    for body in bodies:
        error = await fault(CHAT, Answer(json.dumps(body).encode()))
        assert (type(error), error.message) == (ModelAnswerInvalid, "`openai:gpt-4.1-mini` returned an empty answer")
        assert error.reply is not None


async def test_an_answer_that_reached_its_limit_before_it_began_says_so() -> None:
    error = await fault(CHAT, CHAT.answer("", "length"))
    assert error.message == (
        "`openai:gpt-4.1-mini` reached its limit of tokens before it answered; 10 tokens went into reasoning"
    )
    assert "raise `max_tokens` (now 1,000)" in str(error.help)
    error = await fault(CHAT, CHAT.answer('{"n": ', "length"), request=FORM)
    assert error.message == 'the answer of `openai:gpt-4.1-mini` is cut off: {"n":'


async def test_what_is_no_answer_is_shown() -> None:
    error = await fault(CHAT, Answer(b"<html>Welcome to nginx</html>", kind="text/html"))
    assert "cannot be read, as it does not follow the protocol: <html>Welcome to nginx</html>" in error.message
    assert "`base_url`" in str(error.help)


# --- what is asked


@pytest.mark.parametrize("name", HTTP)
async def test_there_is_one_system_message(name: str) -> None:
    dialect = DIALECTS[name]
    _, _, sent = await ask(dialect, dialect.answer('{"n": 1}'), request=FORM)
    roles = [message.get("role") for message in sent.get("messages") or sent.get("input") or ()]
    assert roles.count("system") + roles.count("developer") <= 1


# --- requests for tools


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"path": ', 'the arguments are not JSON: {"path":'),
        ("[1]", "the arguments are not a JSON object: [1]"),
        ('{"n": 1e999}', "the arguments are not JSON"),
        ("{'a': 1}", "the arguments are not JSON"),
    ],
)
async def test_arguments_that_cannot_be_read_are_a_request_with_a_problem(written: str, said: str) -> None:
    body = CHAT.whole("", "tool_calls")
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": written}}
    body["choices"][0]["message"]["tool_calls"] = [call]
    reply, _, _ = await ask(CHAT, Answer(json.dumps(body).encode()), request=TOOLS)
    (request,) = reply.requests
    assert request == ToolRequest("c", "look", {}, request.problem)
    assert request.problem.startswith(said)
