"""Large results: encoded while other runs continue, stored once, and refused when their step ends."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.journal.store import event_data
from orchestrator.journal.store.blob_codec import blob_references
from orchestrator.text.json_pieces import LARGE
from tests.runtime.support import PATIENCE, Bench, crash, ended, pipeline, states, step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = "{{ ['some text of a row'] * 50000 }}"
TEXT = "{{ 'a text ' * 100000 }}"


def stored(client: orc.Orchestrator, run_id: str) -> list[tuple[str, str, set[str]]]:
    """The events with large values: type, path, and the hashes of the blobs."""
    events = client.backend.store.events(run_id)
    found = [
        (e.type, e.path, {digest for value in e.data.values() for digest in blob_references(value)}) for e in events
    ]
    return [each for each in found if each[2] and each[0] != "run.created"]


@pytest.mark.parametrize("value", [ROWS, TEXT, "{{ {'text': 'x' * 300000, 'more': {'rows': ['y' * 20] * 2000}} }}"])
def test_a_large_value_is_stored_once_wherever_it_is_recorded(client: orc.Orchestrator, value: str) -> None:
    inner = [step("made", value=value)]
    source = pipeline(
        {"id": "block", "steps": inner},
        {"id": "each", "for_each": [1], "steps": [step("again", value="{{ block.made }}")]},
        outputs={"whole": "{{ block.made }}", "again": "{{ each[0] }}"},
    )
    result = client.compile(source).run()
    found = stored(client, result.run_id)
    first = next(digests for _, path, digests in found if path == "block.made")
    assert {path: digests for type, path, digests in found if type == "step.succeeded"} == dict.fromkeys(
        ("block.made", "block", "each[0].again", "each[0]"), first
    )
    assert [digests for type, _, digests in found if type == "run.succeeded"] == [first]
    assert result.outputs["whole"] == result.steps["block.made"].output == result.steps["each[0]"].output
    assert client.get_run(result.run_id).result().outputs == result.outputs


class Held:
    """The encoding of large values, which lasts until the test lets it end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.in_time = True

    def pieces(self, value: Any) -> Iterator[str]:
        self.begun.set()
        self.in_time = self.may_end.wait(PATIENCE)
        yield from self.original(value)

    original = staticmethod(event_data.json_pieces)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(event_data, "json_pieces", held.pieces)
    return held


LARGE_RESULTS: dict[str, Any] = {
    "tool": step("s", value=ROWS),
    "group": {"id": "s", "steps": [step("a"), step("b", value="{{ ['x'] * 90000 + ['y'] * 90000 }}")]},
    "collected": {"id": "s", "for_each": [1], "steps": [step("a", value=TEXT)]},
}


@pytest.mark.parametrize("kind", LARGE_RESULTS)
def test_other_runs_continue_while_a_large_result_is_encoded(client: orc.Orchestrator, held: Held, kind: str) -> None:
    large = client.compile(pipeline(LARGE_RESULTS[kind], outputs={"s": "{{ s }}"}))
    small = client.compile(pipeline(step("a"), step("b", "echo", "a")))

    async def main() -> orc.Result:
        task = asyncio.create_task(large.arun())
        await asyncio.to_thread(held.begun.wait, PATIENCE)
        assert states(await small.arun()) == {"a": "succeeded", "b": "succeeded"}
        held.may_end.set()
        return await task

    result = asyncio.run(main())
    assert held.in_time
    assert result.state == "succeeded"


def test_large_outputs_are_encoded_while_other_runs_continue(client: orc.Orchestrator, held: Held) -> None:
    """The output is computed of small results."""
    large = client.compile(pipeline(step("a", value=1), outputs={"s": "{{ ['row'] * 100000 }}"}))
    small = client.compile(pipeline(step("a")))

    async def main() -> orc.Result:
        task = asyncio.create_task(large.arun())
        await asyncio.to_thread(held.begun.wait, PATIENCE)
        assert (await small.arun()).state == "succeeded"
        held.may_end.set()
        return await task

    assert asyncio.run(main()).state == "succeeded"
    assert held.in_time


