"""Batches over HTTP: rows are sent in lines of JSON, results come as rows end, and a batch survives its server."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

import orchestrator as orc
from orchestrator.server.access import credential_watch
from orchestrator.server.access.tokens import add_token, revoke_token
from orchestrator.server.service import Service
from tests.runtime.support import Bench
from tests.server.cutting_proxy import bad_network
from tests.server.support import PATIENCE, Client, ServerProcess, client_of
from tests.server.test_restart import TOOLS

SQUARE = """\
id: square
inputs: {n: {type: integer}}
steps:
  - {id: check, tool: fail, condition: "{{ n == 3 }}"}
  - {id: square, tool: echo, parameters: {value: "{{ n * n }}"}, depends_on: [check]}
outputs: {n: "{{ square }}"}
"""


@pytest.fixture
def square(project: Path) -> str:
    (project / "square.yaml").write_text(SQUARE)
    return "square"


@pytest.fixture
def remote(server: tuple[Service, str]) -> Iterator[orc.Client]:
    with orc.connect(server[1], token=add_token(server[0].credentials, "remote", ["admin"])) as client:
        yield client


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def all_results(client: Client, batch: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        page = client.json("GET", f"/v1/batches/{batch}/results?after={after}&wait=5")
        found += page["results"]
        after = page["next"]
        if page["ended"]:
            return sorted(found, key=lambda result: result["row"])


def test_rows_in_lines_of_json_are_run(client: Client, square: str):
    body = lines({"pipeline": square}, {"n": 1}, {"n": 2}, {"n": "x"}, [1]) + b"{broken\n"
    headers = {"content-type": "application/jsonl"}
    response = client.http.post("/v1/batches", content=body, headers=headers)
    assert response.status_code == 202, response.text
    batch = response.json()["batch"]
    found = all_results(client, batch)
    assert [(row["row"], row["state"], row["outputs"]) for row in found] == [
        (1, "succeeded", {"n": 1}),
        (2, "succeeded", {"n": 4}),
        (3, "invalid", {}),
        (4, "invalid", {}),
        (5, "invalid", {}),
    ]
    assert "line 6 is not JSON" in found[4]["error"]["message"]
    status = client.json("GET", f"/v1/batches/{batch}")
    assert (status["rows"], status["states"], status["complete"]) == (5, {"succeeded": 2, "invalid": 3}, True)
    assert [problem["row"] for problem in status["problems"]] == [3, 4, 5]
    assert "`n`" in status["problems"][0]["message"]
    page = client.json("GET", f"/v1/runs?batch={batch}")
    assert page["rows"] == {row["run_id"]: row["row"] for row in found[:2]}
    assert len(page["runs"]) == 2
    assert client.json("GET", "/v1/runs")["rows"] == {}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "ORC914"),
        (b"{\n", 422, "ORC914"),
        (lines({"pipeline": "square", "nosuch": 1}), 422, "ORC914"),
        (lines({"pipeline": "nosuch"}), 404, "ORC915"),
        (lines({}), 422, "ORC914"),
        (lines({"pipeline": "square", "numbered": True}, {"n": 1}), 422, "ORC914"),
        (lines({"source": "steps: [{id: a, tool: lgo}]"}), 422, "ORC401"),
    ],
)
def test_a_body_that_is_not_a_batch_is_refused(client: Client, square: str, body: bytes, status: int, code: str):
    headers = {"content-type": "application/jsonl"}
    client.problem("POST", "/v1/batches", status=status, code=code, content=body, headers=headers)


def test_a_batch_of_a_client_gives_what_a_batch_here_gives(
    remote: orc.Client, orchestrator: orc.Orchestrator, square: str, project: Path
):
    rows: list[Any] = [{"n": 1}, {"n": 3}, {"n": "x"}, orc.InputError("line 4 is not JSON"), {"n": 5}]

    def ended(results: Any) -> list[tuple[Any, ...]]:
        found = sorted(results, key=lambda result: result.row)
        codes = [(result.error or {}).get("code") for result in found]
        return [(each.row, each.state, each.outputs, code) for each, code in zip(found, codes, strict=True)]

    here = orchestrator.compile(project / "square.yaml").map(rows)
    there = remote.compile(square).map(rows)
    assert ended(there) == ended(here)
    status, expected = remote.get_batch(there.batch), orchestrator.get_batch(here.batch)
    assert (status.rows, status.states, status.complete) == (expected.rows, expected.states, expected.complete)
    assert remote.list_batches()[0] == orchestrator.list_batches()[0]

    async def again() -> list[orc.RowResult]:
        async with remote.compile(square).amap(rows, batch=there.batch) as results:
            return [result async for result in results]

    assert ended(asyncio.run(again())) == ended(
        orchestrator.compile(project / "square.yaml").map(rows, batch=here.batch)
    )


def test_rows_that_differ_from_before_are_refused(remote: orc.Client, square: str):
    first = remote.compile(square).map([{"n": 1}])
    assert [result.state for result in first] == ["succeeded"]
    with pytest.raises(orc.RunError) as refused:
        list(remote.compile(square).map([{"n": 2}], batch=first.batch))
    assert refused.value.code == "ORC817"
    with pytest.raises(orc.RunError) as refused:
        list(remote.compile(square).map([{"n": 2}], batch="1" + 19 * "0"))
    assert refused.value.code == "ORC817"


def test_rows_are_read_as_they_are_run(
    remote: orc.Client, project: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("orchestrator.client.remote_batch.MOST_UNSETTLED", 10)
    (project / "gates.yaml").write_text(
        "inputs: {n: {type: integer}}\nsteps: [{id: a, tool: gate}]\noutputs: {n: '{{ n }}'}\n"
    )
    read: list[int] = []

    def rows() -> Iterator[dict[str, int]]:
        for number in range(200):
            read.append(number)
            yield {"n": number}

    with remote.compile("gates").map(rows(), max_parallel=2) as results, ThreadPoolExecutor() as pool:
        reading = pool.submit(list, results)
        bench.wait_for("a")
        assert len(read) <= 11
        bench.open("a")
        assert sorted(result.outputs["n"] for result in reading.result()) == list(range(200))


def test_a_row_that_is_no_object_is_not_shown(client: Client, square: str):
    body = lines({"pipeline": square}, "hunter2", ["hunter2"], None, 4, True)
    batch = client.http.post("/v1/batches", content=body).json()["batch"]
    found = all_results(client, batch)
    assert "hunter2" not in json.dumps(found)
    assert [row["error"]["message"].partition("but ")[2] for row in found] == [
        "text", "a list", "null", "a number", "a boolean",
    ]  # fmt: skip


def test_who_only_reads_results_destroys_none(client: Client, server: tuple[Service, str], square: str):
    rows = [{"n": number} for number in range(4, 9)]
    batch = client.http.post("/v1/batches", content=lines({"pipeline": square}, *rows)).json()["batch"]
    reader = client_of(*server, "read", name="reader")
    for after in (2**62, 5, 1):
        reader.json("GET", f"/v1/batches/{batch}/results?after={after}&wait=5")
    assert len(all_results(reader, batch)) == len(rows)
    assert len(all_results(client, batch)) == len(rows)


def test_many_open_batches_leave_the_server_to_others(
    client: Client, server: tuple[Service, str], project: Path, bench: Bench
):
    (project / "gates.yaml").write_text("inputs: {n: {type: integer}}\nsteps: [{id: a, tool: gate}]\n")
    ended = threading.Event()

    def upload() -> Iterator[bytes]:
        yield lines({"pipeline": "gates", "rows_at_once": 1}, *({"n": number} for number in range(3)))
        ended.wait(PATIENCE)

    def send() -> int:
        try:
            return Client(server[1], token).http.post("/v1/batches", content=upload()).status_code
        except httpx.HTTPError:
            return 0

    token = client.http.headers["authorization"].removeprefix("Bearer ")
    with ThreadPoolExecutor(120) as pool:
        uploads = [pool.submit(send) for _ in range(45)]
        while len(client.json("GET", "/v1/batches?limit=100")["batches"]) < 45:
            pass
        batches = [batch["batch"] for batch in client.json("GET", "/v1/batches?limit=100")["batches"]]
        waiting = [pool.submit(client.http.get, f"/v1/batches/{batch}/results?wait=30") for batch in batches]
        assert client.json("GET", "/readyz")["status"] == "ok"
        client.start("hello", wait=30)
        bench.open("a")
        ended.set()
        assert {each.result() for each in uploads} == {202}
        assert {each.result().status_code for each in waiting} == {200}
        assert all(each.wait(PATIENCE) for each in server[0].batches._batches.values())


def test_an_upload_ends_with_its_client_or_its_token(
    client: Client, server: tuple[Service, str], project: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(credential_watch, "CHECK_SECONDS", 0.05)
    (project / "gates.yaml").write_text("inputs: {n: {type: integer}}\nsteps: [{id: a, tool: gate}]\n")
    where = urlsplit(server[1])
    for leaves in (True, False):
        token = add_token(server[0].credentials, f"sender {leaves}", ["run"])
        with socket.create_connection((where.hostname, where.port), timeout=PATIENCE) as connection:
            body = lines({"pipeline": "gates", "rows_at_once": 1}, {"n": 1}, {"n": 2}, {"n": 3})
            connection.sendall(
                f"POST /v1/batches HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n"
                f"content-length: {len(body) + 1}\r\n\r\n".encode()
                + body
            )
            while sum(each.ended_at is None for each in server[0].batches._batches.values()) < 1:
                client.json("GET", "/healthz")
            (hosted,) = [each for each in server[0].batches._batches.values() if each.ended_at is None]
            if not leaves:
                revoke_token(server[0].credentials, f"sender {leaves}")
                assert connection.recv(65_536).startswith(b"HTTP/1.1 401")
        bench.open("a")
        assert hosted.wait(PATIENCE)
        assert hosted.error is not None


def test_a_batch_continues_over_lost_connections(server: tuple[Service, str], square: str):
    token = add_token(server[0].credentials, "remote", ["admin"])
    with bad_network(server[1]) as network, orc.connect(network.url, token=token) as client:
        square_of = client.compile(square)
        with square_of.map(({"n": number} for number in range(4, 300)), max_parallel=4) as results:
            found = []
            for result in results:
                found.append(result)
                if len(found) % 40 == 0:
                    network.cut()
        assert sorted(result.outputs["n"] for result in found) == [number**2 for number in range(4, 300)]
        assert [batch.states for batch in client.list_batches()] == [{"succeeded": 296}]


def test_a_batch_that_is_stopped_can_be_resumed(remote: orc.Client, project: Path, bench: Bench):
    (project / "gates.yaml").write_text(
        "inputs: {n: {type: integer}}\nsteps: [{id: a, tool: gate}]\noutputs: {n: '{{ n }}'}\n"
    )
    rows = [{"n": number} for number in range(6)]
    with remote.compile("gates").map(rows, max_parallel=2) as results, ThreadPoolExecutor() as pool:
        reading = pool.submit(list, results)
        bench.wait_for("a")
        results.stop()
        assert reading.result() == []
    bench.open("a")
    again = remote.compile("gates").map(rows, batch=results.batch)
    assert sorted(result.outputs["n"] for result in again) == list(range(6))


def test_a_batch_continues_under_the_next_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "lib.py").write_text(TOOLS)
    (tmp_path / "orchestrator.toml").write_text('tools = ["lib.py"]\n')
    (tmp_path / "rows.yaml").write_text(
        "inputs: {n: {type: integer}}\n"
        "steps:\n"
        '  - {id: mark, tool: note, parameters: {file: notes.txt, line: "{{ n }}"}}\n'
        "  - {id: gate, tool: await_file, parameters: {file: open}, depends_on: [mark], condition: '{{ n > 9 }}'}\n"
        "outputs: {n: '{{ n }}'}\n"
    )
    monkeypatch.chdir(tmp_path)
    server = ServerProcess(tmp_path)
    with bad_network(str(server.client.http.base_url)) as network, orc.connect(network.url) as client:
        with client.compile("rows").map(({"n": number} for number in range(30)), max_parallel=3) as results:
            found = [next(results) for _ in range(10)]
            server.kill()
            again = ServerProcess(tmp_path)
            network.target = str(again.client.http.base_url)
            (tmp_path / "open").touch()
            found += list(results)
        assert sorted(result.outputs["n"] for result in found) == list(range(30))
        assert sorted(map(int, (tmp_path / "notes.txt").read_text().split())) == list(range(30))
    again.stop()
