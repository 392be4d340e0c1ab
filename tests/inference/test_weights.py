"""Weights in a folder, run in this process by `transformers`."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.errors import ModelAnswerInvalid, ModelMissing, ModelRejected, ModelUnavailable
from orchestrator.models.catalog.entries import Catalogue
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.clients.router import provider_client
from orchestrator.models.messages import Media, Message, ModelName, ModelRequest, ToolOffer
from tests.inference.test_server import LOCAL, asking
from tests.inference.tiny_model import CONTEXT, TinyModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from orchestrator.models.clients.router import RoutingClient
    from tests.inference.engine import Engine

pytestmark = pytest.mark.anyio

FOLDER = ModelName("transformers", "./folder")
QUESTION = ModelRequest((Message("user", "Anna writes"),), system="Be short.", max_tokens=40, temperature=1.0)
ENDLESS = replace(QUESTION, max_tokens=None)
"""A question whose answer is as long as the context allows, which takes a minute and more."""


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[RoutingClient]:
    """Give the client of a project in a directory."""
    client = provider_client(Catalogue.load(directory), Keys(directory / ".env", {}), directory)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
def project(weights: TinyModel) -> Path:
    """A directory that has the model in `./folder`."""
    return weights.folder.parent


async def test_a_folder_answers_in_pieces_and_counts_tokens(project: Path) -> None:
    pieces: list[str] = []
    async with running(project) as client:
        reply = await client.ask(FOLDER, QUESTION, on_text=pieces.append)
    assert len(pieces) > 10
    assert "".join(pieces) == reply.text
    assert reply.finish == "length"
    assert reply.usage.output == 40
    assert reply.usage.input > 10
    assert reply.usage.requests == 1


async def test_both_engines_answer_the_same_with_the_same_weights(
    project: Path, engine: Engine, tmp_path: Path
) -> None:
    """The question, the template, the tokens and the weights all came through both ways."""
    certain = replace(QUESTION, temperature=0.0, max_tokens=24)
    async with running(project) as here, asking(engine, tmp_path) as there:
        mine, theirs = await here.ask(FOLDER, certain), await there.ask(LOCAL, certain)
    assert mine.text == theirs.text
    assert mine.usage == replace(theirs.usage, cached=0)


async def test_a_seed_repeats_an_answer_also_beside_others(project: Path) -> None:
    async with running(project) as client:
        replies = await asyncio.gather(*(client.ask(FOLDER, replace(QUESTION, seed=seed)) for seed in (1, 2, 1)))
        unseeded = [(await client.ask(FOLDER, QUESTION)).text for _ in range(2)]
    first, other, again = (reply.text for reply in replies)
    assert first == again != other
    assert unseeded[0] != unseeded[1]


async def test_an_answer_ends_before_a_text_to_stop_at_and_no_piece_of_that_is_shown(project: Path) -> None:
    whole = replace(QUESTION, temperature=0.0)
    pieces: list[str] = []
    async with running(project) as client:
        text = (await client.ask(FOLDER, whole)).text
        stop = text[len(text) // 2 :][:3]
        reply = await client.ask(FOLDER, replace(whole, stop=(stop,)), on_text=pieces.append)
    assert reply.text == "".join(pieces) == text[: text.index(stop)]
    assert reply.finish == "stop"


async def test_a_cancelled_call_ends_the_work_so_that_the_next_one_is_answered(project: Path) -> None:
    begun = asyncio.Event()
    async with running(project) as client:
        call = asyncio.ensure_future(client.ask(FOLDER, ENDLESS, on_text=lambda _: begun.set()))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        # There is one thread, so this waits for the end of what was cancelled.
        reply = await client.ask(FOLDER, replace(QUESTION, timeout=30))
    assert reply.usage.output == 40


async def test_a_call_has_no_more_time_than_it_is_given(project: Path) -> None:
    async with running(project) as client:
        await client.ask(FOLDER, replace(QUESTION, max_tokens=1))
        with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.05 s") as caught:
            await client.ask(FOLDER, replace(ENDLESS, timeout=0.05))
    assert caught.value.retryable


async def test_what_the_listener_raises_ends_the_call(project: Path) -> None:
    def refuse(_: str) -> None:
        raise LookupError("no place to show it")

    async with running(project) as client:
        with pytest.raises(LookupError, match="no place"):
            await client.ask(FOLDER, ENDLESS, on_text=refuse)


async def test_an_answer_that_is_no_json_is_none_where_a_schema_is_asked_for(project: Path) -> None:
    async with running(project) as client:
        plain = await client.ask(FOLDER, QUESTION)
        with pytest.raises(ModelAnswerInvalid, match="did not return JSON") as caught:
            await client.ask(FOLDER, replace(QUESTION, schema={"type": "object"}))
    # The schema is said in words, as nothing else holds the model to it.
    assert caught.value.reply.usage.input > plain.usage.input


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (replace(QUESTION, tools=(ToolOffer("look", "Look.", {"type": "object"}),)), "it cannot call tools"),
        (replace(QUESTION, messages=(Message("user", ("?", Media(b"\x89PNG", "image/png"))),)), "not image/png"),
        (replace(QUESTION, messages=(Message("user", "z" * (CONTEXT + 1)),)), f"its limit is {CONTEXT:,} tokens"),
    ],
    ids=["tools", "a picture", "too long"],
)
async def test_what_the_weights_cannot_do_is_said(request_: ModelRequest, reason: str, project: Path) -> None:
    async with running(project) as client:
        with pytest.raises(ModelRejected, match=reason) as caught:
            await client.ask(FOLDER, request_)
    assert caught.value.help
    assert not caught.value.retryable


async def test_a_folder_has_no_vectors_here(project: Path) -> None:
    async with running(project) as client:
        with pytest.raises(ModelMissing, match="does not create embeddings here"):
            await client.embed(FOLDER, ["a"])


async def test_a_template_that_takes_no_system_message_gets_it_in_the_first(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "folder", tmp_path / "folder")
    template = tmp_path / "folder" / "chat_template.jinja"
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    template.write_text(refuses + template.read_text())
    async with running(tmp_path) as client:
        reply = await client.ask(FOLDER, replace(QUESTION, max_tokens=1))
        without = await client.ask(FOLDER, replace(QUESTION, max_tokens=1, system=""))
    assert reply.usage.input > without.usage.input


async def test_without_a_template_the_text_itself_is_gone_on_with(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "folder", tmp_path / "folder")
    (tmp_path / "folder" / "chat_template.jinja").unlink()
    turns = (Message("user", "Anna"), Message("assistant", "reads"), Message("user", "what?"))
    async with running(tmp_path) as client:
        one = await client.ask(FOLDER, replace(QUESTION, system="", max_tokens=1))
        many = await client.ask(FOLDER, replace(QUESTION, messages=turns, max_tokens=1))
    async with running(project) as client:
        with_template = await client.ask(FOLDER, replace(QUESTION, system="", max_tokens=1))
    assert one.usage.input < with_template.usage.input
    assert many.usage.input > one.usage.input


async def test_a_folder_that_holds_no_model_is_named(weights: TinyModel, tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    empty.mkdir()
    shutil.copytree(weights.folder, broken)
    (broken / "config.json").write_text(json.dumps({"model_type": "no-such-kind"}))
    async with running(tmp_path) as client:
        for name, reason in (
            ("nowhere", "is not a directory"),
            ("empty", "has no `config.json`"),
            ("broken", "be loaded"),
        ):
            with pytest.raises(ModelMissing, match=reason) as caught:
                await client.ask(ModelName("transformers", name), QUESTION)
            assert str(tmp_path / name) in str(caught.value)
