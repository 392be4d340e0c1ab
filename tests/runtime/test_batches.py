"""One run for each row: bounded, complete, and to be gone on with after anything."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from tests.runtime.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Rows:
    """A tool that notes how many runs are under way, and can be made to fail or hang for some rows."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.running = self.most = 0
        self.broken: set[int] = set()
        self.hanging: set[int] = set()
        self.hung = threading.Event()

    def tools(self) -> list[Any]:
        @orc.tool
        async def work(number: int) -> int:
            self.calls.append(number)
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await asyncio.sleep(0)
                if number in self.broken:
                    raise ValueError(f"{number} is broken")
                if number in self.hanging:
                    self.hung.set()
                    await asyncio.Event().wait()
            finally:
                self.running -= 1
            return number * 2

        return [work]


SPEC: dict[str, Any] = {
    "id": "rows",
    "inputs": {"number": {"type": "integer"}, "key": {"type": "string", "secret": True, "required": False}},
    "steps": [
        {"id": "first", "tool": "work", "parameters": {"number": "{{ number }}"}},
        {"id": "second", "tool": "work", "parameters": {"number": "{{ first }}"}},
    ],
    "outputs": {"it": "{{ second }}"},
}


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def client(rows: Rows, tmp_path: Path) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path, tools=rows.tools()) as client:
        yield client


def numbers(*values: int) -> list[dict[str, int]]:
    return [{"number": value} for value in values]


def test_each_row_has_a_run_of_its_own(client: orc.Orchestrator):
    results = client.compile(SPEC).map(numbers(3, 1, 2))
    found = sorted(results, key=lambda result: result.row)
    assert [(result.row, result.state, result.outputs) for result in found] == [
        (1, "succeeded", {"it": 12}),
        (2, "succeeded", {"it": 4}),
        (3, "succeeded", {"it": 8}),
    ]
    for result in found:
        record = client.get_run(result.run_id or "").record()
        assert (record.batch, record.row) == (results.batch, result.row)


def test_rows_that_fail_or_do_not_fit_are_reported_and_not_lost(client: orc.Orchestrator, rows: Rows):
    rows.broken = {3}
    given: list[Any] = [{"number": 1}, {"number": 3}, {"numbr": 3}, {"number": "x"}, [1], orc.InputError("no row")]
    found = {result.row: result for result in client.compile(SPEC).map(given)}
    assert [found[row].state for row in range(1, 7)] == ["succeeded", "failed", *["invalid"] * 4]
    errors = [found[row].error or {} for row in range(2, 7)]
    assert [error["code"] for error in errors] == ["ORC701", "ORC602", "ORC603", "ORC603", "ORC603"]
    assert "3 is broken" in errors[0]["message"]
    assert errors[4]["message"] == "no row"
    assert [found[row].run_id for row in range(3, 7)] == [None] * 4
    assert len(client.list_runs()) == 2


@given(count=st.integers(0, 40), at_once=st.integers(1, 9))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_at_most_so_many_runs_are_under_way_and_rows_are_read_as_they_are_needed(
    client: orc.Orchestrator, rows: Rows, count: int, at_once: int
):
    rows.most = read = ended = ahead = 0

    def source() -> Iterator[dict[str, int]]:
        nonlocal read, ahead
        for number in range(count):
            read += 1
            ahead = max(ahead, read - ended)
            yield {"number": number}

    for _ in client.compile(SPEC).map(source(), max_parallel=at_once):
        ended += 1
    assert ended == read == count
    assert rows.most <= at_once
    assert ahead <= 3 * at_once + 1  # under way, waiting to be handed over, and being handed over


def test_a_batch_goes_on_with_the_rows_that_did_not_succeed(client: orc.Orchestrator, rows: Rows):
    rows.broken = {3, 5}
    pipeline = client.compile(SPEC)
    first = pipeline.map(numbers(1, 3, 5, 7))
    before = {result.row: result for result in first}
    rows.broken = {5}
    rows.calls.clear()
    after = {result.row: result for result in pipeline.map(numbers(1, 3, 5, 7), batch=first.batch)}
    assert sorted(rows.calls) == [3, 5, 6]  # the second row whole, the third up to its failure
    assert [after[row].state for row in range(1, 5)] == ["succeeded", "succeeded", "failed", "succeeded"]
    assert [after[row].outputs for row in (1, 2, 4)] == [{"it": 4}, {"it": 12}, {"it": 28}]
    assert {row: result.run_id for row, result in before.items()} == {r: result.run_id for r, result in after.items()}


def test_a_batch_that_is_left_goes_on_in_another_process(client: orc.Orchestrator, rows: Rows, tmp_path: Path):
    """Here in another orchestrator on the same store, which is closed to the first as another process is."""
    rows.hanging = {5}
    with client.compile(SPEC).map(numbers(*range(10)), max_parallel=2) as results:
        done = [next(results) for _ in range(3)]
        assert rows.hung.wait(PATIENCE)
    assert all(result.ok for result in done)
    assert {status.state for status in client.list_runs()} <= {"succeeded", "interrupted"}
    client.close()
    rows.hanging = set()
    rows.calls.clear()
    with orc.Orchestrator(directory=tmp_path, tools=rows.tools()) as other:
        found = list(other.compile(SPEC).map(numbers(*range(10)), batch=results.batch))
        assert sorted(result.row for result in found if result.ok) == list(range(1, 11))
        assert len(other.list_runs(limit=100)) == 10
    again = {result.row: result.run_id for result in found}
    assert all(again[result.row] == result.run_id for result in done)


