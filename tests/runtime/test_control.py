"""Pause, resume and cancel; leases; taking a run up where another process left it."""

import getpass
import socket
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.journal import Command, Owner, Store
from orchestrator.remedies import GrantAgain, StoreKey
from tests.runtime.support import PATIENCE, Bench, ended, pipeline, states, step

CHAIN = pipeline(step("a", "gate"), step("b", "gate", "a"), step("c", "echo", "b"))


def test_a_paused_run_starts_nothing_new_until_it_is_resumed(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(CHAIN).start()
    bench.wait_for("a")
    run.pause()
    assert run.status().state == "paused"
    assert [step.path for step in run.status().running] == ["a"]
    bench.open("a")
    rested = run.wait()
    assert (rested.state, rested.counts["succeeded"], bench.calls) == ("paused", 1, ["a"])
    with pytest.raises(orc.RunPaused):
        run.result()
    bench.open("b")
    run.resume()
    assert run.result().state == "succeeded"
    types = [event.type for event in run.events()]
    assert types.count("run.paused") == types.count("run.resumed") == types.count("run.started") == 1


def test_cancelling_stops_what_runs(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a", "hang"), step("b", "echo", "a"))).start()
    bench.wait_for("a")
    run.cancel(reason="not needed")
    with pytest.raises(orc.RunCancelled) as cancelled:
        run.result()
    assert bench.stopped["a"].is_set()
    assert states(cancelled.value.result) == {"a": "cancelled", "b": "pending"}
    last = cancelled.value.result.log[-1]
    assert (last.type, last.data["reason"]) == ("run.cancelled", "not needed")
    run.cancel()  # once more does no harm
    with pytest.raises(orc.RunNotResumable):
        run.pause()


def test_a_cancelled_run_can_be_resumed(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a"), step("b", "gate", "a"))).start()
    bench.wait_for("b")
    run.cancel()
    bench.open("b")
    assert run.wait().state == "cancelled"
    run.resume()
    assert run.result().state == "succeeded"
    assert bench.calls == ["a", "b", "b"]


def test_every_command_is_recorded_with_who_gave_it(client: orc.Orchestrator, bench: Bench) -> None:
    bench.open("a", "b")
    question = {"id": "q", "ask": "Sure?", "depends_on": ["b"]}
    run = client.compile(pipeline(step("a", "gate"), step("b", "gate", "a"), question)).start()
    run.wait()
    run.answer("q", "yes")
    run.wait()
    client.retry(run.id, "b").wait()
    fork = client.fork(run.id, from_step="b")
    fork.pause()
    fork.resume()
    fork.cancel()
    fork.wait()
    fork.resume()
    by = {(event.type, event.data.get("by")) for each in (run, fork) for event in each.events(follow=False)}
    user = getpass.getuser()
    commands = ("run.paused", "run.resumed", "run.cancelled", "run.started", "run.revised", "step.answered")
    assert {(type, user) for type in commands} <= by
    assert {who for type, who in by if type in commands} == {user}


@pytest.mark.parametrize("state", ["running", "paused", "queued"])
def test_inputs_for_a_run_whose_process_lives_are_refused_and_not_ignored(
    client: orc.Orchestrator, bench: Bench, state: str
) -> None:
    limited = client.compile({"concurrency": {"max": 1}, **pipeline({"id": "a", "tool": "gate"})})
    runs = [limited.start() for _ in range(2 if state == "queued" else 1)]
    bench.wait_for("a")
    if state == "paused":
        runs[-1].pause()
    with pytest.raises(orc.RunOwned, match="`pin` cannot be given now") as refused:
        client.resume(runs[-1].id, inputs={"pin": "1234"})
    assert refused.value.code == "ORC803"
    client.resume(runs[-1].id)
    for run in reversed(runs):
        run.cancel()
        assert run.wait(timeout=PATIENCE).state == "cancelled"


def test_a_paused_run_can_be_cancelled(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(CHAIN).start()
    bench.wait_for("a")
    run.pause()
    bench.open("a")
    run.wait()
    run.cancel()
    assert run.wait().state == "cancelled"


def test_resume_runs_only_what_had_not_succeeded(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["b"] = 1
    plan = pipeline(
        step("skipped", condition="false", on_false="a"),
        step("between"),
        step("a", value={"n": 1}),
        step("handled", "fail", "a", on_failure={"value": 5}),
        step("b", "flaky", "a", "handled", value="{{ a.n + handled }}"),
        step("c", value="{{ b }} {{ skipped.status }} {{ between.status }} {{ handled.error.message }}"),
        outputs={"c": "{{ c }}"},
    )
    failed = ended(client.compile(plan))
    assert (failed.state, bench.calls) == ("failed", ["a", "handled", "b"])
    result = client.resume(failed.run_id).result()
    assert result.outputs == {"c": "6 skipped skipped it broke"}
    assert bench.calls == ["a", "handled", "b", "b", "c"]


def test_a_run_that_succeeded_is_not_resumed(client: orc.Orchestrator) -> None:
    result = client.compile(pipeline(step("a"))).run()
    with pytest.raises(orc.RunNotResumable):
        client.resume(result.run_id)


def test_a_run_whose_tools_have_changed_is_not_resumed(client: orc.Orchestrator, bench: Bench, tmp_path: Path) -> None:
    failed = ended(client.compile(pipeline(step("a", "fail"))))
    with orc.Orchestrator(directory=tmp_path) as other, pytest.raises(orc.RunNotResumable, match="fail"):
        other.resume(failed.run_id)


def test_a_run_whose_pipeline_does_not_compile_any_more_says_how_to_go_on(
    client: orc.Orchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GROQ_API_KEY", "k")
    asks = {"id": "b", "prompt": "Hi", "model": "groq:openai/gpt-oss-20b", "dependencies": ["a"]}
    failed = ended(client.compile(pipeline(step("a", "fail"), asks)))
    monkeypatch.delenv("GROQ_API_KEY")
    with pytest.raises(orc.RunNotResumable, match="no API key for Groq") as refused:
        client.resume(failed.run_id)
    assert (refused.value.help, refused.value.remedies) == ("set GROQ_API_KEY", (StoreKey("groq"),))
    monkeypatch.setenv("GROQ_API_KEY", "k")
    with orc.Orchestrator(directory=tmp_path) as other, pytest.raises(orc.RunNotResumable) as refused:
        other.resume(failed.run_id)
    assert refused.value.help == "give its tools again"
    [remedy] = refused.value.remedies
    assert isinstance(remedy, GrantAgain)
    assert remedy.tools


def test_closing_interrupts_and_another_goes_on(client: orc.Orchestrator, bench: Bench, tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as other:
        run = other.compile(pipeline(step("a"), step("b", "hang", "a"))).start()
        bench.wait_for("b")
    assert bench.stopped["b"].is_set()
    assert client.get_run(run.id).status().state == "interrupted"
    with pytest.raises(orc.RunError) as interrupted:
        client.get_run(run.id).result()
    assert interrupted.value.code == "ORC808"
    bench.entered["b"].clear()
    again = client.resume("last")
    bench.wait_for("b")
    assert bench.calls == ["a", "b", "b"]
    again.cancel()
    assert again.wait().state == "cancelled"


def test_a_live_run_is_owned(client: orc.Orchestrator, bench: Bench, tmp_path: Path) -> None:
    run = client.compile(CHAIN).start()
    bench.wait_for("a")
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as other, pytest.raises(orc.RunOwned):
        other.resume(run.id)
    bench.open("a", "b")
    run.result()


def test_another_client_controls_a_run_through_the_store(
    client: orc.Orchestrator, bench: Bench, tmp_path: Path
) -> None:
    run = client.compile(CHAIN).start()
    bench.wait_for("a")
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as other:
        seen = other.get_run(run.id)
        seen.pause()
        assert next(event for event in seen.events() if event.type == "run.paused")
        bench.open("a")
        assert seen.wait().state == "paused"
        seen.resume()
        assert next(event for event in seen.events() if event.type == "run.resumed")
        bench.wait_for("b")
        seen.cancel(reason="from afar")
        assert next(event for event in seen.events() if event.type == "run.cancelled").data["reason"] == "from afar"
        assert seen.status().state == "cancelled"
    bench.open("b")
    assert run.wait().state == "cancelled"


def abandoned(client: orc.Orchestrator, bench: Bench) -> str:
    """A run that its owner left in the middle."""
    with orc.Orchestrator(directory=client.directory, tools=bench.tools()) as other:
        run = other.compile(CHAIN).start()
        bench.wait_for("a")
    bench.open("a")
    return run.id


def test_a_run_without_owner_is_cancelled_on_the_spot(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.get_run(abandoned(client, bench))
    run.cancel(reason="left behind")
    assert run.status().state == "cancelled"


def test_a_run_without_owner_is_paused_on_the_spot(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.get_run(abandoned(client, bench))
    run.pause()
    assert run.wait().state == "paused"
    bench.open("b")
    run.resume()
    assert run.result().state == "succeeded"


def test_a_command_for_an_earlier_owner_does_not_stop_a_later_one(client: orc.Orchestrator, bench: Bench) -> None:
    run_id = abandoned(client, bench)
    with Store.open(client.store_url) as store:
        store.send(run_id, Command("cancel", {}, "somebody"))
    bench.open("b")
    assert client.resume(run_id).result().state == "succeeded"


def test_losing_the_lease_stops_the_work(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a", "gate"), step("b", "hang"), step("c", "echo", "a"))).start()
    bench.wait_for("a", "b")
    with Store.open(client.store_url) as store:
        with store.database.write() as connection:
            connection.exec_driver_sql("update runs set lease_until = 0")
        store.acquire(run.id, Owner.current("thief"))
    bench.open("a")
    with pytest.raises(orc.LeaseLost):
        run.wait()
    assert bench.stopped["b"].is_set()
    assert "c" not in bench.calls


def test_a_step_whose_next_attempt_waits_for_a_place_is_cancelled(tmp_path: Path, bench: Bench) -> None:
    text = "steps: [{id: f, tool: fail, retry: {max_attempts: 2, delay: 0}}, {id: g, tool: hang}]"
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools(), max_parallel=1) as client:
        run = client.compile(text).start()
        bench.wait_for("g")
        run.cancel()
        assert run.wait(timeout=PATIENCE).state == "cancelled"
    assert bench.calls == ["f", "g"]


def test_cancelling_closes_the_connection_of_a_request(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        permissions = orc.Permissions(directory=tmp_path, allow_hosts=(f"127.0.0.1:{port}",))
        with orc.Orchestrator(directory=tmp_path, permissions=permissions) as client:
            url = f"http://127.0.0.1:{port}/"
            call = {"id": "page", "tool": "http", "action": "get", "parameters": {"url": url}}
            run = client.compile(pipeline(call)).start()
            server.settimeout(PATIENCE)
            connection, _ = server.accept()
            with connection:
                connection.settimeout(PATIENCE)
                assert connection.recv(65536)
                run.cancel()
                assert connection.recv(65536) == b""  # the other side has closed
            assert run.wait(timeout=PATIENCE).state == "cancelled"
