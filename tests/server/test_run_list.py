"""The live stream of a list of runs: what pages are told of runs that they show, however many pages there are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.journal.records import RunFilter
from orchestrator.server import run_changes
from orchestrator.server.run_changes import RunChange, RunChanges
from orchestrator.server.service import Service
from tests.runtime.support import Bench
from tests.server.support import Client, client_of

ENDED = ("succeeded", "failed", "cancelled")
GATES = "steps:\n  - {id: a, tool: gate}\n  - {id: b, tool: gate, dependencies: [a]}\n"
FAILS = "steps:\n  - {id: a, tool: text, action: split, parameters: {text: 'a', separator: ''}}\n"

Blocks = Iterator[tuple[str, Any, Any]]


@pytest.fixture
def gates(project: Path) -> str:
    (project / "gates.yaml").write_text(GATES)
    return "gates"


def until_ended(stream: Blocks, run: str) -> list[tuple[str, Any]]:
    """Read the changes of a run up to its end: their ids and data."""
    seen = []
    for name, id, data in stream:
        assert name == "run"
        if data["run_id"] == run:
            seen.append((id, data))
            if data["state"] in ENDED:
                return seen
    raise AssertionError("the stream has ended")


def test_a_list_is_told_of_each_run_from_its_start_to_its_end(client: Client, gates: str, bench: Bench):
    with client.list_stream() as stream:
        assert next(stream)[0] == "start"
        run = client.start(gates, labels=["nightly"])["run"]["run_id"]
        first = next(stream)[2]
        bench.open("a", "b")
        seen = [data for _, data in until_ended(stream, run)]
    assert (first["run_id"], first["state"]) == (run, "running")
    status = client.json("GET", f"/v1/runs/{run}")
    assert seen[-1]["state"] == "succeeded"
    assert (seen[-1]["progress"], seen[-1]["seq"]) == (1.0, status["last_seq"])
    assert "nightly" in seen[-1]["labels"]
    numbers = [data["seq"] for data in [first, *seen]]
    assert numbers == sorted(set(numbers))


ASKS = """\
steps:
  - {id: q, approve: Really?}
  - {id: a, tool: gate}