def test_a_row_is_started_anew_when_the_pipeline_has_changed(client: orc.Orchestrator, rows: Rows):
    rows.broken = {3}
    results = client.compile(SPEC).map(numbers(1, 3))
    failed = next(result for result in list(results) if not result.ok)
    edited = {**SPEC, "outputs": {"it": "{{ first }}"}, "steps": SPEC["steps"][:1]}
    rows.broken = set()
    after = {result.row: result for result in client.compile(edited).map(numbers(1, 3), batch=results.batch)}
    assert after[2].outputs == {"it": 6}
    assert after[2].run_id != failed.run_id
    assert after[1].outputs == {"it": 4}  # of the run that had succeeded, with the text that it began with


def test_rows_that_are_others_are_refused(client: orc.Orchestrator):
    pipeline = client.compile(SPEC)
    results = pipeline.map(numbers(1, 2))
    list(results)
    for other in (3, "two"):
        with pytest.raises(orc.RunError, match="row 2 has changed since batch") as caught:
            list(pipeline.map([{"number": 1}, {"number": other}], batch=results.batch))
        assert caught.value.code == "ORC817"


def test_a_batch_that_does_not_exist_is_refused(client: orc.Orchestrator, rows: Rows):
    with pytest.raises(orc.RunError, match="unknown batch `nightly`") as caught:
        list(client.compile(SPEC).map(numbers(1), batch="nightly"))
    assert caught.value.code == "ORC817"
    assert rows.calls == []


def test_secrets_are_given_again_with_their_rows(client: orc.Orchestrator, rows: Rows):
    rows.broken = {1}
    given = [{"number": 1, "key": "hunter2"}]
    pipeline = client.compile(SPEC)
    results = pipeline.map(given)
    list(results)
    rows.broken = set()
    assert [result.state for result in pipeline.map(given, batch=results.batch)] == ["succeeded"]


def test_a_mistake_of_who_reads_the_rows_ends_the_batch_and_reaches_the_caller(client: orc.Orchestrator, rows: Rows):
    rows.hanging = {0}

    def source() -> Iterator[dict[str, int]]:
        yield {"number": 0}
        assert rows.hung.wait(PATIENCE)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(client.compile(SPEC).map(source()))
    assert client.list_runs()[0].state == "interrupted"


def test_a_run_that_waits_for_a_person_does_not_hold_up_the_others(client: orc.Orchestrator, rows: Rows):
    spec = {**SPEC, "steps": [*SPEC["steps"], {"id": "ok", "condition": "number == 2", "approve": "Go on?"}]}
    pipeline = client.compile(spec)
    results = pipeline.map(numbers(1, 2, 3), max_parallel=1)
    found = {result.row: result for result in results}
    assert [found[row].state for row in (1, 2, 3)] == ["succeeded", "waiting", "succeeded"]
    waiting = client.get_run(found[2].run_id or "")
    assert (waiting.status().state, waiting.status().owner) == ("waiting", None)
    waiting.answer("ok", True)
    assert {result.state for result in pipeline.map(numbers(1, 2, 3), batch=results.batch)} == {"succeeded"}


@pytest.mark.parametrize("when", ["before a result", "between two", "while waiting"])
def test_a_batch_can_be_stopped_from_another_thread_at_any_moment(
    client: orc.Orchestrator, rows: Rows, when: str
) -> None:
    rows.hanging = {3, 5}
    results = client.compile(SPEC).map(numbers(1, 3, 5), max_parallel=3)
    if when == "before a result":
        results.stop()
    elif when == "between two":
        assert next(results).row == 1
        results.stop()
    else:
        assert next(results).row == 1
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(list, results)
            results.stop()
            assert waiting.result(timeout=30) == []
    assert list(results) == []
    results.close()
    assert rows.running == 0
    assert not client.list_runs(state="running")


def test_who_gives_up_waiting_for_a_result_can_still_close(
    client: orc.Orchestrator, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.hanging = {1}
    results = client.compile(SPEC).map(numbers(1))
    submit = client.backend.portal.submit

    def interrupted(work: Any) -> Any:
        submit(work)
        raise KeyboardInterrupt  # between asking for a result and waiting for it

    with monkeypatch.context() as patched:
        patched.setattr(client.backend.portal, "submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(results)
    results.close()
    assert rows.running == 0


@pytest.mark.anyio
async def test_a_batch_runs_on_the_callers_event_loop_too(client: orc.Orchestrator, rows: Rows):
    loop = asyncio.get_running_loop()
    seen = []

    @orc.tool
    async def where() -> bool:
        seen.append(asyncio.get_running_loop() is loop)
        return True

    with orc.Orchestrator(directory=client.directory, tools=[where]) as other:
        pipeline = other.compile({"id": "where", "steps": [{"id": "a", "tool": "where"}]})
        async with pipeline.amap([{}] * 5, max_parallel=2) as results:
            assert [result.state async for result in results] == ["succeeded"] * 5
    assert seen == [True] * 5


@pytest.mark.anyio
async def test_who_leaves_a_batch_early_leaves_no_run_under_way(client: orc.Orchestrator, rows: Rows):
    rows.hanging = set(range(3, 100))
    async with client.compile(SPEC).amap(numbers(*range(100)), max_parallel=4) as results:
        async for result in results:
            assert result.ok
            break
    assert rows.running == 0
    assert len(client.list_runs(limit=100)) <= 3 * 4
    assert not client.list_runs(state="running")


def test_nothing_is_kept_of_rows_that_have_ended(client: orc.Orchestrator):
    from orchestrator.runtime.host.execution import Execution

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, Execution) for thing in gc.get_objects())

    results = client.compile(SPEC).map(numbers(*range(60)), max_parallel=5)
    for _ in range(50):
        next(results)
    assert alive() <= 3 * 5 + 1
    list(results)
    assert alive() <= 5
