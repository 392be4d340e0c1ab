"""Pieces of answers are seen while they come, by who looks on in the same process, and by nobody afterwards."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.runtime.run.answer_stream import MAX_BUFFER, AnswerPublisher
from orchestrator.runtime.values.redaction import Redactor
from tests.models.asked import Client, replied
from tests.runtime.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.models.messages import ModelName, ModelReply, ModelRequest

PIPELINE = {"id": "test", "model": "openai:gpt-5-mini", "steps": [{"id": "a", "prompt": "Say it."}]}


class Slow(Client):
    """Gives its answer in pieces, the second one when it is let."""

    def __init__(self) -> None:
        super().__init__({})
        self.go_on = threading.Event()

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        assert on_text is not None
        on_text("Hello, ")
        await asyncio.to_thread(self.go_on.wait, PATIENCE)
        on_text("world.")
        return replied("Hello, world.")


@pytest.fixture
def models() -> Iterator[Slow]:
    models = Slow()
    yield models
    models.go_on.set()


@pytest.fixture
def client(tmp_path: Path, models: Slow) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path, models=models) as client:
        yield client


def test_pieces_come_among_the_events_and_are_not_recorded(client: orc.Orchestrator, models: Slow):
    run = client.compile(PIPELINE).start()
    seen = []
    for event in run.events():
        seen.append(event)
        if event.type == "step.started":
            models.go_on.set()  # what comes from now on, somebody looks on at
    partial = [event for event in seen if event.type == "step.partial"]
    assert "".join(str(event.data["text"]) for event in partial).endswith("world.")
    assert {(event.seq, event.path, event.attempt) for event in partial} == {(0, "a", 1)}
    types = [event.type for event in seen]
    assert types.index("step.started") < types.index("step.partial") < types.index("step.succeeded")
    assert [event.seq for event in seen if event.seq] == list(range(1, run.status().last_seq + 1))
    assert "step.partial" not in [event.type for event in run.events()]


def test_they_come_on_an_event_loop_too(tmp_path: Path, models: Slow):
    async def main() -> list[orc.Event]:
        seen = []
        with orc.Orchestrator(directory=tmp_path, models=models) as client:
            run = await client.compile(PIPELINE).astart()
            async for event in run.aevents():
                seen.append(event)
                if event.type == "step.started":
                    models.go_on.set()
        return seen

    seen = asyncio.run(main())
    assert "step.partial" in [event.type for event in seen]


def publisher(**secrets: Any) -> AnswerPublisher:
    return AnswerPublisher("r", Redactor(secrets, "n"))


def test_who_does_not_come_for_them_misses_the_first():
    shown = publisher()
    listener = shown.subscribe()
    for number in range(MAX_BUFFER // 10 * 3):
        shown.publish("a", 1, f"{number:010}")
    (event,) = listener.take()
    assert (len(event.data["text"]), event.data["text"][-10:]) == (MAX_BUFFER, f"{MAX_BUFFER // 10 * 3 - 1:010}")
    assert listener.take() == []


def test_nothing_is_kept_where_nobody_looks_on():
    shown = publisher(key="sk-0123456789")
    shown.publish("a", 1, "sk-01")
    listener = shown.subscribe()
    shown.publish("a", 1, "23456789 and more than the secret is long, over and over again, so that it is shown")
    listener.close()
    shown.publish("a", 1, "x")
    assert len(listener.take()) <= 1


@given(
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.text("abc", max_size=6), max_size=12),
)
def test_no_secret_is_seen_however_it_is_cut_into_pieces(secrets: list[str], pieces: list[str]):
    shown = publisher(**{f"s{number}": secret for number, secret in enumerate(secrets)})
    listener = shown.subscribe()
    seen = ""
    for piece in pieces:
        shown.publish("a", 1, piece)
        seen += "".join(event.data["text"] for event in listener.take())
    shown.end("a", 1)
    seen += "".join(event.data["text"] for event in listener.take())
    assert seen == shown._redactor.text("".join(pieces))
