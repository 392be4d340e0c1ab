"""Keys of starts: one run for a key, created in the transaction that records the key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.api import start_key
from orchestrator.runtime.ids import new_run_id

if TYPE_CHECKING:
    from pathlib import Path

ONE = {"inputs": {"n": {"type": "integer"}}, "steps": [{"id": "one", "value": "{{ n }}"}]}


@pytest.fixture
def pair(tmp_path: Path, url: str):
    with (
        orc.Orchestrator(directory=tmp_path, store=url) as one,
        orc.Orchestrator(directory=tmp_path, store=url) as other,
    ):
        yield one, other


def test_of_many_starts_at_once_in_two_processes_one_begins_for_each_key(
    pair: tuple[orc.Orchestrator, orc.Orchestrator],
) -> None:
    async def main() -> list[tuple[str, str]]:
        async def start(client: orc.Orchestrator, key: str) -> tuple[str, str]:
            run = await client.compile(ONE).with_options(key=key).astart(n=1)
            await run.wait_async()
            return key, run.id

        starts = [start(client, f"key {number % 5}") for number in range(20) for client in pair]
        return await asyncio.gather(*starts)

    found = asyncio.run(main())
    assert len(set(found)) == 5
    assert {run.run_id for run in pair[0].list_runs()} == {run_id for _, run_id in found}


def test_a_key_for_something_else_starts_nothing_and_is_not_forgotten(
    pair: tuple[orc.Orchestrator, orc.Orchestrator],
) -> None:
    first = pair[0].compile(ONE).with_options(key="order").start(n=1)
    for client in pair:
        with pytest.raises(orc.RunError, match=first.id) as refused:
            client.compile(ONE).with_options(key="order").start(n=2)
        assert refused.value.code == "ORC820"
    assert pair[1].compile(ONE).with_options(key="order").start(n=1).id == first.id
    first.wait()
    assert [run.run_id for run in pair[0].list_runs()] == [first.id]


def test_a_key_that_was_recorded_before_its_run_starts_that_run(
    pair: tuple[orc.Orchestrator, orc.Orchestrator],
) -> None:
    """As by a process of an earlier version that ended in between."""
    pipeline = pair[0].compile(ONE).with_options(key="order")
    bound, run_id = pipeline.bind({"n": 1}), new_run_id()
    fingerprint = start_key.start_fingerprint(pipeline.plan, bound, pipeline.options)
    pair[0].backend.store.start_keys.claim("order", fingerprint, run_id, kept=60.0)
    assert pipeline.start(n=1).id == run_id
    assert pair[1].compile(ONE).with_options(key="order").start(n=1).id == run_id
    assert pair[1].get_run(run_id).result().state == "succeeded"


def test_a_key_is_forgotten_after_its_time(
    pair: tuple[orc.Orchestrator, orc.Orchestrator], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pair[0].compile(ONE).with_options(key="order").start(n=1)
    monkeypatch.setattr(start_key, "KEPT_SECONDS", -1.0)
    again = pair[1].compile(ONE).with_options(key="order").start(n=1)
    assert again.id != first.id
    assert [first.wait().state, again.wait().state] == ["succeeded", "succeeded"]
