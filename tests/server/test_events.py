"""Live streams: without gaps, whoever reads them, however often they are left and rejoined."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
import pytest
import sqlalchemy as sa

import orchestrator as orc
from orchestrator.server import streams
from orchestrator.server.access import credential_watch
from orchestrator.server.access.tokens import revoke_token
from orchestrator.server.service import Service
from orchestrator.server.streams import HEARTBEAT, EncodedEvents, EventStream, with_heartbeat
from tests.runtime.support import PATIENCE, Bench
from tests.server.support import Client, client_of

READERS = 20
GATES = "steps:\n  - {id: a, tool: gate}\n  - {id: b, tool: gate, dependencies: [a]}\n"


@pytest.fixture
def gates(project: Path) -> str:
    (project / "gates.yaml").write_text(GATES)
    return "gates"


def test_a_stream_has_every_event_and_ends_with_the_run(client: Client, gates: str, bench: Bench):
    run = client.start(gates)["run"]["run_id"]
    with client.stream(run) as stream:
        seen = []
        for name, number, data in stream:
            seen.append((name, number, data))
            if name == "step.started":
                bench.open(data["path"])
    assert [number for _, number, _ in seen] == [*range(1, len(seen)), None]
    assert seen[-1][0] == "end"
    assert seen[-1][2] == {"run_id": run, "state": "succeeded", "last_seq": len(seen) - 1}
    recorded = client.json("GET", f"/v1/runs/{run}/events")
    assert recorded["events"] == [data for _, number, data in seen if number is not None]
    assert recorded["next"] == len(seen) - 1


def test_a_reader_that_rejoins_misses_nothing_and_receives_nothing_twice(client: Client, gates: str, bench: Bench):
    run = client.start(gates)["run"]["run_id"]
    numbers: list[int] = []
    with client.stream(run) as stream:
        for name, number, _ in stream:
            assert number is not None
            numbers.append(number)
            if name == "step.started":
                break
    bench.open("a", "b")
    with client.stream(run, after=numbers[-1]) as stream:
        numbers += [number for _, number, _ in stream if number is not None]
    assert numbers == list(range(1, len(numbers) + 1))


def test_pages_of_events_follow_one_another(client: Client):
    run = client.start("hello", wait=30)["run"]["run_id"]
    numbers, after = [], 0
    while page := client.json("GET", f"/v1/runs/{run}/events?after={after}&limit=2")["events"]:
        numbers += [event["seq"] for event in page]
        after = numbers[-1]
    assert numbers == list(range(1, client.json("GET", f"/v1/runs/{run}")["last_seq"] + 1))
    client.problem("GET", f"/v1/runs/{run}/events?after=-1", status=422, code="ORC914")
    client.problem(
        "GET",
        f"/v1/runs/{run}/events",
        status=422,
        code="ORC914",
        headers={"accept": "text/event-stream", "last-event-id": "x"},
    )


def test_readers_of_one_run_cost_one_reader_of_the_journal(
    client: Client, gates: str, bench: Bench, orchestrator: orc.Orchestrator
):
    run = client.start(gates)["run"]["run_id"]
    bench.wait_for("a")
    reached, found = threading.Barrier(READERS + 1), []

    def read() -> None:
        numbers = []
        with client.stream(run) as stream:
            for name, number, _ in stream:
                numbers.append(number)
                if name == "step.started" and len(numbers) < 5:
                    reached.wait(PATIENCE)
        found.append(numbers)

    threads = [threading.Thread(target=read) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    reached.wait(PATIENCE)
    asked: list[str] = []
    engine = orchestrator.backend.store.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    bench.open("a")
    bench.wait_for("b")
    assert sum("FROM events" in statement for statement in asked) < READERS
    bench.open("b")
    for thread in threads:
        thread.join(PATIENCE)
    assert len(found) == READERS
    assert len({tuple(numbers) for numbers in found}) == 1


def test_each_event_is_encoded_once(client: Client, orchestrator: orc.Orchestrator):
    run = orchestrator.get_run(client.start("hello", wait=30)["run"]["run_id"])
    encoded = EncodedEvents()
    first, again = ([encoded.encode(event) for event in run.events(follow=False)] for _ in range(2))
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_a_silent_stream_has_a_heartbeat_and_ends_when_the_server_stops():
    async def main() -> list[bytes]:
        said: asyncio.Queue[bytes] = asyncio.Queue()
        stopping = asyncio.Event()

        async def blocks() -> AsyncIterator[bytes]:
            while True:
                yield await said.get()

        found = []
        async for block in with_heartbeat(blocks(), stopping, seconds=0.01):
            found.append(block)
            if len(found) == 2:
                said.put_nowait(b"block")
            elif block == b"block":
                stopping.set()
        return found

    found = asyncio.run(main())
    assert found[:2] == [HEARTBEAT, HEARTBEAT]
    assert found[-1] == b"block"


def test_a_reader_that_stops_reading_is_disconnected(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.01)

    async def main() -> list[str]:
        async def blocks() -> AsyncIterator[bytes]:
            while True:
                yield b"block"

        async def send(message: dict[str, str]) -> None:
            sent.append(message["type"])
            if len(sent) == 3:
                await asyncio.Event().wait()

        sent: list[str] = []
        await EventStream(blocks(), asyncio.Event()).stream_response(send)  # type: ignore[arg-type]
        return sent

    assert asyncio.run(main()) == ["http.response.start", "http.response.body", "http.response.body"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/runs/last/events"])
def test_a_stream_ends_when_its_token_is_revoked(
    server: tuple[Service, str],
    client: Client,
    gates: str,
    bench: Bench,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(credential_watch, "CHECK_SECONDS", 0.01)
    client.start(gates)
    bench.wait_for("a")
    reader = client_of(*server, "read", name="ci")
    with reader.http.stream("GET", path, headers={"accept": "text/event-stream"}) as response:
        pieces = response.iter_raw()
        assert next(pieces)
        revoke_token(server[0].credentials, "ci")
        with suppress(httpx.RemoteProtocolError):  # the stream has no regular end
            for _ in pieces:
                pass
    bench.open("a", "b")


def test_streams_last_until_runs_have_ended(server: tuple[Service, str], client: Client, gates: str, bench: Bench):
    run = client.start(gates)["run"]["run_id"]
    with client.stream(run) as stream:
        names = []
        for name, _, _ in stream:
            names.append(name)
            if name == "step.started":
                server[0].draining.set()
                client.json("POST", f"/v1/runs/{run}/cancel")
                bench.open("a")
    assert names[-1] == "end"
    client.problem("GET", "/readyz", status=503, code="ORC913")
    client.problem("POST", "/v1/runs", {"pipeline": "hello"}, status=503, code="ORC913")