def test_a_step_that_has_ended_succeeds_although_it_is_stopped_while_its_result_is_encoded(
    client: orc.Orchestrator, held: Held
) -> None:
    run = client.compile(pipeline(step("s", value=ROWS), step("t", "echo", "s"))).start()
    assert held.begun.wait(PATIENCE)
    run.cancel()
    held.may_end.set()
    assert run.wait(timeout=PATIENCE).state == "cancelled"
    assert states(run.snapshot()) == {"s": "succeeded", "t": "pending"}


def test_a_process_that_dies_while_a_large_result_is_encoded_does_the_step_again(
    client: orc.Orchestrator, bench: Bench, held: Held
) -> None:
    run = client.compile(pipeline(step("s", value=ROWS), outputs={"n": "{{ s | length }}"})).start()
    assert held.begun.wait(PATIENCE)
    crash(client, run, lost=held.may_end.set)
    assert client.resume(run.id).wait(timeout=PATIENCE).state == "succeeded"
    assert client.get_run(run.id).result().outputs == {"n": 50_000}
    assert bench.calls == ["s", "s"]


def test_a_large_result_is_the_same_after_a_resume(client: orc.Orchestrator, bench: Bench) -> None:
    source = pipeline(step("s", value=ROWS), step("g", "gate", "s"), outputs={"s": "{{ s }}", "n": "{{ s | length }}"})
    run = client.compile(source).start()
    bench.wait_for("g")
    crash(client, run)
    bench.open("g")
    resumed = client.resume(run.id)
    assert resumed.wait(timeout=PATIENCE).state == "succeeded"
    result = resumed.result()
    assert result.outputs == {"s": ["some text of a row"] * 50_000, "n": 50_000}
    assert bench.calls == ["s", "g", "g"]


def test_a_list_of_many_characters_can_be_an_output(client: orc.Orchestrator) -> None:
    @orc.tool
    def rows() -> dict[str, list[str]]:
        """More characters than an expression may create."""
        return {"rows": ["x" * 1_000] * 11_000}

    outputs = {"whole": "{{ r }}", "rows": "{{ steps.r.result.rows }}"}
    with orc.Orchestrator(store=client.backend.store.url, tools=[rows]) as other:
        result = other.compile(pipeline({"id": "r", "tool": "rows"}, outputs=outputs)).run()
        assert result.outputs["whole"] == {"rows": result.outputs["rows"]}
        assert len(result.outputs["rows"]) == 11_000


@pytest.mark.parametrize("output", ["{{ n }}", "{{ steps.n.result }}", "{{ n.output }}"])
def test_a_result_that_cannot_be_the_output_fails_its_step(client: orc.Orchestrator, output: str) -> None:
    @orc.tool
    def numbers() -> list[int]:
        """More items than a value of an expression may have."""
        return [0] * 1_000_001

    with orc.Orchestrator(store=client.backend.store.url, tools=[numbers]) as other:
        steps = [{"id": "n", "tool": "numbers"}, {"id": "after", "tool": "numbers", "dependencies": ["n"]}]
        used = ended(other.compile(pipeline(*steps, outputs={"n": output})))
        assert states(used) == {"n": "failed", "after": "pending"}
        assert used.error is not None
        assert "output `n`" in used.error["message"]
        counted = other.compile(pipeline(steps[0], outputs={"n": "{{ n | length }}"})).run()
        assert counted.outputs == {"n": 1_000_001}


def test_encoding_stops_at_the_limit(client: orc.Orchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orchestrator.toml").write_text("[run]\nmax_result = 300_000\n")
    sizes: list[int] = []

    def counted(value: Any) -> Iterator[str]:
        for piece in Held.original(value):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(event_data, "json_pieces", counted)
    with orc.Orchestrator(directory=tmp_path, tools=Bench().tools()) as small:
        result = ended(small.compile(pipeline(step("s", value="{{ 'x' * 9000000 }}"))))
    assert result.error is not None
    assert result.error["code"] == "ORC734"
    assert sum(sizes) < 3 * LARGE
