"""The client of a server: it gives what an orchestrator on the same store gives."""

import asyncio
import os
import pickle
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.client.address import ServerAddress
from orchestrator.config.server_token import token_file
from orchestrator.forecast.forecast import forecast_of
from orchestrator.server.access.tokens import add_token
from orchestrator.server.first_token import ensure_token
from orchestrator.server.service import Service
from tests.runtime.support import PATIENCE, Bench, pipeline, step
from tests.server.conftest import ASK, BROKEN, HELLO

Remote = orc.Client

LOOP = """\
steps:
  - {id: start, tool: echo, parameters: {value: {a: [1, 2.5, null, true]}}}
  - id: each
    for_each: "{{ range(12) }}"
    steps:
      - {id: say, tool: echo, parameters: {value: "{{ item }}"}}
  - {id: large, tool: echo, parameters: {value: "{{ 'x' * 40000 }}"}, depends_on: [each]}
  - {id: skipped, tool: echo, condition: "{{ false }}"}
outputs: {each: "{{ each }}", large: "{{ large }}", start: "{{ start }}"}
"""


@pytest.fixture
def remote(server: tuple[Service, str]) -> Iterator[Remote]:
    service, address = server
    with orc.connect(address, token=add_token(service.credentials, "remote", ["admin"])) as client:
        yield client


@pytest.fixture
def loop(project: Path) -> str:
    (project / "loop.yaml").write_text(LOOP)
    return "loop"


def test_an_offered_pipeline_is_run_by_its_name(remote: Remote):
    hello = remote.compile("hello")
    assert (hello.id, hello.name, hello.description) == ("hello", "Greeting", "Greets somebody.")
    assert {name: spec.type for name, spec in hello.inputs.items()} == {"name": "string", "pin": "string"}
    assert hello.inputs["pin"].secret
    assert hello.run(name="Ada").outputs == {"text": "Hello Ada"}
    assert remote.get_run("last").record().inputs["name"] == "Ada"


def test_a_text_a_file_and_a_mapping_are_sent(remote: Remote, tmp_path: Path):
    text = "id: sum\nsteps: [{id: a, tool: echo, parameters: {value: 4}}]\noutputs: {a: '{{ a }}'}\n"
    (tmp_path / "elsewhere.yaml").write_text(text)
    mapping = pipeline(step("a", value=4), outputs={"a": "{{ a }}"})
    for source in (text, tmp_path / "elsewhere.yaml", str(tmp_path / "elsewhere.yaml"), mapping):
        assert remote.compile(source).run().outputs == {"a": 4}


def test_a_pipeline_with_errors_has_the_same_diagnostics(
    remote: Remote, orchestrator: orc.Orchestrator, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project)
    with pytest.raises(orc.CompilationError) as here:
        orchestrator.compile("reports/broken.yaml")
    for source in ("reports/broken", Path("reports/broken.yaml")):
        with pytest.raises(orc.CompilationError) as there:
            remote.compile(source)
        assert there.value.code == here.value.code
        assert [_place(each) for each in there.value.diagnostics] == [_place(each) for each in here.value.diagnostics]
    assert str(there.value) == str(here.value)
    assert remote.check(BROKEN).diagnostics == orchestrator.check(BROKEN).diagnostics
    assert not remote.check("no-such.yaml").ok


def _place(found: orc.Diagnostic) -> tuple[Any, ...]:
    return (found.code, found.message, found.span, found.label, found.help, found.fix, found.remedies)


def test_what_is_read_of_a_run_is_what_the_store_has(
    remote: Remote, orchestrator: orc.Orchestrator, loop: str, monkeypatch: pytest.MonkeyPatch
):
    result = remote.compile(loop).run()
    there, here = remote.get_run(result.run_id), orchestrator.get_run(result.run_id)
    assert there.status() == here.status()
    assert there.record() == here.record()
    assert list(there.events(follow=False)) == list(here.events(follow=False))
    assert list(there.events()) == list(here.events(follow=False))
    assert there.snapshot().to_dict() == here.snapshot().to_dict() == result.to_dict()
    assert there.snapshot().to_markdown() == here.snapshot().to_markdown()
    assert list(result.log) == list(here.snapshot().log)
    assert there.graph("svg") == here.graph("svg")
    assert there.graph() == here.graph()
    assert there.report() == here.report()
    assert [there.why(path) for path in ("large", "skipped")] == [here.why(path) for path in ("large", "skipped")]
    assert there.snapshot().qc() == here.snapshot().qc()
    assert remote.list_runs() == orchestrator.list_runs()
    assert pickle.loads(pickle.dumps(result)).to_dict() == result.to_dict()


