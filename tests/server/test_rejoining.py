"""A client on a bad network, and a server that is killed: no event is lost, none comes twice, no run starts twice."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.server.access.tokens import add_token
from orchestrator.server.service import Service
from tests.runtime.support import PATIENCE, Bench, pipeline, step
from tests.server.cutting_proxy import CuttingProxy, bad_network
from tests.server.support import ServerProcess
from tests.server.test_restart import PIPELINE, TOOLS

LONG = pipeline(
    step("start"), {"id": "each", "for_each": "{{ range(30) }}", "steps": [step("say", value="{{ item }}")]}
)


@pytest.fixture
def network(server: tuple[Service, str]) -> Iterator[CuttingProxy]:
    with bad_network(server[1]) as proxy:
        yield proxy


@pytest.fixture
def remote(server: tuple[Service, str], network: CuttingProxy) -> Iterator[orc.Client]:
    with orc.connect(network.url, token=add_token(server[0].credentials, "remote", ["admin"])) as client:
        client.list_runs()
        yield client


def numbers(events: list[orc.Event]) -> list[int]:
    return [event.seq for event in events if event.seq]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(1, 6_000), max_size=8), piece=st.sampled_from([7, 100, 65_536]), after=st.integers(0, 40)
)
def test_a_stream_has_the_events_of_the_journal_wherever_it_is_cut(
    remote: orc.Client, network: CuttingProxy, orchestrator: orc.Orchestrator, cuts: list[int], piece: int, after: int
):
    runs = orchestrator.list_runs(labels=["long"])
    run_id = runs[0].run_id if runs else orchestrator.compile(LONG).with_options(labels=["long"]).run().run_id
    recorded = list(orchestrator.get_run(run_id).events(after=after, follow=False))
    run = remote.get_run(run_id)
    network.cut()
    network.cut_after(cuts)
    network.send_pieces_of(piece)
    assert list(run.events(after=after)) == recorded


def test_a_live_stream_continues_while_its_connections_are_cut(
    remote: orc.Client, network: CuttingProxy, orchestrator: orc.Orchestrator, bench: Bench
):
    steps = [f"s{number}" for number in range(6)]
    chain = [step(name, "gate", *steps[max(0, at - 1) : at]) for at, name in enumerate(steps)]
    run = remote.compile(pipeline(*chain)).start()
    seen = []
    for event in run.events():
        seen.append(event)
        if event.type == "step.started":
            network.cut()
            bench.open(event.path)
    assert numbers(seen) == list(range(1, run.status().last_seq + 1))
    assert [event for event in seen if event.seq] == list(orchestrator.get_run(run.id).events(follow=False))


def test_a_lost_response_starts_no_second_run(remote: orc.Client, network: CuttingProxy):
    hello = remote.compile("hello")
    network.lose_response_to("/v1/runs")
    run = hello.start(name="Ada")
    assert run.result().outputs == {"text": "Hello Ada"}
    assert [status.run_id for status in remote.list_runs()] == [run.id]
    network.lose_response_to(f"/v1/runs/{run.id}/fork")
    fork = remote.fork(run.id, from_step="greet")
    assert fork.result().outputs == {"text": "Hello Ada"}
    assert [status.run_id for status in remote.list_runs()] == [fork.id, run.id]


def test_a_command_whose_response_is_lost_is_repeated_only_if_that_is_the_same(
    remote: orc.Client, network: CuttingProxy, bench: Bench
):
    run = remote.compile(pipeline(step("a", "gate"), step("b", "echo", "a"))).start()
    bench.wait_for("a")
    network.lose_response_to(f"/v1/runs/{run.id}/pause")
    run.pause()
    bench.open("a")
    assert run.wait(timeout=PATIENCE).state == "paused"
    network.lose_response_to(f"/v1/runs/{run.id}/resume")
    with pytest.raises(orc.ServerUnavailable) as lost:
        run.resume()
    assert lost.value.code == "ORC917"
    assert "may have been carried out" in str(lost.value)
    assert run.wait(timeout=PATIENCE).state == "succeeded"


def test_a_server_that_is_not_there_is_reported_at_once():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with orc.connect(f"http://127.0.0.1:{port}", patience=600) as client:
        with pytest.raises(orc.ServerUnavailable) as refused:
            client.list_runs()
        assert (refused.value.code, refused.value.url) == ("ORC917", f"http://127.0.0.1:{port}")


def test_what_is_not_a_server_of_ours_is_reported(server: tuple[Service, str]):
    with orc.connect(f"{server[1]}/elsewhere") as client, pytest.raises(orc.RequestError) as refused:
        client.list_runs()
    assert refused.value.status == 404


def test_patience_ends(server: tuple[Service, str], bench: Bench):
    with (
        bad_network(server[1]) as network,
        orc.connect(network.url, token=add_token(server[0].credentials, "x", ["admin"]), patience=0.3) as client,
    ):
        run = client.compile(pipeline(step("a", "gate"))).start()
        bench.wait_for("a")
        network.target = "http://127.0.0.1:9"
        network.cut()
        with pytest.raises(orc.ServerUnavailable):
            list(run.events())
        with pytest.raises(orc.ServerUnavailable):
            run.wait()
        network.target = server[1]
        bench.open("a")
        assert run.wait().state == "succeeded"


@pytest.fixture
def killable(tmp_path: Path) -> Path:
    (tmp_path / "lib.py").write_text(TOOLS)
    (tmp_path / "orchestrator.toml").write_text('tools = ["lib.py"]\n')
    (tmp_path / "notes.yaml").write_text(PIPELINE)
    return tmp_path


def test_a_reader_and_a_waiter_continue_over_a_server_that_is_killed_and_started_again(
    killable: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(killable)
    server = ServerProcess(killable)
    with bad_network(str(server.client.http.base_url)) as network, orc.connect(network.url) as client:
        run = client.compile("notes").start()
        seen: list[orc.Event] = []
        waiting = threading.Event()
        ended: list[orc.Result] = []

        def read() -> None:
            for event in run.events():
                seen.append(event)
                if event.type == "step.log":
                    waiting.set()

        def wait() -> None:
            ended.append(asyncio.run(run.aresult()))

        threads = [threading.Thread(target=work) for work in (read, wait)]
        for thread in threads:
            thread.start()
        assert waiting.wait(PATIENCE)
        server.kill()
        again = ServerProcess(killable)
        network.target = str(again.client.http.base_url)
        (killable / "open").touch()
        for thread in threads:
            thread.join()
        assert ended[0].state == "succeeded"
        assert numbers(seen) == list(range(1, run.status().last_seq + 1))
        assert [event for event in seen if event.seq] == list(run.events(follow=False))
        assert (killable / "notes.txt").read_text().split() == ["first", "last"]
    again.stop()
