"""A real engine with a real model, behind an address of the settings, asked by the client that runs use."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from msgspec.structs import replace

from orchestrator.errors import ModelAnswerInvalid, ModelRejected, ModelUnavailable
from orchestrator.models.catalog.entries import Catalogue
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.clients.router import provider_client
from orchestrator.models.messages import Media, Message, ModelName, ModelRequest
from tests.inference.engine import Engine, until
from tests.inference.tiny_model import CONTEXT, WIDTH, TinyModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from orchestrator.models.clients.router import RoutingClient

pytestmark = pytest.mark.anyio

LOCAL = ModelName("local", "tiny")
QUESTION = ModelRequest((Message("user", "Anna writes"),), system="Be short.", max_tokens=40, temperature=1.0)
ENDLESS = replace(QUESTION, max_tokens=None)
"""A question whose answer is as long as the context allows, which takes seconds."""


@asynccontextmanager
async def asking(engine: Engine, directory: Path) -> AsyncIterator[RoutingClient]:
    """Give the client of a project that has the engine among its servers."""
    settings = directory / "orchestrator.toml"
    settings.write_text(f'[servers.local]\nbase_url = "{engine.base_url}"\n')
    client = provider_client(Catalogue.load(directory), Keys(directory / ".env", {}), directory)
    try:
        yield client
    finally:
        await client.aclose()


async def test_a_server_of_the_settings_answers_and_counts_tokens(engine: Engine, tmp_path: Path) -> None:
    before = engine.written()
    async with asking(engine, tmp_path) as client:
        reply = await client.ask(LOCAL, QUESTION)
    assert reply.text
    assert reply.model == "tiny"
    assert reply.finish == "length"
    assert reply.usage.output == 40 == engine.written() - before
    assert reply.usage.input > 10
    assert reply.usage.requests == 1


async def test_the_pieces_of_a_stream_make_up_the_answer(engine: Engine, tmp_path: Path) -> None:
    pieces: list[str] = []
    async with asking(engine, tmp_path) as client:
        reply = await client.ask(LOCAL, QUESTION, on_text=pieces.append)
    assert len(pieces) > 10
    assert "".join(pieces) == reply.text
    assert reply.usage.output == 40
    assert reply.finish == "length"


async def test_a_seed_repeats_an_answer(engine: Engine, tmp_path: Path) -> None:
    async with asking(engine, tmp_path) as client:
        first, again, other = [(await client.ask(LOCAL, replace(QUESTION, seed=seed))).text for seed in (1, 1, 2)]
    assert first == again != other


async def test_an_answer_ends_before_a_text_to_stop_at(engine: Engine, tmp_path: Path) -> None:
    whole = replace(QUESTION, temperature=0.0)
    async with asking(engine, tmp_path) as client:
        text = (await client.ask(LOCAL, whole)).text
        stop = text[len(text) // 2 :][:2]
        reply = await client.ask(LOCAL, replace(whole, stop=(stop,)))
    assert reply.text == text[: text.index(stop)]
    assert reply.finish == "stop"


async def test_what_went_before_and_files_of_text_are_read(engine: Engine, tmp_path: Path) -> None:
    note = Media(b"three small boats", "text/plain", "note.txt")
    turns = (Message("user", "Anna"), Message("assistant", "reads"), Message("user", ("what?", note)))
    async with asking(engine, tmp_path) as client:
        short = await client.ask(LOCAL, QUESTION)
        longer = await client.ask(LOCAL, replace(QUESTION, messages=turns))
    assert longer.usage.input > short.usage.input + 10


FORMS: dict[str, dict[str, Any]] = {
    "a label": {
        "type": "object",
        "properties": {"label": {"enum": ["complaint", "question", "praise"]}},
        "required": ["label"],
        "additionalProperties": False,
    },
    "nested data": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": 12},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "minItems": 1, "maxItems": 3},
            "place": {
                "type": "object",
                "properties": {"row": {"type": "integer"}, "seat": {"type": ["integer", "null"]}},
                "required": ["row", "seat"],
                "additionalProperties": False,
            },
            "good": {"type": "boolean"},
        },
        "required": ["title", "tags", "place", "good"],
        "additionalProperties": False,
    },
    "no object": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_even_a_model_that_knows_nothing_keeps_to_a_schema(
    form: dict[str, Any], seed: int, engine: Engine, tmp_path: Path
) -> None:
    pieces: list[str] = []
    async with asking(engine, tmp_path) as client:
        reply = await client.ask(
            LOCAL, replace(QUESTION, schema=form, seed=seed, max_tokens=2000), on_text=pieces.append
        )
    jsonschema.validate(reply.data, form)
    assert reply.finish == "stop"
    assert "".join(pieces) == reply.text


async def test_an_answer_that_is_cut_off_before_its_json_is_complete_is_none(engine: Engine, tmp_path: Path) -> None:
    async with asking(engine, tmp_path) as client:
        with pytest.raises(ModelAnswerInvalid, match="did not return JSON") as caught:
            await client.ask(LOCAL, replace(QUESTION, schema=FORMS["nested data"], max_tokens=3))
    assert caught.value.help is not None
    assert "raise `max_tokens` (now 3)" in caught.value.help
    assert caught.value.reply.usage.output == 3


async def test_a_cancelled_call_frees_the_server(engine: Engine, tmp_path: Path) -> None:
    begun = asyncio.Event()
    async with asking(engine, tmp_path) as client:
        call = asyncio.ensure_future(client.ask(LOCAL, ENDLESS, on_text=lambda _: begun.set()))
        await begun.wait()
        assert await asyncio.to_thread(engine.busy) == 1
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(until, lambda: engine.busy() == 0)


async def test_two_calls_are_answered_at_the_same_time(engine: Engine, tmp_path: Path) -> None:
    begun = asyncio.Event(), asyncio.Event()
    async with asking(engine, tmp_path) as client:
        calls = [
            asyncio.ensure_future(client.ask(LOCAL, ENDLESS, on_text=lambda _, each=each: each.set())) for each in begun
        ]
        for each in begun:
            await each.wait()
        assert await asyncio.to_thread(engine.busy) == 2
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.to_thread(until, lambda: engine.busy() == 0)


async def test_a_question_longer_than_the_context_is_rejected_for_good(engine: Engine, tmp_path: Path) -> None:
    async with asking(engine, tmp_path) as client:
        with pytest.raises(ModelRejected) as caught:
            await client.ask(LOCAL, replace(QUESTION, messages=(Message("user", "z" * (CONTEXT + 1)),)))
    assert not caught.value.retryable
    assert "context" in str(caught.value)


async def test_a_server_that_dies_in_mid_answer_is_unavailable(tiny: TinyModel, tmp_path: Path, engine: Engine) -> None:
    with Engine(tiny.gguf) as dying:
        async with asking(dying, tmp_path) as client:
            begun = asyncio.Event()
            call = asyncio.ensure_future(client.ask(LOCAL, ENDLESS, on_text=lambda _: begun.set()))
            await begun.wait()
            dying.kill()
            with pytest.raises(ModelUnavailable) as cut:
                await call
            with pytest.raises(ModelUnavailable) as gone:
                await client.ask(LOCAL, QUESTION)
    assert cut.value.retryable
    assert gone.value.retryable


async def test_vectors_come_in_the_order_of_their_texts(tiny: TinyModel, tmp_path: Path, engine: Engine) -> None:
    # Not the mean: of a text that the engine remembers, it takes the mean of what it reads anew.
    with Engine(tiny.gguf, "--embeddings", "--pooling", "last") as embedding:
        async with asking(embedding, tmp_path) as client:
            found = await client.embed(LOCAL, ["Anna reads", "two numbers", "Anna reads"])
    first, second, third = found.vectors
    assert len(first) == WIDTH
    assert first == pytest.approx(third)
    assert first != pytest.approx(second)
    assert found.usage.input > 0