"""


def test_a_run_with_a_question_is_listed_also_while_it_does_something_else(client: Client, project: Path, bench: Bench):
    (project / "asks.yaml").write_text(ASKS)
    asking = "/v1/runs?asks=true"
    client.start("hello", wait=30)
    with client.list_stream("?asks=true") as stream:
        assert next(stream)[0] == "start"
        run = client.start("asks")["run"]["run_id"]
        bench.wait_for("a")
        while not (found := client.json("GET", asking)["runs"]):
            assert next(stream)[2]["run_id"] == run
        assert [(each["run_id"], each["state"]) for each in found] == [(run, "running")]
        assert client.json("GET", "/v1/runs?asks=true&state=waiting")["runs"] == []
        client.json("POST", f"/v1/runs/{run}/answer", {"step": "q", "value": True})
        while client.json("GET", asking)["runs"]:
            assert next(stream)[2]["run_id"] == run
        bench.open("a")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?pipeline=hello", True),
        ("?pipeline=other", False),
        ("?label=nightly", True),
        ("?label=nightly&label=weekly", False),
        ("?text=night", False),
        ("?text=nightly", True),
        ("?text=ell", True),
        ("?batch=none", False),
        ("?state=succeeded", True),
        ("?state=failed", False),
        ("?since=1", True),
        ("?until=1", False),
    ],
)
def test_a_list_is_told_of_the_runs_that_its_filter_selects(client: Client, query: str, shown: bool):
    with client.list_stream(query) as stream, client.list_stream() as all_of_them:
        assert next(stream)[0] == next(all_of_them)[0] == "start"
        run = client.start("hello", labels=["nightly"], wait=30)["run"]["run_id"]
        until_ended(all_of_them, run)
        marker = client.start("hello", labels=["nightly", "weekly"], wait=30)["run"]["run_id"]
        until_ended(all_of_them, marker)
        if shown:
            assert until_ended(stream, run)[-1][1]["state"] == "succeeded"
    found = [each["run_id"] for each in client.json("GET", f"/v1/runs{query}")["runs"]]
    assert (run in found) == shown


def test_a_run_that_leaves_a_list_is_reported_to_it(client: Client, gates: str, bench: Bench):
    run = client.start(gates)["run"]["run_id"]
    bench.wait_for("a")
    with client.list_stream("?state=running") as stream:
        next(stream)
        bench.open("a", "b")
        assert until_ended(stream, run)[-1][1]["state"] == "succeeded"


def test_a_reader_that_rejoins_is_told_what_has_changed_since(client: Client):
    with client.list_stream() as stream:
        last = next(stream)[1]
    runs = [client.start("hello", wait=30)["run"]["run_id"] for _ in range(3)]
    with client.list_stream(last=last) as stream:
        first = until_ended(stream, runs[0])
        others = [until_ended(stream, run) for run in runs[1:]]
    with client.list_stream(last=first[-1][0]) as stream:
        again = [until_ended(stream, run) for run in runs[1:]]
    assert [seen[-1] for seen in again] == [seen[-1] for seen in others]


@pytest.mark.parametrize("last", ["0badc0de-4", "x", "-", "0badc0de-" + "9" * 20])
def test_a_reader_of_another_server_loads_its_list_again(client: Client, last: str):
    with client.list_stream(last=last) as stream:
        name, id, _ = next(stream)
    assert name == "missed"
    with client.list_stream(last=id) as stream:
        run = client.start("hello", wait=30)["run"]["run_id"]
        assert until_ended(stream, run)


def test_a_reader_that_is_too_far_behind_loads_its_list_again(
    server: tuple[Service, str], client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_changes, "KEPT", 2)
    with client.list_stream() as stream:
        last = next(stream)[1]
    for _ in range(3):
        client.start("hello", wait=30)
    changes = server[0].run_list._changes
    assert changes is not None
    while changes.since(int(last.rpartition("-")[2])) is not None:
        pass  # they are still being looked at
    with client.list_stream(last=last) as stream:
        assert next(stream)[0] == "missed"


def test_a_list_is_told_of_the_runs_of_other_processes(client: Client, orchestrator: orc.Orchestrator, project: Path):
    with orc.Orchestrator(store=orchestrator.store_url, directory=project) as other, client.list_stream() as stream:
        next(stream)
        run = other.compile(project / "hello.yaml").start()
        assert until_ended(stream, run.id)[-1][1]["state"] == "succeeded"
        asked = other.compile(project / "ask.yaml").start()
        states = []
        for _, _, data in stream:
            states.append(data["state"])
            if data["state"] == "waiting":
                asked.answer("review", True)
            if data["run_id"] == asked.id and data["state"] in ENDED:
                break
    assert "waiting" in states
    assert states[-1] == "succeeded"


def test_all_readers_share_one_look_at_the_store(
    server: tuple[Service, str], client: Client, monkeypatch: pytest.MonkeyPatch
):
    made = []
    monkeypatch.setattr(RunChanges, "__init__", counted(RunChanges.__init__, made))
    streams = [client_of(*server, "read", name=f"reader {number}") for number in range(10)]
    opened = [each.list_stream() for each in streams]
    blocks = [each.__enter__() for each in opened]
    try:
        for each in blocks:
            assert next(each)[0] == "start"
        run = client.start("hello", wait=30)["run"]["run_id"]
        found = [until_ended(each, run) for each in blocks]
    finally:
        for each in opened:
            each.__exit__(None, None, None)
    assert len(made) == 1
    assert all(one == found[0] for one in found)


def counted(function: Any, calls: list[Any]) -> Any:
    def call(*given: Any) -> Any:
        calls.append(given)
        return function(*given)

    return call


def test_changes_that_follow_one_another_are_joined(client: Client, orchestrator: orc.Orchestrator):
    changes = RunChanges(orchestrator.backend.store)
    run = client.start("hello", wait=30)["run"]["run_id"]
    changes.look()
    found = changes.since(0)
    assert found is not None
    assert [(change.run.status.run_id, change.run.status.state) for change in found] == [(run, "succeeded")]
    changes.look()
    assert changes.since(found[-1].number) == []


def test_a_list_of_a_state_is_told_when_a_run_leaves_that_state_and_not_otherwise(
    client: Client, orchestrator: orc.Orchestrator, gates: str, bench: Bench
):
    changes = RunChanges(orchestrator.backend.store)
    run = client.start(gates)["run"]["run_id"]
    bench.wait_for("a")
    changes.look()
    seen = changes.number
    client.json("POST", f"/v1/runs/{run}/pause")
    paused: list[RunChange] | None = []
    while not paused or paused[-1].run.status.state != "paused":
        changes.look()
        paused = changes.since(seen)
    assert paused[-1].concerns(RunFilter("running"), seen)
    assert paused[-1].concerns(RunFilter("paused"), seen)
    assert not paused[-1].concerns(RunFilter("failed"), seen)
    assert not paused[-1].concerns(RunFilter("running"), changes.number)
    client.json("POST", f"/v1/runs/{run}/cancel")
    bench.open("a")
