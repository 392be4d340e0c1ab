"""Runs with the same concurrency key: at most as many at a time as the pipeline says, whatever starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from tests.runtime.support import PATIENCE, Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.api.interfaces import AnyRun

SPEC: dict[str, Any] = {
    "id": "sync",
    "inputs": {"customer": "ada"},
    "concurrency": {"key": "{{ customer }}"},
    "steps": [{"id": "work", "tool": "gate", "parameters": {"value": "{{ customer }}"}}],
    "outputs": {"customer": "{{ work }}"},
}


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def client(url: str, tmp_path: Path, bench: Bench) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(store=url, directory=tmp_path, tools=bench.tools()) as client:
        yield client
        bench.opened["work"].set()


@pytest.fixture
def start(client: orc.Orchestrator) -> Callable[..., AnyRun]:
    def start(customer: str = "ada", **concurrency: Any) -> AnyRun:
        spec = {**SPEC, "concurrency": {**SPEC["concurrency"], **concurrency}}
        return client.compile(spec).start(customer=customer)

    return start


def until(run: AnyRun, type: str) -> None:
    """Wait for an event of a run."""
    assert next(event for event in run.events() if event.type == type)


def until_named(run: AnyRun, other: AnyRun) -> None:
    """Wait until a run has recorded that it waits for another one."""
    assert next(event for event in run.events() if event.data.get("runs") == [other.id])


def types(run: AnyRun) -> list[str]:
    return [event.type for event in run.events(follow=False) if event.type.startswith("run.")]


def test_a_run_whose_key_is_taken_waits_and_says_for_which_run(start: Callable[..., AnyRun], bench: Bench) -> None:
    first, second, third = start(), start(), start()
    until(first, "run.started")
    until(third, "run.queued")
    status = third.status()
    assert (status.state, status.started_at) == ("queued", None)
    assert status.queued is not None
    assert (status.queued.key, status.queued.max, status.queued.runs) == ("ada", 1, (first.id, second.id))
    assert status.waiting_on == (
        f"its turn, after {first.id}, {second.id}: at most 1 run with the concurrency key `ada` at a time",
    )
    bench.opened["work"].set()
    results = [run.result(timeout=PATIENCE) for run in (first, second, third)]
    assert [result.state for result in results] == ["succeeded"] * 3
    assert third.status().queued is None
    began = [run.status().started_at or 0.0 for run in (first, second, third)]
    ended = [run.status().ended_at or 0.0 for run in (first, second, third)]
    assert ended[0] <= began[1] <= ended[1] <= began[2]
    assert types(first) == ["run.created", "run.started", "run.succeeded"]
    assert types(third) == ["run.created", "run.queued", "run.started", "run.succeeded"]


def test_runs_with_other_keys_and_as_many_as_allowed_do_not_wait(start: Callable[..., AnyRun], bench: Bench) -> None:
    runs = [start(max=2), start(max=2), start("bo", max=2)]
    for run in runs:
        until(run, "run.started")
    waiting = start(max=2)
    until(waiting, "run.queued")
    assert waiting.status().queued.runs == (runs[0].id, runs[1].id)  # type: ignore[union-attr]
    bench.opened["work"].set()
    assert {run.result(timeout=PATIENCE).state for run in (*runs, waiting)} == {"succeeded"}


def test_all_pipelines_share_keys_and_the_default_is_the_id(client: orc.Orchestrator, bench: Bench) -> None:
    limited = client.compile({**SPEC, "concurrency": 1})
    assert limited.to_dict()["concurrency"] == {"max": 1, "on_full": "queue"}
    first, other = limited.start(), client.compile({**SPEC, "id": "other", "concurrency": "sync"}).start()
    until(first, "run.started")
    until(other, "run.queued")
    assert other.status().queued.key == "sync"  # type: ignore[union-attr]
    bench.opened["work"].set()
    assert other.result(timeout=PATIENCE).state == "succeeded"


def test_a_run_that_skips_ends_at_once_and_says_why(start: Callable[..., AnyRun], bench: Bench) -> None:
    first = start()
    until(first, "run.started")
    second = start(on_full="skip")
    status = second.wait(timeout=PATIENCE)
    assert status.state == "cancelled"
    assert status.reason == f"skipped, because it would wait for 1 other run with the concurrency key `ada`: {first.id}"
    assert types(second) == ["run.created", "run.cancelled"]
    bench.opened["work"].set()
    assert first.result(timeout=PATIENCE).state == "succeeded"
    assert start(on_full="skip").result(timeout=PATIENCE).state == "succeeded"


def test_the_newest_run_replaces_the_oldest_ones(start: Callable[..., AnyRun], bench: Bench) -> None:
    first = start(max=2)
    until(first, "run.started")
    second = start(max=2)
    until(second, "run.started")
    queued = start(max=2)
    until(queued, "run.queued")
    newest = start(max=2, on_full="cancel_oldest")
    for replaced in (first, second):
        status = replaced.wait(timeout=PATIENCE)
        assert status.state == "cancelled"
        assert status.reason == f"run `{newest.id}` replaces it: both have the concurrency key `ada`"
    bench.opened["work"].set()
    assert {run.result(timeout=PATIENCE).state for run in (queued, newest)} == {"succeeded"}


def test_a_run_that_is_cancelled_while_it_waits_does_nothing(client: orc.Orchestrator, bench: Bench) -> None:
    pipeline = client.compile({**SPEC, "finally": [{"id": "clean", "tool": "echo"}]})
    first, second = pipeline.start(), pipeline.start()
    until(second, "run.queued")
    second.cancel(reason="not needed")
    assert second.wait(timeout=PATIENCE).state == "cancelled"
    assert types(second) == ["run.created", "run.queued", "run.cancelled"]
    bench.opened["work"].set()
    assert first.result(timeout=PATIENCE).state == "succeeded"
    assert bench.calls.count("finally.clean") == 1


def test_a_paused_run_lets_others_begin_and_keeps_its_place_in_line(start: Callable[..., AnyRun], bench: Bench) -> None:
    first, second, third = start(), start(), start()
    until(third, "run.queued")
    second.pause()
    until(second, "run.paused")
    first.cancel()
    until(third, "run.started")
    fourth = start()
    until(fourth, "run.queued")
    second.resume()
    until(second, "run.resumed")
    bench.opened["work"].set()
    assert {run.result(timeout=PATIENCE).state for run in (second, third, fourth)} == {"succeeded"}
    assert (second.status().started_at or 0.0) < (fourth.status().started_at or 0.0)


def test_a_resumed_run_waits_for_its_turn_and_is_never_skipped(
    client: orc.Orchestrator, bench: Bench, start: Callable[..., AnyRun]
) -> None:
    steps = [*SPEC["steps"], {"id": "last", "tool": "flaky"}]
    pipeline = client.compile({**SPEC, "steps": steps, "concurrency": {"key": "{{ customer }}", "on_full": "skip"}})
    bench.opened["work"].set()
    bench.failures["last"] = 1
    failed = pipeline.start(customer="ada")
    assert failed.wait(timeout=PATIENCE).state == "failed"
    bench.opened["work"].clear()
    other = start()
    until(other, "run.started")
    resumed = client.resume(failed.id)
    until_named(resumed, other)
    status = resumed.status()
    assert (status.state, status.error, status.queued.runs) == ("queued", None, (other.id,))  # type: ignore[union-attr]
    bench.opened["work"].set()
    assert resumed.result(timeout=PATIENCE).state == "succeeded"
    assert bench.calls.count("last") == 2


def test_what_a_cancelled_run_cleans_up_waits_for_its_turn_too(
    client: orc.Orchestrator, bench: Bench, start: Callable[..., AnyRun]
) -> None:
    steps = [{"id": "first", "tool": "echo"}, {"id": "last", "tool": "flaky", "dependencies": ["first"]}]
    pipeline = client.compile({**SPEC, "steps": steps, "outputs": {}, "finally": [{"id": "clean", "tool": "echo"}]})
    bench.failures["last"] = 1
    failed = pipeline.start()
    assert failed.wait(timeout=PATIENCE).state == "failed"
    other = start()
    until(other, "run.started")
    resumed = client.resume(failed.id)
    until_named(resumed, other)
    before = bench.calls.count("finally.clean")
    resumed.cancel(reason="enough")
    assert bench.calls.count("finally.clean") == before
    bench.opened["work"].set()
    assert resumed.wait(timeout=PATIENCE).state == "cancelled"
    assert bench.calls.count("finally.clean") == before + 1
    assert (other.status().ended_at or 0.0) <= (resumed.status().ended_at or 0.0)


def test_a_fork_has_the_key_of_its_own_inputs(
    client: orc.Orchestrator, bench: Bench, start: Callable[..., AnyRun]
) -> None:
    bench.opened["work"].set()
    done = start()
    assert done.result(timeout=PATIENCE).state == "succeeded"
    bench.opened["work"].clear()
    first = start("bo")
    until(first, "run.started")
    fork = client.fork(done.id, from_step="work", inputs={"customer": "bo"})
    until(fork, "run.queued")
    bench.opened["work"].set()
    assert fork.result(timeout=PATIENCE).outputs == {"customer": "bo"}
    assert fork.record().options["concurrency"] == {"key": "bo", "max": 1, "on_full": "queue"}


@pytest.mark.parametrize(
    ("key", "customer", "said"),
    [
        ("{{ customer }}", " ", "it is empty"),
        ("{{ customer }}", "x" * 201, "it has 201 characters"),
        ("{{ customer | from_json }}", "null", "is null"),
        ("{{ customer | from_json }}", "[1]", "not a text"),
        ("{{ customer | from_json }}", "x", "cannot be evaluated"),
        ("{{ seal }}", "ada", "contains a secret"),
    ],
)
def test_what_cannot_be_a_key_starts_nothing(client: orc.Orchestrator, key: str, customer: str, said: str) -> None:
    inputs = {"customer": "ada", "password": {"type": "string", "secret": True}}
    variables = {"seal": "sealed with {{ password }}"}
    pipeline = client.compile({**SPEC, "inputs": inputs, "variables": variables, "concurrency": {"key": key}})
    with pytest.raises(orc.InputError, match=said):
        pipeline.start(customer=customer, password="a-long-secret")
    assert client.list_runs() == []


def test_the_limit_changes_nothing_of_what_a_run_does(client: orc.Orchestrator) -> None:
    limited, free = client.compile(SPEC).to_dict(), client.compile({**SPEC, "concurrency": None}).to_dict()
    assert limited["digest"] == free["digest"]
    assert limited["concurrency"] == {"key": "{{ customer }}", "max": 1, "on_full": "queue"}
    assert "concurrency" not in free


def test_rows_of_a_batch_take_turns(client: orc.Orchestrator, bench: Bench) -> None:
    steps = [{"id": "a", "tool": "echo"}, {"id": "b", "tool": "echo", "dependencies": ["a"]}]
    pipeline = client.compile({**SPEC, "steps": steps, "outputs": {}, "concurrency": {"key": "all", "max": 2}})
    assert {row.state for row in pipeline.map([{"customer": str(number)} for number in range(12)])} == {"succeeded"}
    assert bench.most_running <= 2
