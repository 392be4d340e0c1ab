"""What every provider has in common for whoever asks: the same table for each of them, over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from orchestrator.errors import (
    ModelAnswerInvalid,
    ModelError,
    ModelRateLimited,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
)
from orchestrator.models.clients import ProviderClient
from orchestrator.models.messages import Media, Message, ModelReply, ModelRequest, Sending, Usage, current_sending
from orchestrator.remedies import ListModels, StoreKey
from tests.models.adapter.dialects import DIALECTS, KEY, Dialect
from tests.models.adapter.wire import Answer, Server

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

QUESTION = ModelRequest((Message("user", "What is the capital of France?"),), system="Be short.", max_tokens=1000)
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "score": {"type": "number"}},
    "required": ["title", "score"],
    "additionalProperties": False,
}
FORM = replace(QUESTION, schema=SCHEMA, max_tokens=50)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "id"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture(params=DIALECTS.values(), ids=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


async def ask(
    dialect: Dialect, server: Server, request: ModelRequest = QUESTION, on_text: Callable[[str], None] | None = None
) -> ModelReply:
    client = ProviderClient(lambda _: dialect.endpoint(server.url))
    try:
        return await client.ask(dialect.model_name, request, on_text=on_text)
    finally:
        await client.aclose()


# --- answers


async def test_an_answer_has_its_text_its_model_and_what_it_used(dialect: Dialect) -> None:
    async with Server(dialect.answer("Paris.")) as server:
        reply = await ask(dialect, server)
    assert (reply.text, reply.data, reply.requests, reply.finish) == ("Paris.", None, (), "stop")
    assert reply.usage == Usage(input=100, output=30, cached=40, reasoning=dialect.reasoning, requests=1)
    assert reply.model in ("said", dialect.model)
    assert reply.latency > 0
    assert len(server.asked) == 1


async def test_a_streamed_answer_comes_in_pieces_and_has_the_same_in_the_end(dialect: Dialect) -> None:
    pieces: list[str] = []
    async with Server(dialect.stream("Par", "is", ".")) as server:
        reply = await ask(dialect, server, on_text=pieces.append)
    assert [piece for piece in pieces if piece] == ["Par", "is", "."]
    assert (reply.text, reply.finish) == ("Paris.", "stop")
    assert reply.usage == Usage(input=100, output=30, cached=40, reasoning=dialect.reasoning, requests=1)


@pytest.mark.parametrize("read", [-5, 10**30])
@pytest.mark.filterwarnings("ignore")  # what the libraries say of such numbers
async def test_usage_that_cannot_be_right_is_as_good_as_none(read: int) -> None:
    dialect = DIALECTS["openai-chat"]
    body = dialect.whole("Paris.", "stop") | {
        "usage": {"prompt_tokens": read, "completion_tokens": read, "total_tokens": 1}
    }
    async with Server(Answer(json.dumps(body).encode())) as server:
        reply = await ask(dialect, server)
    assert reply.usage == Usage(requests=1)


async def test_half_of_a_character_in_an_answer_is_replaced() -> None:
    dialect = DIALECTS["openai-chat"]
    async with Server(dialect.answer("An apple \ud83c and \U0001f34e.")) as server:
        reply = await ask(dialect, server)
    assert reply.text == "An apple \ufffd and \U0001f34e."
    async with Server(dialect.answer(r'{"title": "\ud83c", "score": 1}')) as server:
        reply = await ask(dialect, server, FORM)
    assert reply.data == {"title": "\ufffd", "score": 1}


@pytest.mark.parametrize("score", ["NaN", "1e999", "-1e999"])
async def test_a_number_that_json_cannot_hold_is_no_answer(score: str) -> None:
    dialect = DIALECTS["openai-chat"]
    async with Server(dialect.answer(f'{{"title": "t", "score": {score}}}')) as server:
        with pytest.raises(ModelAnswerInvalid, match="did not return JSON"):
            await ask(dialect, server, FORM)


async def test_what_is_asked_arrives(dialect: Dialect) -> None:
    picture = Media(b"\x89PNG bytes", "image/png", "chart.png")
    notes = Media("Umsätze: 12\n".encode(), "text/csv", "sales.csv")
    request = ModelRequest(
        (
            Message("user", ("Look at these.", picture, notes)),
            Message("assistant", "I have."),
            Message("user", "What is on them?"),
        ),
        system="Be short.",
        temperature=0.25,
        max_tokens=77,
    )
    async with Server(dialect.answer("A chart.")) as server:
        await ask(dialect, server, request)
    sent = server.asked[0].body.decode()
    for part in (
        "Look at these.",
        "I have.",
        "What is on them?",
        "Be short.",
        "0.25",
        "77",
        "iVBORyBieXRlcw",
        "png",
    ):
        assert part in sent, part
    assert "Umsätze: 12" in json.dumps(server.asked[0].data, ensure_ascii=False)
    assert "sales.csv" in sent
    assert (dialect.key or "AWS4-HMAC-SHA256") in json.dumps(server.asked[0].headers)


async def test_an_answer_in_a_given_form_is_data(dialect: Dialect) -> None:
    async with Server(dialect.answer('{"title": "Paris", "score": 0.5}')) as server:
        reply = await ask(dialect, server, FORM)
    assert reply.data == {"title": "Paris", "score": 0.5}
    assert "score" in server.asked[0].body.decode()


async def test_a_list_can_be_asked_for_though_providers_want_objects(dialect: Dialect) -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/city"}, "$defs": {"city": {"type": "string"}}}
    async with Server(dialect.answer('{"answer": ["Paris", "Oslo"]}')) as server:
        reply = await ask(dialect, server, replace(QUESTION, schema=schema))
    assert reply.data == ["Paris", "Oslo"]


async def test_a_text_that_is_cut_off_says_so(dialect: Dialect) -> None:
    async with Server(dialect.answer("The capital of", "length")) as server:
        reply = await ask(dialect, server)
    assert (reply.text, reply.finish) == ("The capital of", "length")


# --- answers that are none


async def test_data_that_are_cut_off_are_invalid_and_paid(dialect: Dialect) -> None:
    async with Server(dialect.answer('{"title": "Par', "length")) as server:
        with pytest.raises(ModelAnswerInvalid) as caught:
            await ask(dialect, server, FORM)
    assert "raise `max_tokens` (now 50)" in str(caught.value.help)
    assert caught.value.reply.usage.output == 30
    assert caught.value.retryable


async def test_an_answer_that_is_no_json_is_invalid(dialect: Dialect) -> None:
    async with Server(dialect.answer("I think it is Paris.")) as server:
        with pytest.raises(ModelAnswerInvalid, match="did not return JSON: I think it is Paris"):
            await ask(dialect, server, FORM)


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.refusals])
async def test_a_refusal_is_not_an_answer_and_is_not_asked_again(name: str) -> None:
    dialect = DIALECTS[name]
    for refusal in dialect.refusals:
        async with Server(Answer(json.dumps(refusal).encode())) as server:
            with pytest.raises(ModelRefused, match="refused to answer") as caught:
                await ask(dialect, server)
        assert not caught.value.retryable
        assert caught.value.reply.usage.input == 100


# --- errors of the provider


async def test_a_429_becomes_a_rate_limit_with_the_time_to_wait(dialect: Dialect) -> None:
    async with Server(dialect.failure(429, "slow down", **{"retry-after": "7"})) as server:
        with pytest.raises(ModelRateLimited, match="slow down") as caught:
            await ask(dialect, server)
    assert (caught.value.status, caught.value.retry_after, caught.value.retryable) == (429, 7.0, True)
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", [name for name, dialect in DIALECTS.items() if dialect.provider != "bedrock"])
async def test_what_an_answer_or_a_refusal_tells_of_limits_is_passed_on(name: str) -> None:
    dialect = DIALECTS[name]
    told = {"x-ratelimit-remaining-requests": "3", "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z"}
    for failed in (False, True):
        plain = dialect.failure(429) if failed else dialect.answer("Paris.")
        async with Server(replace(plain, headers=plain.headers | told)) as server:
            try:
                limits = (await ask(dialect, server)).limits
            except ModelRateLimited as error:
                limits = error.limits
        assert limits == told


@pytest.mark.parametrize("status", [500, 502, 503, 529])
async def test_an_ill_server_is_unavailable_and_asked_only_once(dialect: Dialect, status: int) -> None:
    async with Server(dialect.failure(status)) as server:
        with pytest.raises(ModelUnavailable) as caught:
            await ask(dialect, server)
    assert (caught.value.status, caught.value.retryable) == (status, True)
    assert (caught.value.provider, caught.value.model) == (dialect.provider, dialect.model)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_wrong_request_says_what_to_mend_and_is_not_asked_again(dialect: Dialect, status: int) -> None:
    async with Server(dialect.failure(status, f"not with {KEY}")) as server:
        with pytest.raises(ModelRejected) as caught:
            await ask(dialect, server)
    assert (caught.value.status, caught.value.retryable) == (status, False)
    if dialect.key is not None:
        assert "not with ***" in caught.value.message
        assert KEY not in str(caught.value)
    kind = StoreKey if status in (401, 403) else ListModels
    assert [type(remedy) for remedy in caught.value.remedies] == [kind]
    assert len(server.asked) == 1


async def test_a_page_instead_of_an_answer_is_an_error_that_shows_it(dialect: Dialect) -> None:
    page = Answer(b"<html>Bad gateway</html>", status=502, kind="text/html")
    async with Server(page) as server:
        with pytest.raises(ModelUnavailable, match=r"status 502: .*Bad [gG]ateway"):
            await ask(dialect, server)


@pytest.mark.parametrize("body", [b"{not json", b"", b'{"a": 1}', b"[]", b"null", b'"text"'])
async def test_an_answer_that_cannot_be_read_is_an_error_of_the_model(dialect: Dialect, body: bytes) -> None:
    async with Server(Answer(body)) as server:
        with pytest.raises(ModelError) as caught:
            await ask(dialect, server)
    assert type(caught.value) in (ModelError, ModelUnavailable, ModelAnswerInvalid)
    assert caught.value.retryable


# --- connections


async def test_a_server_that_is_not_there_is_unavailable(dialect: Dialect) -> None:
    async with Server(dialect.answer("")) as server:
        pass
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await ask(dialect, server)


async def test_who_breaks_off_knows_whether_a_request_was_sent(dialect: Dialect) -> None:
    async with Server(Answer(then="hang")) as server:
        client = ProviderClient(lambda _: dialect.endpoint(server.url))
        for early in (True, False, False):  # before there is a connection, over a new one, and over another
            token = current_sending.set(noted := Sending())
            call = asyncio.ensure_future(client.ask(dialect.model_name, QUESTION))
            current_sending.reset(token)
            server.came.clear()
            await (asyncio.sleep(0) if early else asyncio.wait_for(server.came.wait(), 10))
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert noted.sent is not early
    token = current_sending.set(noted := Sending())
    with pytest.raises(ModelUnavailable):
        await client.ask(dialect.model_name, QUESTION)
    current_sending.reset(token)
    assert noted.sent is False
    await client.aclose()


async def test_an_answer_that_is_cut_off_is_unavailable(dialect: Dialect) -> None:
    whole = dialect.answer("Paris.")
    async with Server(Answer(whole.body, then="cut")) as server:
        with pytest.raises(ModelUnavailable):
            await ask(dialect, server)


@pytest.mark.parametrize("then", ["cut", "end"])
async def test_a_stream_that_breaks_off_is_unavailable_after_its_pieces(dialect: Dialect, then: Any) -> None:
    answer = dialect.stream("Par", "is", ".")
    answer = replace(answer, pieces=(answer.pieces or ())[: -dialect.ending], then=then)
    pieces: list[str] = []
    async with Server(answer) as server:
        with pytest.raises(ModelUnavailable):
            await ask(dialect, server, on_text=pieces.append)
    assert "".join(pieces).startswith("Par")


@pytest.mark.parametrize("streams", [False, True])
async def test_a_timeout_ends_a_call_and_its_connection(dialect: Dialect, streams: bool) -> None:
    answer = dialect.stream("Par", "is", then="hang", few=-1) if streams else Answer(then="hang")
    request = replace(QUESTION, timeout=0.5)
    async with Server(answer) as server:
        with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.5 s"):
            await ask(dialect, server, request, (lambda _: None) if streams else None)
        await asyncio.wait_for(server.gone.wait(), 10)


@pytest.mark.parametrize("streams", [False, True])
async def test_cancelling_closes_the_connection(dialect: Dialect, streams: bool) -> None:
    answer = dialect.stream("Par", "is", then="hang", few=-1) if streams else Answer(then="hang")
    client = ProviderClient(lambda _: dialect.endpoint(server.url))
    began = asyncio.Event()
    async with Server(answer) as server:
        call = asyncio.ensure_future(
            client.ask(dialect.model_name, QUESTION, on_text=(lambda _: began.set()) if streams else None)
        )
        await asyncio.wait_for(began.wait() if streams else server.came.wait(), 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        # The client is still open, so it is the call that has let go of the connection.
        await asyncio.wait_for(server.gone.wait(), 10)
    await client.aclose()


async def test_a_listener_that_fails_ends_the_call_with_its_own_error(dialect: Dialect) -> None:
    def listen(_: str) -> None:
        raise ZeroDivisionError

    async with Server(dialect.stream("Par", "is", then="hang", few=-1)) as server:
        with pytest.raises(ZeroDivisionError):
            await ask(dialect, server, on_text=listen)
        await asyncio.wait_for(server.gone.wait(), 10)
