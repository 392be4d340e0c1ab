"""A store that was damaged or forged: every reader gets an error with a code that names the record, never a crash."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIPELINE = {
    "id": "story",
    "steps": [
        {"id": "a", "action": "text.template", "parameters": {"template": "x"}},
        {
            "id": "l",
            "for_each": "{{ [1, 2] }}",
            "action": "text.template",
            "parameters": {"template": "{{ item }}{{ a }}"},
        },
        {"id": "q", "ask": {"prompt": "Which?", "choices": ["x", "y"]}},
        {"id": "z", "action": "text.template", "parameters": {"template": "{{ q }} {{ l }}"}},
    ],
    "outputs": {"o": "{{ z }}"},
}

VALUES = st.sampled_from([None, True, -1, 1, 1.5, 10**400, "", "x", [], ["a"], [1], {}, {"a": 1}])


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with a run that waits for an answer."""
    directory = tmp_path_factory.mktemp("waiting")
    path = directory / "runs.db"
    with orc.Orchestrator(store=f"sqlite:///{path}", directory=directory) as client:
        run = client.compile(PIPELINE).start()
        run.wait()
    return path, run.id


@contextmanager
def copied(waiting: tuple[Path, str]) -> Iterator[tuple[Path, str]]:
    source, run_id = waiting
    copy = source.with_name("copy.db")
    for suffix in ("", "-wal", "-shm"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)
    shutil.copy(source, copy)
    yield copy, run_id