def test_more_runs_than_a_page_are_listed(
    remote: Remote, orchestrator: orc.Orchestrator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("orchestrator.client.client.MOST_PER_PAGE", 2)
    hello = orchestrator.compile({"id": "hello", "steps": [step("a")]}).with_options(labels=["x"])
    ids = [hello.run().run_id for _ in range(5)][::-1]
    assert [status.run_id for status in remote.list_runs(labels=["x"])] == ids
    assert [status.run_id for status in remote.list_runs(limit=3)] == ids[:3]
    assert [status.run_id for status in remote.list_runs(before=ids[2], state="succeeded")] == ids[3:]
    assert remote.list_runs(since=orchestrator.get_run(ids[1]).status().created_at, limit=9)[-1].run_id == ids[1]


def test_a_run_is_controlled(remote: Remote, project: Path, bench: Bench):
    (project / "gates.yaml").write_text("steps:\n  - {id: a, tool: gate}\n  - {id: b, tool: gate, depends_on: [a]}\n")
    run = remote.compile("gates").start()
    bench.wait_for("a")
    with pytest.raises(TimeoutError):
        run.wait(timeout=0.05)
    run.pause()
    bench.open("a")
    assert run.wait(timeout=PATIENCE).state == "paused"
    with pytest.raises(orc.RunPaused):
        run.result()
    run.resume()
    bench.wait_for("b")
    run.cancel(reason="too slow")
    status = run.wait(timeout=PATIENCE)
    assert (status.state, status.reason) == ("cancelled", "too slow")
    with pytest.raises(orc.RunCancelled) as stop:
        run.result()
    assert stop.value.result.steps["a"].state == "succeeded"
    bench.open("b")
    assert remote.resume(run.id).result().state == "succeeded"
    by = [event.data["by"] for event in run.events(follow=False) if event.type == "run.paused"]
    assert by == ["remote from 127.0.0.1"]


def test_a_question_is_answered(remote: Remote):
    run = remote.compile(ASK).start()
    assert run.wait(timeout=PATIENCE).state == "waiting"
    with pytest.raises(orc.InputError) as wrong:
        run.answer("review", "perhaps")
    assert wrong.value.code == "ORC605"
    run.answer("review", True)
    assert run.result().outputs == {"sent": True}


def test_a_step_is_retried_and_a_run_is_forked_and_edited(remote: Remote, orchestrator: orc.Orchestrator, bench: Bench):
    source = pipeline(step("a", value=1), step("b", "echo", "a", value="{{ a }}"), outputs={"b": "{{ b }}"})
    first = remote.compile(source).run()
    assert remote.retry(first.run_id, "b").result().outputs == {"b": 1}
    fork = remote.fork(first.run_id, from_step="b")
    assert fork.id != first.run_id
    assert fork.result().outputs == {"b": 1}
    assert fork.record().forked_from == {"run_id": first.run_id, "step": "b"}
    edited = pipeline(step("a", value=1), step("b", "echo", "a", value="{{ a + 1 }}"), outputs={"b": "{{ b }}"})
    changes = remote.changes(first.run_id, edited)
    assert changes == orchestrator.changes(first.run_id, edited)
    assert (changes.kept, changes.to_run) == (("a",), ("b",))
    assert remote.resume(first.run_id, pipeline=edited).result().outputs == {"b": 2}
    assert bench.calls == ["a", "b", "b", "b", "b"]


def test_the_failure_of_a_tool_has_its_traceback(remote: Remote, orchestrator: orc.Orchestrator):
    with pytest.raises(orc.RunFailed) as failed:
        remote.compile(pipeline(step("a", "fail", message="no luck"))).run()
    run = remote.get_run("last")
    with pytest.raises(orc.RunFailed) as here:
        orchestrator.get_run(run.id).result()
    assert _error(failed.value) == _error(here.value)
    assert (failed.value.step, failed.value.attempt) == (here.value.step, here.value.attempt)
    assert run.tracebacks() == orchestrator.get_run(run.id).tracebacks()


WRONG: dict[str, Callable[[Any], object]] = {
    "an unknown run": lambda client: client.get_run("1nosuchrun"),
    "an unknown state": lambda client: client.list_runs(state="faild"),
    "a limit that is no number": lambda client: client.list_runs(limit=0),
    "an input that is missing": lambda client: client.compile(
        pipeline(step("a"), inputs={"n": {"type": "integer"}})
    ).start(),
    "inputs that are wrong": lambda client: client.compile(
        pipeline(step("a"), inputs={"n": {"type": "integer"}})
    ).start(n="x", other=2),
    "an unknown step": lambda client: client.get_run("last").why("nosuch"),
    "no open question": lambda client: client.get_run("last").answer("a", True),
    "a retry of an unknown step": lambda client: client.retry("last", "nosuch"),
    "a fork from an unknown step": lambda client: client.fork("last", from_step="nosuch"),
    "a run that succeeded": lambda client: client.resume("last"),
    "a key for something else": lambda client: [
        client.compile(pipeline(step("a", value=value))).with_options(key="order-17").start() for value in (1, 2)
    ],
    "a refresh of a step without a cache": lambda client: (
        client.compile(pipeline(step("a"))).with_options(refresh=["a"]).start()
    ),
    "an unknown batch": lambda client: client.get_batch("1nosuchbatch"),
    "a budget that is no number": lambda client: client.compile(pipeline(step("a"))).with_options(
        budget=orc.Budget(usd=-1)
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_an_error_is_of_the_same_class_with_the_same_code_and_remedies(
    wrong: Callable[[Any], object], remote: Remote, orchestrator: orc.Orchestrator
):
    orchestrator.compile(pipeline(step("a"))).run()
    with pytest.raises(orc.OrchestratorError) as here:
        wrong(orchestrator)
    with pytest.raises(orc.OrchestratorError) as there:
        wrong(remote)
    expected, found = _error(here.value), _error(there.value)
    assert without_ids(found) == without_ids(expected)


def without_ids(value: Any) -> str:
    return re.sub(r"\b1[0-9a-hjkmnp-tv-z]{19}\b", "RUN", repr(value))


def _error(error: orc.OrchestratorError) -> dict[str, Any]:
    attributes = {name: value for name, value in vars(error).items() if name not in ("result", "status")}
    return {"type": type(error), **error.to_dict(), "attributes": attributes}


def test_a_run_that_another_process_owns_says_which(remote: Remote, project: Path, bench: Bench, url: str):
    run = remote.compile(pipeline(step("a", "gate"))).start()
    bench.wait_for("a")
    with orc.Orchestrator(store=url, directory=project, tools=bench.tools()) as other:
        with pytest.raises(orc.RunOwned) as here:
            other.retry(run.id, "a")
        with pytest.raises(orc.RunOwned) as there:
            remote.retry(run.id, "a")
    assert there.value.owner == here.value.owner == run.status().owner
    bench.open("a")
    run.wait()


def test_async_callers_on_any_loop_get_the_same(remote: Remote, loop: str):
    async def act() -> tuple[orc.Result, list[orc.Event], orc.RunStatus]:
        pipeline = await remote.acompile(loop)
        run = await pipeline.astart()
        events = [event async for event in run.aevents()]
        result = await run.aresult(timeout=PATIENCE)
        assert (await run.asnapshot()).to_dict() == result.to_dict()
        assert await run.wait_async() == await run.astatus()
        assert (await run.awhy("skipped")).state == "skipped"
        assert (await run.arecord()).run_id == (await remote.aget_run("last")).id == run.id
        return result, events, await run.astatus()

    for _ in range(2):
        result, events, status = asyncio.run(act())
        assert [event.seq for event in events if event.seq] == list(range(1, status.last_seq + 1))
        assert result.outputs["each"] == list(range(12))


def test_an_async_caller_that_is_cancelled_cancels_its_run(remote: Remote, bench: Bench):
    async def act() -> None:
        running = asyncio.create_task(remote.compile(pipeline(step("a", "hang"))).arun())
        await asyncio.to_thread(bench.wait_for, "a")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(act())
    assert remote.get_run("last").wait(timeout=PATIENCE).reason == "its caller was cancelled"


def test_a_value_that_is_not_json_is_refused_without_being_shown(remote: Remote):
    with pytest.raises(orc.InputError, match="the input `name` is not JSON data") as refused:
        remote.compile("hello").start(name=float("nan"), pin="sesame")
    assert "sesame" not in str(refused.value)


def test_a_closed_client_says_so(remote: Remote):
    run = remote.compile("hello").start()
    remote.close()
    with pytest.raises(orc.ConfigurationError, match="this client is closed"):
        run.status()
    remote.close()


def test_a_handle_cannot_be_pickled(remote: Remote):
    for handle in (remote, remote.compile("hello").start()):
        with pytest.raises(orc.ConfigurationError, match="cannot be pickled"):
            pickle.dumps(handle)


@pytest.mark.parametrize("url", ["runs.example.com", "ftp://host", "http://", "http://ada:secret@host", "http://h?x=1"])
def test_a_url_that_is_not_that_of_a_server_is_refused(url: str):
    with pytest.raises(orc.ConfigurationError) as refused:
        orc.connect(url)
    assert "secret" not in str(refused.value)


def test_the_first_token_is_found_and_never_sent_to_another_machine(
    server: tuple[Service, str], project: Path, monkeypatch: pytest.MonkeyPatch
):
    service, address = server
    ensure_token(service.credentials, project)
    assert token_file(project).stat().st_mode & 0o777 == 0o600
    (project / "orchestrator.toml").touch()
    monkeypatch.chdir(project)
    assert ServerAddress.of(address).token == token_file(project).read_text().strip()
    assert ServerAddress.of("https://runs.example.com").token is None
    assert ServerAddress.of("http://127.0.0.1.example.com:8420").token is None
    with orc.connect(address) as client:
        assert client.list_runs() == []


def test_a_token_without_a_scope_is_refused(server: tuple[Service, str]):
    service, address = server
    with orc.connect(address, token=add_token(service.credentials, "reader", ["read"])) as reader:
        hello = reader.compile("hello")
        with pytest.raises(orc.RequestError) as refused:
            hello.start()
    assert (refused.value.code, refused.value.status) == ("ORC912", 403)
    with orc.connect(address, token="orc_not_a_token") as stranger, pytest.raises(orc.RequestError) as refused:
        stranger.list_runs()
    assert refused.value.code == "ORC911"


def test_a_child_of_fork_connects_again(remote: Remote):
    remote.list_runs()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, str(len(remote.list_runs())).encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    os.close(writing)
    with os.fdopen(reading) as said:
        assert said.read() == "0"
    assert remote.list_runs() == []


def test_a_forecast_is_that_of_the_server(
    remote: Remote, orchestrator: orc.Orchestrator, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-forecast")  # nothing is asked of a model
    text = "budget: {usd: 1}\ninputs: {n: {type: integer}}\n"
    text += "steps: [{id: a, prompt: 'Say {{ n }}', model: openai:gpt-5-mini}]\n"
    (project / "paid.yaml").write_text(text)
    here = forecast_of(orchestrator.compile(project / "paid.yaml"), {"n": 3})
    for source in ("paid", text):
        there = remote.compile(source)
        assert there.forecast(n=3) == here
        assert there.budget == orc.Budget(usd=1)
        with pytest.raises(orc.InputError):
            there.forecast(n="three")
    assert remote.list_runs() == []


def test_triggers_are_commanded_through_the_client(remote: Remote, project: Path):
    trigger = "triggers: {nightly: {schedule: '@yearly', inputs: {name: Ada}}}\n"
    (project / "report.yaml").write_text(HELLO + trigger)
    (listed,) = remote.triggers()
    assert (listed.id, listed.kind, listed.ready, listed.firings) == ("report/nightly", "schedule", True, ())
    assert remote.pause_trigger("report/nightly").paused_by == "remote from 127.0.0.1"
    assert remote.get_trigger("report/nightly").next == ()
    assert remote.resume_trigger("report/nightly").paused_at is None
    fired = remote.fire_trigger("report/nightly", inputs={"name": "Grace"})
    assert fired.state == "due"
    run = _eventually(lambda: remote.get_run(fired.run_id))
    assert run.result().outputs == {"text": "Hello Grace"}
    with pytest.raises(orc.InputError):
        remote.fire_trigger("report/nightly", inputs={"nmae": "Grace"})
    with pytest.raises(orc.RequestError) as unknown:
        remote.get_trigger("report/nightyl")
    assert (unknown.value.code, unknown.value.help) == ("ORC919", "did you mean `report/nightly`?")


def _eventually(look: Callable[[], Any]) -> Any:
    """Return a run as soon as the server has started it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return look()
        except orc.RunNotFound:
            assert time.monotonic() < deadline
