"""The public face: what a caller can do with pipelines and runs, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from tests.runtime.support import Bench, ended, pipeline, states, step

SIMPLE = pipeline(step("a", value="{{ topic }}!"), inputs={"topic": "sun"}, outputs={"a": "{{ a }}"})


def test_a_compiled_pipeline_describes_itself(client: orc.Orchestrator) -> None:
    compiled = client.compile({**SIMPLE, "name": "Test", "description": "What it does"})
    assert (compiled.id, compiled.name, compiled.description) == ("test", "Test", "What it does")
    assert list(compiled.inputs) == ["topic"]
    assert list(compiled.outputs) == ["a"]
    assert [one.id for one in compiled.steps] == ["a"]
    assert "a" in compiled.graph()
    assert compiled.graph("svg").startswith("<svg")


def test_compiling_touches_nothing(client: orc.Orchestrator, tmp_path: Path) -> None:
    client.compile(SIMPLE)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_pipeline_is_reported_or_raised(client: orc.Orchestrator) -> None:
    wrong = pipeline(step("a", "ecko"), step("a", value="{{ b }}"))
    report = client.check(wrong)
    assert not report.ok
    with pytest.raises(orc.CompilationError) as caught:
        client.compile(wrong)
    assert caught.value.diagnostics == report.diagnostics
    assert client.check(SIMPLE).ok


def test_inputs_are_keywords_or_a_mapping_or_both(client: orc.Orchestrator) -> None:
    compiled = client.compile(SIMPLE)
    assert compiled.run().outputs == {"a": "sun!"}
    assert compiled.run(topic="moon").outputs == {"a": "moon!"}
    assert compiled.run({"topic": "mars"}).outputs == {"a": "mars!"}
    assert compiled.run({"topic": "mars"}, topic="venus").outputs == {"a": "venus!"}


def test_one_pipeline_is_run_by_many_threads(client: orc.Orchestrator) -> None:
    compiled = client.compile(SIMPLE)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(compiled.run(topic=str(n)).outputs["a"])) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [f"{n}!" for n in range(8)]


def test_runs_are_found_by_a_unique_beginning_or_as_the_last(client: orc.Orchestrator) -> None:
    first, second = (client.compile(SIMPLE).run() for _ in range(2))
    assert client.get_run("last").id == second.run_id
    assert client.get_run(first.run_id[:-1]).id == first.run_id
    assert [run.run_id for run in client.list_runs()] == [second.run_id, first.run_id]
    assert client.list_runs(state="failed") == []
    with pytest.raises(orc.RunNotFound):
        client.get_run("zzz")


def test_a_result_tells_the_whole_story(client: orc.Orchestrator) -> None:
    result = ended(client.compile(pipeline(step("a", value=[1, {"b": "c|d"}]), step("b", "fail", "a"))))
    data = result.to_dict()
    assert (data["state"], data["error"]["step"], data["steps"]["a"]["output"]) == ("failed", "b", [1, {"b": "c|d"}])
    assert [event.seq for event in result.log] == list(range(1, len(result.log) + 1))
    page = result.to_markdown()
    for words in (result.run_id, "failed", "it broke", "| `a` | succeeded | 1 |", "**step.failed** `b`"):
        assert words in page


def test_a_finished_run_gives_the_same_result_to_everybody(client: orc.Orchestrator, url: str) -> None:
    result = client.compile(SIMPLE).run()
    with orc.Orchestrator(store=url) as other:
        again = other.get_run(result.run_id).result()
    assert again.outputs == result.outputs
    assert again.to_dict() == result.to_dict()


def test_looking_makes_no_store(tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        assert client.list_runs() == []
        for look in (client.get_run, client.resume):
            with pytest.raises(orc.RunNotFound, match="no runs"):
                look("last")
    assert list(tmp_path.iterdir()) == []


def test_large_values_come_back_whole(client: orc.Orchestrator) -> None:
    result = client.compile(
        pipeline(step("a", value="{{ 'x' * 200000 }}"), step("b", value="{{ a }}y"), outputs={"b": "{{ b }}"})
    ).run()
    assert result.outputs["b"] == "x" * 200_000 + "y"
    assert result.steps["a"].output == "x" * 200_000


def test_waiting_has_a_limit(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a", "gate"))).start()
    bench.wait_for("a")
    with pytest.raises(TimeoutError):
        run.wait(timeout=0.01)
    with pytest.raises(TimeoutError):
        run.result(timeout=0)
    bench.open("a")
    assert run.wait(timeout=20).state == "succeeded"


def test_a_reader_can_leave_and_rejoin(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a"), step("b", "gate", "a"), step("c", "echo", "b"))).start()
    seen = []
    for event in run.events():
        seen.append(event)
        if (event.type, event.path) == ("step.started", "b"):
            break
    bench.open("b")
    seen += list(run.events(after=seen[-1].seq))
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].type == "run.succeeded"
    assert list(run.events(follow=False)) == seen


def test_options_make_another_pipeline(client: orc.Orchestrator) -> None:
    compiled = client.compile(SIMPLE)
    assert compiled.with_options(max_parallel=2) is not compiled
    with pytest.raises(orc.ConfigurationError, match="max_parallel"):
        compiled.with_options(max_parallel=0)


def test_a_closed_orchestrator_says_so(tmp_path: Path) -> None:
    client = orc.Orchestrator(directory=tmp_path)
    client.close()
    client.close()
    with pytest.raises(orc.ConfigurationError, match="closed"):
        client.list_runs()


def test_closing_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    with orc.Orchestrator(directory=tmp_path, tools=Bench().tools()) as client:
        client.compile(SIMPLE).run()
    gc.collect()
    left = {thread.name for thread in threading.enumerate()} - before
    assert {name for name in left if name.startswith("orchestrator-") and name != "orchestrator-tool"} == set()


def test_a_store_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    Path(tmp_path, "junk.db").write_bytes(b"\xff\xfe junk" * 1000)
    client = orc.Orchestrator(directory=tmp_path, store=f"sqlite:///{tmp_path}/junk.db")
    with client, pytest.raises(orc.StoreUnavailable) as caught:
        client.list_runs()
    assert caught.value.code in ("ORC811", "ORC813")


def test_ctrl_c_cancels_the_run(client: orc.Orchestrator, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(run: orc.Run, **_: Any) -> orc.Result:
        bench.wait_for("a")
        raise KeyboardInterrupt

    monkeypatch.setattr(orc.Run, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.compile(pipeline(step("a", "hang"))).run()
    assert bench.stopped["a"].is_set()
    assert client.get_run("last").status().state == "cancelled"


def test_a_blocking_call_inside_an_async_tool_is_refused(tmp_path: Path) -> None:
    @orc.tool
    async def own() -> Any:
        return inner.compile(pipeline(step("x", "log", message="hi"))).run().outputs

    with orc.Orchestrator(directory=tmp_path, tools=[own]) as inner:
        result = ended(inner.compile(pipeline(step("n", "own"))))
    assert result.error is not None
    assert "arun" in result.error["help"]


@pytest.mark.anyio
async def test_the_async_twins_run_on_the_callers_loop(client: orc.Orchestrator, bench: Bench) -> None:
    here = threading.get_ident()
    seen: list[int] = []

    @orc.tool
    async def where() -> None:
        seen.append(threading.get_ident())

    with orc.Orchestrator(directory=client.directory, tools=[where, *bench.tools()]) as other:
        await other.compile(pipeline(step("a", "where"))).arun()
        run = await other.compile(pipeline(step("a"), step("b", "gate", "a"))).astart()
        await asyncio.to_thread(bench.wait_for, "b")
        assert (await run.astatus()).counts["succeeded"] == 1
        await run.apause()
        assert (await run.astatus()).state == "paused"
        bench.open("b")
        assert (await run.wait_async()).state in ("paused", "succeeded")
        await run.aresume() if not (await run.astatus()).ended else None
        assert (await run.aresult()).state == "succeeded"
        types = [event.type async for event in run.aevents()]
    assert seen == [here]
    assert types[-1] == "run.succeeded"


@pytest.mark.anyio
async def test_cancelling_the_caller_cancels_the_run(client: orc.Orchestrator, bench: Bench) -> None:
    task = asyncio.create_task(client.compile(pipeline(step("a", "hang"))).arun())
    await asyncio.to_thread(bench.wait_for, "a")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.stopped["a"].is_set()
    assert client.get_run("last").status().state == "cancelled"


@pytest.mark.anyio
async def test_leaving_an_async_context_interrupts_its_runs_and_closes_it(tmp_path: Path, bench: Bench) -> None:
    async with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as client:
        run = await client.compile(pipeline(step("a"), step("b", "hang", "a"))).astart()
        await asyncio.to_thread(bench.wait_for, "b")
    assert client.closed
    with orc.Orchestrator(directory=tmp_path) as other:
        assert other.get_run(run.id).status().state == "interrupted"


def test_a_loop_that_ends_interrupts_its_runs(client: orc.Orchestrator, bench: Bench) -> None:
    async def leave() -> str:
        run = await client.compile(pipeline(step("a"), step("b", "hang", "a"))).astart()
        await asyncio.to_thread(bench.wait_for, "b")
        return run.id

    run = client.get_run(asyncio.run(leave()))
    assert run.status().state == "interrupted"
    assert states(run.snapshot()) == {"a": "succeeded", "b": "cancelled"}


@pytest.mark.anyio
async def test_many_runs_at_once(client: orc.Orchestrator, bench: Bench) -> None:
    compiled = client.compile(SIMPLE)
    results = await asyncio.gather(*(compiled.arun(topic=str(n)) for n in range(50)))
    assert [result.outputs["a"] for result in results] == [f"{n}!" for n in range(50)]


@pytest.mark.parametrize("name", ["greet.yaml", "my report.yml", "greet"])
def test_a_run_of_a_file_without_an_id_is_resumed(name: str, client: orc.Orchestrator, tmp_path: Path) -> None:
    steps = "steps: [{id: notes, action: filesystem.read, parameters: {path: notes.txt}}]"
    (tmp_path / name).write_text(steps + '\noutputs: {of: "{{ pipeline.id }}: {{ notes }}"}\n')
    compiled = client.compile(tmp_path / name)
    with pytest.raises(orc.RunFailed) as caught:
        compiled.run()
    (tmp_path / "notes.txt").write_text("hello")
    resumed = client.resume(caught.value.run_id or "")
    assert resumed.result().outputs == {"of": f"{compiled.id}: hello"}
