"""A database that goes away under a server and comes back: refusals with a code meanwhile, and nothing is lost."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import StoreUnavailable
from orchestrator.server.service import Service
from tests.postgres import NoPostgres, Server
from tests.runtime.support import Bench
from tests.server.support import PATIENCE, Client, client_of, serving

GATES = "steps:\n  - {id: a, tool: gate}\n  - {id: b, tool: gate, dependencies: [a]}\n"


@pytest.fixture
def database() -> Iterator[Server]:
    """A PostgreSQL server of this test's own, which it may stop."""
    try:
        server = Server()
    except NoPostgres as why:
        pytest.skip(str(why))
    yield server
    server.stop()


@pytest.fixture
def server(project: Path, database: Server, bench: Bench) -> Iterator[tuple[Service, str]]:
    (project / "gates.yaml").write_text(GATES)
    with serving(project, store=database.url, tools=bench.tools()) as running:
        yield running


@pytest.fixture
def file(project: Path) -> Path:
    """The file of an SQLite store."""
    (project / "gates.yaml").write_text(GATES)
    return project / "runs.db"


def until(client: Client, path: str, status: int) -> Any:
    """Ask until a response has this status."""
    deadline = time.monotonic() + PATIENCE
    while True:
        response = client.http.get(path)
        if response.status_code == status:
            return response.json()
        assert time.monotonic() < deadline, response.text


def test_requests_are_refused_while_the_database_is_away_and_everything_continues_when_it_is_back(
    client: Client, database: Server, bench: Bench
):
    run = client.start("gates")["run"]["run_id"]
    bench.wait_for("a")
    seen: list[tuple[str, int | None]] = []

    def read() -> None:
        with client.stream(run) as stream:
            seen.extend((name, number) for name, number, _ in stream)

    reader = threading.Thread(target=read)
    reader.start()
    with client.list_stream() as changes:
        assert next(changes)[0] == "start"
        database.halt()
        assert client.json("GET", "/healthz")["status"] == "ok"
        found = until(client, "/readyz", 503)
        assert found["code"] == "ORC811"
        for method, path, body in (
            ("GET", "/v1/runs", None),
            ("GET", "/v1/session", None),
            ("POST", "/v1/runs", {"pipeline": "hello"}),
        ):
            client.problem(method, path, body, status=503, code="ORC811")
        bench.open("a")
        database.start()
        until(client, "/readyz", 200)
        bench.wait_for("b")
        bench.open("b")
        states = []
        for name, _, data in changes:
            assert name == "run"
            states.append(data["state"])
            if data["run_id"] == run and data["state"] == "succeeded":
                break
    reader.join(PATIENCE)
    assert not reader.is_alive()
    numbers = [number for _, number in seen if number is not None]
    assert numbers == sorted(set(numbers))
    events = client.json("GET", f"/v1/runs/{run}/events")["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run.succeeded"
    assert client.start("hello", wait=30)["run"]["state"] == "succeeded"


def test_requests_are_refused_while_another_program_holds_the_file_and_everything_continues_afterwards(
    project: Path, file: Path, bench: Bench
):
    with serving(project, store=f"sqlite:///{file}?timeout=0.1", tools=bench.tools()) as running:
        client = client_of(*running)
        run = client.start("gates")["run"]["run_id"]
        bench.wait_for("a")
        with closing(sqlite3.connect(file, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            assert until(client, "/readyz", 503)["code"] == "ORC812"
            client.problem("POST", "/v1/runs", {"pipeline": "hello"}, status=503, code="ORC812")
            assert client.json("GET", "/v1/runs")["runs"][0]["run_id"] == run, "reading takes no lock"
            bench.open("a")
            holder.execute("ROLLBACK")
        until(client, "/readyz", 200)
        bench.wait_for("b")
        bench.open("b")
        with client.stream(run) as stream:
            assert list(stream)[-1][2]["state"] == "succeeded"
        events = client.json("GET", f"/v1/runs/{run}/events")["events"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert client.start("hello", wait=30)["run"]["state"] == "succeeded"
        assert len(client.json("GET", "/v1/runs")["runs"]) == 2, "what was refused has left nothing"


def test_a_server_whose_file_is_moved_is_not_ready_and_the_next_one_has_what_was_recorded(
    project: Path, file: Path, bench: Bench
):
    url = f"sqlite:///{file}?timeout=0.1"
    away = {each: project / f"away{each}" for each in ("", "-wal", "-shm")}
    started: list[str] = []

    def serve_until_the_file_is_moved() -> None:
        with serving(project, store=url, tools=bench.tools()) as running:
            client = client_of(*running)
            started.append(client.start("gates")["run"]["run_id"])
            bench.wait_for("a")
            for ending, place in away.items():
                file.with_name(file.name + ending).rename(place)
            assert client.json("GET", "/healthz")["status"] == "ok"
            assert until(client, "/readyz", 503)["code"] == "ORC811"
            client.problem("POST", "/v1/runs", {"pipeline": "hello"}, status=503, code="ORC811")
            bench.open("a")
            assert not file.exists(), "no other store is made in its place"
            for ending, place in away.items():
                if place.exists():
                    place.rename(file.with_name(file.name + ending))
            client.problem("GET", "/readyz", status=503, code="ORC811")

    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        serve_until_the_file_is_moved()
    with serving(project, store=url, tools=bench.tools()) as running:
        client = client_of(*running, name="grace")
        events = client.json("GET", f"/v1/runs/{started[0]}/events")["events"]
        assert events[0]["type"] == "run.created"
        assert client.start("hello", wait=30)["run"]["state"] == "succeeded"