def change(path: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def read(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def problems(path: Path, run_id: str) -> list[orc.OrchestratorError]:
    """Return the errors of everything that can be done with a run. Other exceptions are raised."""
    found: list[orc.OrchestratorError] = []

    def attempt(action: Any) -> Any:
        try:
            return action()
        except orc.OrchestratorError as error:
            found.append(error)

    with orc.Orchestrator(store=f"sqlite:///{path}", directory=path.parent) as client:
        run = client.get_run(run_id)
        attempt(client.list_runs)
        attempt(lambda: json.dumps(run.status().to_dict()))
        attempt(lambda: [repr(event) for event in run.events(follow=False)])
        attempt(lambda: [repr(step) for step in run.snapshot().steps.values()])
        attempt(run.record)
        for step in ("a", "l", "l[0]", "q", "z"):
            attempt(lambda step=step: repr(run.why(step)))
        attempt(lambda: run.answer("q", "x"))
        if (resumed := attempt(lambda: client.resume(run_id))) is not None:
            attempt(lambda: resumed.result(timeout=30))
    assert all(error.code not in ("", "ORC999") for error in found)
    return found


def paths(data: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the keys that lead to each value, down to the third level."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*before, key)
            if len(before) < 2:
                yield from paths(value, (*before, key))
        yield (*before, "unknown")


def changed(data: Any, place: tuple[str, ...], value: Any) -> Any:
    return {**data, place[0]: changed(data[place[0]], place[1:], value) if len(place) > 1 else value}


def test_an_intact_run_has_no_problem(waiting: tuple[Path, str]):
    with copied(waiting) as (path, run_id):
        assert problems(path, run_id) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_field_of_the_wrong_type_is_an_error_with_a_code(waiting: tuple[Path, str], data: st.DataObject):
    with copied(waiting) as (path, run_id):
        rows = read(path, "SELECT id & 0xFFFFFFFF, data FROM events") + read(path, "SELECT 0, snapshot FROM runs")
        seq, text = data.draw(st.sampled_from(rows))
        fields = json.loads(text)
        places = list(paths(fields))
        text = json.dumps(changed(fields, data.draw(st.sampled_from(places)), data.draw(VALUES)))
        if seq:
            change(path, "UPDATE events SET data = ? WHERE id & 0xFFFFFFFF = ?", text, seq)
        else:
            change(path, "UPDATE runs SET snapshot = ?", text)
        problems(path, run_id)


@pytest.mark.parametrize("text", ["", "x", "[]", "null", "1", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"])
@pytest.mark.parametrize("place", ["events", "snapshot"])
def test_data_that_are_no_object_are_named(waiting: tuple[Path, str], place: str, text: str):
    with copied(waiting) as (path, run_id):
        if place == "events":
            change(path, "UPDATE events SET data = ? WHERE id & 0xFFFFFFFF = 3", text)
        else:
            change(path, "UPDATE runs SET snapshot = ?", text)
        found = problems(path, run_id)
        assert {each.code for each in found} == {"ORC811"}
        assert ("event 3 of run" if place == "events" else "the snapshot of run") in found[0].message


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET attempt = 'x' WHERE id & 0xFFFFFFFF = 3",
        "UPDATE events SET at = 'x' WHERE id & 0xFFFFFFFF = 3",
        "UPDATE events SET at = 9e999 WHERE id & 0xFFFFFFFF = 3",
        "DELETE FROM events WHERE id & 0xFFFFFFFF = 1",
        "UPDATE runs SET fence = 'x'",
        "UPDATE runs SET lease_until = 'x', owner = 'x'",
        "UPDATE runs SET lease_until = 1e12, owner = 'x'",
        "UPDATE blobs SET content = 'text'",
        "UPDATE blobs SET content = x'00'",
        "UPDATE blobs SET content = x'', encoding = 'json'",
        "DELETE FROM blobs",
    ],
)
def test_what_is_damaged_is_named_with_a_way_out(waiting: tuple[Path, str], statement: str):
    with copied(waiting) as (path, run_id):
        change(path, statement)
        damage = [each for each in problems(path, run_id) if each.code == "ORC811"]
        assert damage
        assert all(each.help and "restore a backup" in each.help for each in damage)


@pytest.mark.parametrize("count", [-1, 10**9, 2**53])
def test_a_loop_has_no_more_values_than_events(waiting: tuple[Path, str], count: int):
    with copied(waiting) as (path, run_id):
        change(path, "UPDATE events SET data = json_set(data, '$.items.count', ?) WHERE path = 'l'", count)
        with orc.Orchestrator(store=f"sqlite:///{path}", directory=path.parent) as client:
            run = client.get_run(run_id)
            assert len(run.snapshot().steps["l"].output) <= run.status().last_seq
        problems(path, run_id)


@pytest.mark.parametrize("index", [10**7, 10**14, 10**30])
def test_an_item_that_cannot_have_ended_takes_no_memory(waiting: tuple[Path, str], index: int):
    with copied(waiting) as (path, run_id):
        change(path, "UPDATE events SET path = ? WHERE path = 'l[1]'", f"l[{index}]")
        problems(path, run_id)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET snapshot = 'x' WHERE key = 1",
        "UPDATE runs SET snapshot = '{}' WHERE key = 1",
        "UPDATE runs SET lease_until = 'x' WHERE key = 1",
        "UPDATE runs SET snapshot_seq = 1 WHERE key = 1; UPDATE events SET data = 'x' WHERE id = (1 << 32) + 3",
    ],
)
def test_a_damaged_run_hides_no_other_in_lists(waiting: tuple[Path, str], statement: str):
    with copied(waiting) as (path, run_id):
        with orc.Orchestrator(store=f"sqlite:///{path}", directory=path.parent) as client:
            others = [client.compile(PIPELINE).start() for _ in range(4)]
            for other in others:
                other.wait()
        for each in statement.split("; "):
            change(path, each)
        with orc.Orchestrator(store=f"sqlite:///{path}", directory=path.parent) as client:
            *found, damaged = client.list_runs()
            assert [status.run_id for status in found] == [other.id for other in reversed(others)]
            assert {(status.state, status.damage) for status in found} == {("waiting", "")}
            assert (damaged.run_id, damaged.pipeline) == (run_id, "story")
            assert "is damaged" in damaged.damage
            assert damaged.to_dict()["damage"] == damaged.damage
            assert [status.run_id for status in client.list_runs(limit=2)] == [
                other.id for other in reversed(others[2:])
            ]
            assert sum(client.store_stats().runs.values()) == 5
            with pytest.raises(orc.StoreUnavailable, match="is damaged"):
                client.get_run(run_id).status()


def test_a_later_version_may_record_further_fields_and_events(waiting: tuple[Path, str]):
    with copied(waiting) as (path, run_id):
        ((snapshot,),) = read(path, "SELECT snapshot FROM runs")
        change(path, "UPDATE runs SET snapshot = ?", json.dumps({**json.loads(snapshot), "unknown": 1}))
        change(path, "UPDATE events SET data = json_set(data, '$.unknown', 1)")
        ((last,),) = read(path, "SELECT max(id) FROM events")
        change(path, "INSERT INTO events VALUES (?, 2e9, 99, 'a', 1, '{}')", last + 1)
        assert problems(path, run_id) == []
