"""Going on with a run: answers, an edited pipeline, a step done again, another run that begins where it stands."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.journal import fold_all, status_of
from orchestrator.remedies import Answer
from tests.runtime.support import Bench, crash, ended, pipeline, states, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


@pytest.fixture
def client(bench: Bench, tmp_path: Path, url: str) -> Iterator[orc.Orchestrator]:
    """On both stores: a fork is written by the store."""
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools(), store=url) as client:
        yield client


ASKING = pipeline(
    step("before"),
    {"id": "count", "ask": {"prompt": "How many?", "type": "integer", "minimum": 1}, "dependencies": ["before"]},
    step("after", value="{{ count + 1 }}"),
    outputs={"after": "{{ after }}"},
)


def is_attempt(event: orc.Event) -> bool:
    """Whether an attempt of a tool call starts, and not a step that consists of others."""
    return event.type == "step.started" and "kind" not in event.data


def events_of(run: orc.Run, type: str) -> list[orc.Event]:
    return [event for event in run.events(follow=False) if event.type == type]


# --- answers


def test_a_run_that_waits_for_an_answer_says_so_and_goes_on_with_it(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(ASKING).start()
    status = run.wait(timeout=20)
    assert status.state == "waiting"
    assert [step.path for step in status.active] == ["count"]
    with pytest.raises(orc.RunPaused, match=r"waits for an answer to `count`: How many\?") as caught:
        run.result()
    assert caught.value.remedies == (Answer(run.id, "count"),)
    assert f'orc.get_run("{run.id}").answer("count", ...)' in str(caught.value)
    run.answer("count", 2)
    assert run.result(timeout=20).outputs == {"after": 3}
    assert bench.calls == ["before", "after"]


def test_an_answer_days_later_in_another_process_needs_only_the_store(
    client: orc.Orchestrator, bench: Bench, url: str
) -> None:
    run = client.compile(ASKING).start()
    run.wait(timeout=20)
    client.close()
    with orc.Orchestrator(directory=client.directory, store=url, tools=bench.tools()) as later:
        again = later.get_run(run.id)
        assert again.status().state == "waiting"
        again.answer("count", 4)
        assert later.resume(run.id).result(timeout=20).outputs == {"after": 5}
        [answered] = events_of(again, "step.answered")
        assert (answered.path, answered.data["value"]) == ("count", 4)
    assert bench.calls == ["before", "after"]


def test_who_follows_a_run_that_waits_is_let_go_when_nobody_executes_it(
    client: orc.Orchestrator, bench: Bench, url: str
) -> None:
    run = client.compile(ASKING).start()
    run.wait(timeout=20)
    client.close()
    with orc.Orchestrator(directory=client.directory, store=url, tools=bench.tools()) as other:
        again = other.get_run(run.id)
        assert again.wait(timeout=20).state == "waiting"
        assert "step.waiting" in [event.type for event in again.events()]


@pytest.mark.parametrize("value", ["two", 0, 1.5, None, [1], {"approved": True}])
def test_an_answer_that_does_not_fit_is_refused_and_not_recorded(client: orc.Orchestrator, value: Any) -> None:
    run = client.compile(ASKING).start()
    run.wait(timeout=20)
    with pytest.raises(orc.InputError) as caught:
        run.answer("count", value)
    assert caught.value.code == "ORC605"
    assert "How many?" in caught.value.message
    assert events_of(run, "step.answered") == []


@pytest.mark.parametrize(
    ("path", "help"), [("cuont", "did you mean `count`?"), ("elsewhere", "its open questions are `count`")]
)
def test_an_answer_to_what_nobody_asked_names_the_open_questions(
    client: orc.Orchestrator, path: str, help: str
) -> None:
    run = client.compile(ASKING).start()
    run.wait(timeout=20)
    with pytest.raises(orc.RunError) as caught:
        run.answer(path, 1)
    assert (caught.value.code, caught.value.help) == ("ORC606", help)


def test_one_question_is_answered_once(client: orc.Orchestrator) -> None:
    run = client.compile(ASKING).start()
    run.wait(timeout=20)
    run.answer("count", 1)
    run.wait(timeout=20)
    with pytest.raises(orc.RunError, match="ORC606"):
        run.answer("count", 2)


def test_the_other_steps_of_a_run_go_on_while_it_asks(client: orc.Orchestrator, bench: Bench) -> None:
    asking = pipeline({"id": "q", "ask": "Which?"}, step("long", "gate"), step("z", value="{{ q }}{{ long }}"))
    run = client.compile(asking).start()
    bench.wait_for("long")
    assert run.status().state == "running"
    run.answer("q", "this")
    bench.open("long")
    assert run.result(timeout=20).state == "succeeded"


APPROVAL = pipeline(
    step("draft", value="a draft"),
    {"id": "ok", "approve": {"title": "Publish?", "content": "{{ draft }}", "allow_editing": True}},
    outputs={"ok": "{{ ok }}", "content": "{{ ok.content }}"},
)


@pytest.mark.parametrize(
    ("answer", "outputs"),
    [
        (True, {"ok": True, "content": "a draft"}),
        (False, {"ok": False, "content": "a draft"}),
        ({"approved": True, "content": "better"}, {"ok": True, "content": "better"}),
    ],
)
def test_an_approval_is_given_refused_or_given_with_changes(
    client: orc.Orchestrator, answer: Any, outputs: dict[str, Any]
) -> None:
    run = client.compile(APPROVAL).start()
    run.wait(timeout=20)
    run.answer("ok", answer)
    assert run.result(timeout=20).outputs == outputs


@pytest.mark.anyio
async def test_the_async_twin_of_an_answer(client: orc.Orchestrator) -> None:
    run = await client.compile(ASKING).astart()
    assert (await run.wait_async(timeout=20)).state == "waiting"
    with pytest.raises(orc.RunPaused):
        await run.aresult()
    await run.aanswer("count", 6)
    assert (await run.aresult(timeout=20)).outputs == {"after": 7}
    assert (await run.asnapshot()).state == "succeeded"
    assert (await run.arecord()).pipeline == "test"


# --- an edited pipeline

FAILING = [step("a", value=1), step("b", value="{{ a + 1 }}"), step("c", "fail", "b")]


def test_a_run_goes_on_with_an_edited_pipeline_and_keeps_what_is_still_good(
    client: orc.Orchestrator, bench: Bench
) -> None:
    failed = ended(client.compile(pipeline(*FAILING)))
    edited = pipeline(*FAILING[:2], step("c", value="{{ b * 10 }}"), outputs={"c": "{{ c }}"})
    changes = client.changes(failed.run_id, edited)
    assert [(change.path, change.action, change.reason) for change in changes.steps] == [
        ("a", "keep", ""),
        ("b", "keep", ""),
        ("c", "run", "it had failed"),
    ]
    bench.calls.clear()
    run = client.resume(failed.run_id, pipeline=edited)
    assert run.id == failed.run_id
    assert run.result(timeout=20).outputs == {"c": 20}
    assert bench.calls == ["c"]


def test_a_run_that_has_succeeded_goes_on_with_an_edited_pipeline(client: orc.Orchestrator, bench: Bench) -> None:
    one = pipeline(step("a", value=1), step("b", value="{{ a + 1 }}"), step("x"), outputs={"b": "{{ b }}"})
    run_id = client.compile(one).run().run_id
    two = pipeline(step("a", value=1), step("b", value="{{ a + 2 }}"), step("n"), outputs={"b": "{{ b }}"})
    bench.calls.clear()
    run = client.resume(run_id, pipeline=two)
    assert run.result(timeout=20).outputs == {"b": 3}
    assert sorted(bench.calls) == ["b", "n"]
    assert states(run.snapshot()) == {"a": "succeeded", "b": "succeeded", "n": "succeeded"}
    status = run.status()
    assert (status.total, status.done, status.counts["succeeded"]) == (3, 3, 3)


def test_the_edited_pipeline_is_that_of_the_run_from_then_on(client: orc.Orchestrator, bench: Bench) -> None:
    failed = ended(client.compile(pipeline(*FAILING)))
    edited = pipeline(*FAILING[:2], step("c", "flaky", "b"), outputs={"c": "{{ b }}"})
    bench.failures["c"] = 1
    again = client.resume(failed.run_id, pipeline=edited)
    with pytest.raises(orc.RunFailed):
        again.result(timeout=20)
    bench.calls.clear()
    assert client.resume(failed.run_id).result(timeout=20).outputs == {"c": 2}
    assert bench.calls == ["c"]


def test_an_edited_pipeline_may_need_more_inputs(client: orc.Orchestrator) -> None:
    failed = ended(client.compile(pipeline(*FAILING)))
    more: dict[str, Any] = {"inputs": {"size": {"type": "integer"}, "tone": "calm"}, "outputs": {"c": "{{ c }}"}}
    edited = pipeline(*FAILING[:2], step("c", value="{{ tone }} {{ size }}"), **more)
    for attempt in (client.changes, lambda run_id, new: client.resume(run_id, pipeline=new)):
        with pytest.raises(orc.InputError) as caught:
            attempt(failed.run_id, edited)
        assert (caught.value.code, "`size`" in caught.value.message) == ("ORC810", True)
    run = client.resume(failed.run_id, pipeline=edited, inputs={"size": 3})
    assert run.result(timeout=20).outputs == {"c": "calm 3"}
    assert run.record().inputs == {"size": 3, "tone": "calm"}


def test_a_recorded_input_that_does_not_fit_the_edited_pipeline_is_refused(client: orc.Orchestrator) -> None:
    steps = [step("a", "fail", message="{{ topic }}")]
    failed = ended(client.compile(pipeline(*steps, inputs={"topic": "sun"})))
    with pytest.raises(orc.InputError, match="ORC810"):
        client.resume(failed.run_id, pipeline=pipeline(step("a", value="{{ topic }}"), inputs={"topic": 3}))
    assert client.get_run(failed.run_id).status().owner is None


def test_looking_at_the_changes_changes_nothing(client: orc.Orchestrator) -> None:
    result = client.compile(pipeline(step("a", value=1))).run()
    before = list(client.get_run(result.run_id).events(follow=False))
    changes = client.changes(result.run_id, pipeline(step("a", value=2)))
    assert changes.to_run == ("a",)
    assert list(client.get_run(result.run_id).events(follow=False)) == before


# --- a step done again


def test_a_step_is_done_again_with_what_depends_on_it(client: orc.Orchestrator, bench: Bench) -> None:
    steps = [step("a", "flaky"), step("b", value="{{ a }}"), step("c", "echo", "b"), step("other")]
    result = client.compile(pipeline(*steps)).run()
    bench.calls.clear()
    run = client.retry(result.run_id, "b")
    assert run.result(timeout=20).state == "succeeded"
    assert bench.calls == ["b", "c"]
    assert run.status().counts["succeeded"] == 4


LOOP = [
    {
        "id": "l",
        "for_each": {"range": 4},
        "steps": [step("x", value="{{ item }}"), step("y", value="{{ x * 10 }}"), step("z", value="{{ x + y }}")],
    },
    step("sum", value="{{ l | sum }}"),
    step("other"),
]


@pytest.mark.parametrize(
    ("path", "calls"),
    [
        ("l[2]", ["l[2].x", "l[2].y", "l[2].z", "sum"]),
        ("l[2].y", ["l[2].y", "l[2].z", "sum"]),
        ("l[0].z", ["l[0].z", "sum"]),
        ("l", [f"l[{index}].{step}" for index in range(4) for step in "xyz"] + ["sum"]),
        ("sum", ["sum"]),
    ],
)
def test_an_item_of_a_loop_or_a_step_in_it_is_done_again(client: orc.Orchestrator, path: str, calls: list[str]) -> None:
    result = client.compile(pipeline(*LOOP, outputs={"sum": "{{ sum }}"})).run()
    run = client.retry(result.run_id, path)
    assert run.result(timeout=20).outputs == {"sum": 66}
    starts = [event.path for event in run.events(after=result.log[-1].seq) if is_attempt(event)]
    assert sorted(starts) == sorted(calls)
    again = client.retry(result.run_id, path)
    assert again.result(timeout=20).outputs == {"sum": 66}


def test_the_rounds_after_one_that_is_done_again_are_done_again(client: orc.Orchestrator) -> None:
    counting = {
        "id": "w",
        "while": "n < 5",
        "initial": {"n": 0},
        "update": {"n": "{{ n + add }}"},
        "steps": [step("add", value=1)],
    }
    result = client.compile(pipeline(counting, outputs={"n": "{{ w.n }}"})).run()
    run = client.retry(result.run_id, "w[2]")
    assert run.result(timeout=20).outputs == {"n": 5}
    starts = [event.path for event in run.events(after=result.log[-1].seq) if is_attempt(event)]
    assert starts == ["w[2].add", "w[3].add", "w[4].add"]


@pytest.mark.parametrize(
    ("path", "help"),
    [
        ("summ", "did you mean `sum`?"),
        ("l[1].w", "its steps are `l[1].x`, `l[1].y`, `l[1].z`"),
        ("l[9]", "counted from 0"),
        ("sum[1]", "write `sum`"),
        ("sum.x", "`sum` contains no steps"),
        ("", "its steps are `l`, `sum`, `other`"),
    ],
)
def test_a_path_that_the_run_does_not_have_is_named(client: orc.Orchestrator, path: str, help: str) -> None:
    result = client.compile(pipeline(*LOOP)).run()
    for go_on in (client.retry, lambda run_id, step: client.fork(run_id, from_step=step)):
        with pytest.raises(orc.RunError) as caught:
            go_on(result.run_id, path)
        assert caught.value.code == "ORC809"
        assert help in (caught.value.help or "")
    assert client.get_run(result.run_id).status().state == "succeeded"


def test_a_run_whose_process_dies_between_forgetting_and_going_on_is_interrupted(client: orc.Orchestrator) -> None:
    result = client.compile(pipeline(step("a"), step("b", "echo", "a"))).run()
    settled = {"succeeded": 1, "skipped": 0, "failed": 0}
    revised = orc.Event(
        result.run_id, len(result.log) + 1, result.log[-1].at, "run.revised", data={"forget": ["b"], "settled": settled}
    )
    status = status_of(fold_all([*result.log, revised]), revised.at, interrupted=True)
    assert (status.state, status.done, status.counts["pending"]) == ("interrupted", 1, 1)


# --- another run


def test_a_fork_shares_what_does_not_depend_on_its_first_step(client: orc.Orchestrator, bench: Bench) -> None:
    steps = [step("a", value="x" * 200_000), step("b", value="{{ a }}{{ tail }}"), step("c", "fail", "b"), step("d")]
    failed = ended(client.compile(pipeline(*steps, inputs={"tail": "!"})))
    before = list(client.get_run(failed.run_id).events(follow=False))
    bench.calls.clear()
    run = client.fork(failed.run_id, from_step="b", inputs={"tail": "?"})
    with pytest.raises(orc.RunFailed) as caught:
        run.result(timeout=20)
    assert run.id != failed.run_id
    assert bench.calls == ["b", "c"]
    result = caught.value.result
    assert result.steps["a"].output == "x" * 200_000
    assert result.steps["b"].output[-1] == "?"
    assert list(client.get_run(failed.run_id).events(follow=False)) == before
    assert dict(run.record().forked_from or {}) == {"run_id": failed.run_id, "step": "b"}
    assert events_of(run, "run.warning") == []


def test_a_fork_is_numbered_like_any_run_and_can_be_resumed_and_forked(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["c"] = 2
    failed = ended(client.compile(pipeline(step("a"), step("b", "echo", "a"), step("c", "flaky", "b"))))
    fork = client.fork(failed.run_id, from_step="b")
    with pytest.raises(orc.RunFailed):
        fork.result(timeout=20)
    assert [event.seq for event in fork.events()] == list(range(1, fork.status().last_seq + 1))
    assert {event.run_id for event in fork.events()} == {fork.id}
    again = client.fork(fork.id, from_step="c")
    bench.calls.clear()
    assert states(client.resume(fork.id).result(timeout=20)) == dict.fromkeys("abc", "succeeded")
    assert states(again.result(timeout=20)) == dict.fromkeys("abc", "succeeded")
    assert "a" not in bench.calls


def test_a_kept_step_that_read_a_changed_input_is_warned_of(client: orc.Orchestrator) -> None:
    steps = [step("a", value="{{ topic }}"), step("b", value="{{ a }}")]
    result = client.compile(pipeline(*steps, inputs={"topic": "sun"}, outputs={"b": "{{ b }}"})).run()
    run = client.fork(result.run_id, from_step="b", inputs={"topic": "moon"})
    assert run.result(timeout=20).outputs == {"b": "sun"}
    [warning] = events_of(run, "run.warning")
    assert "`a` keeps its result" in warning.data["message"]
    assert "`topic`" in warning.data["message"]


def test_a_fork_of_a_run_that_is_being_executed_takes_what_has_ended(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a"), step("b", "gate", "a"), step("c", "echo", "a"))).start()
    bench.wait_for("b")
    while run.status().counts["succeeded"] < 2:
        run.events(after=run.status().last_seq)
    bench.calls.clear()
    fork = client.fork(run.id, from_step="c")
    bench.open("b")
    assert states(fork.result(timeout=20)) == dict.fromkeys("abc", "succeeded")
    assert run.result(timeout=20).state == "succeeded"
    assert sorted(bench.calls) == ["b", "c"]


def test_a_fork_shares_the_items_of_a_loop(client: orc.Orchestrator) -> None:
    result = client.compile(pipeline(*LOOP, outputs={"sum": "{{ sum }}"})).run()
    for path, count in (("sum", 1), ("l[1].z", 2), ("l[3]", 4)):
        run = client.fork(result.run_id, from_step=path)
        assert run.result(timeout=20).outputs == {"sum": 66}
        begun = next(event.seq for event in run.events() if event.type == "run.started")
        starts = [event.path for event in run.events(after=begun) if is_attempt(event)]
        assert len(starts) == count, path


def test_secrets_are_asked_again_and_kept_out_of_a_fork(client: orc.Orchestrator, bench: Bench) -> None:
    steps = [step("a", value="{{ key }}"), step("b", value="{{ a }}")]
    secret = {"inputs": {"key": {"type": "string", "secret": True}}}
    result = client.compile(pipeline(*steps, **secret, outputs={"same": "{{ b == key }}"})).run(key="hunter2hunter2")
    with pytest.raises(orc.InputError, match="ORC604"):
        client.fork(result.run_id, from_step="b")
    with pytest.raises(orc.InputError, match="ORC604"):
        client.retry(result.run_id, "b")
    for run in (
        client.fork(result.run_id, from_step="b", inputs={"key": "hunter2hunter2"}),
        client.retry(result.run_id, "b", inputs={"key": "hunter2hunter2"}),
    ):
        assert run.result(timeout=20).outputs == {"same": True}
        assert "hunter2" not in str([event.data for event in run.events()])


@pytest.mark.anyio
async def test_the_async_twins_of_going_on(client: orc.Orchestrator) -> None:
    result = await client.compile(pipeline(step("a", value=1), step("b", value="{{ a }}"))).arun()
    edited = pipeline(step("a", value=2), step("b", value="{{ a }}"))
    assert (await client.achanges(result.run_id, edited)).to_run == ("a", "b")
    for run in (
        await client.aretry(result.run_id, "b"),
        await client.afork(result.run_id, from_step="b"),
        await client.aresume(result.run_id, pipeline=edited),
    ):
        assert (await run.aresult(timeout=20)).state == "succeeded"


# --- over random pipelines


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, set[int], bool]]:
    """Steps, each with a constant, the earlier steps that it adds to it, and whether it is a loop over three items."""
    return [
        (
            draw(st.integers(0, 9)),
            draw(st.sets(st.integers(0, index - 1), max_size=2)) if index else set(),
            draw(st.booleans()),
        )
        for index in range(draw(st.integers(1, 6)))
    ]


def written(graph: list[tuple[int, set[int], bool]]) -> dict[str, Any]:
    steps = []
    for index, (constant, reads, loops) in enumerate(graph):
        value = " + ".join([str(constant), *(f"s{read}.sum" for read in sorted(reads))])
        if loops:
            inner = [step("x", value=f"{{{{ item * ({value}) }}}}"), step("y", value={"sum": "{{ x }}"})]
            loop = {"id": f"l{index}", "for_each": [1, 2, 3], "steps": inner, "max_parallel": 2}
            steps += [loop, step(f"s{index}", value={"sum": f"{{{{ l{index} | map(attribute='sum') | sum }}}}"})]
        else:
            steps.append(step(f"s{index}", value={"sum": f"{{{{ {value} }}}}"}))
    return pipeline(*steps, outputs={f"s{index}": f"{{{{ s{index}.sum }}}}" for index in range(len(graph))})


def after(graph: list[tuple[int, set[int], bool]], begun: set[int]) -> set[int]:
    """These steps and all that come of them."""
    for index, (_, reads, _) in enumerate(graph):
        if reads & begun:
            begun = begun | {index}
    return begun


@given(graphs(), st.data())
@settings(max_examples=25)
def test_going_back_leads_to_where_a_new_run_leads_and_calls_no_more_than_it_must(
    graph: list[tuple[int, set[int], bool]], data: st.DataObject
) -> None:
    bench = Bench()
    with TemporaryDirectory() as directory, orc.Orchestrator(directory=directory, tools=bench.tools()) as client:
        first = client.compile(written(graph)).run()

        def called(go_on: Callable[[], orc.Run]) -> tuple[Mapping[str, Any], set[int], list[str]]:
            bench.calls.clear()
            outputs = go_on().result(timeout=30).outputs
            names = [call.partition("[")[0] for call in bench.calls]
            return outputs, {int(name[1:]) for name in names}, sorted(bench.calls)

        chosen = data.draw(st.integers(0, len(graph) - 1))
        path = f"l{chosen}" if graph[chosen][2] else f"s{chosen}"
        if graph[chosen][2] and data.draw(st.booleans()):
            path = f"l{chosen}[{data.draw(st.integers(0, 2))}]" + data.draw(st.sampled_from(["", ".x", ".y"]))
        retried = called(lambda: client.retry(first.run_id, path))
        forked = called(lambda: client.fork(first.run_id, from_step=path))
        assert retried == forked
        assert retried[:2] == (first.outputs, after(graph, {chosen}))

        edited = data.draw(st.sets(st.integers(0, len(graph) - 1)))
        changed = [(constant + (index in edited), reads, loops) for index, (constant, reads, loops) in enumerate(graph)]
        fresh = client.compile(written(changed)).run()
        outputs, steps, _ = called(lambda: client.resume(first.run_id, pipeline=written(changed)))
        assert (outputs, steps) == (fresh.outputs, after(graph, edited))
        bench.calls.clear()
        again = client.resume(first.run_id, pipeline=written(changed)).result(timeout=30)
        assert (again.outputs, bench.calls) == (fresh.outputs, [])


@pytest.mark.parametrize(
    "step",
    [
        "for_each: [0, 1, 2], on_item_failure: continue, min_success: 1, tool: flaky",
        "wait_for: all, parallel: [{id: a, tool: flaky}, {id: b, tool: echo}]",
        "wait_for: 2, parallel: [{id: a, tool: flaky}, {id: b, tool: echo}, {id: c, tool: fail, dependencies: [a]}]",
    ],
)
def test_a_fork_tries_what_failed_again(client: orc.Orchestrator, bench: Bench, step: str) -> None:
    bench.failures = {"l[1]": 1, "l.a": 1}
    failed = ended(client.compile(f"steps: [{{id: o, tool: echo}}, {{id: l, {step}}}]"))
    assert failed.state == "failed"
    assert client.fork(failed.run_id, from_step="o").result().state == "succeeded"


# --- attempts


def attempts_of(run: orc.Run) -> list[int]:
    return [event.attempt for event in events_of(run, "step.started")]


@pytest.mark.parametrize("end", ["killed", "interrupted"])
def test_a_step_that_waits_for_its_next_attempt_still_does_in_the_next_process(
    client: orc.Orchestrator, bench: Bench, url: str, tmp_path: Path, end: str
) -> None:
    bench.failures["a"] = 5
    run = client.compile(pipeline(step("a", "flaky", retry={"max_attempts": 2, "delay": "30m"}))).start()
    until = next(event.data["until"] for event in run.events() if event.type == "step.waiting")
    if end == "killed":
        crash(client, run)
    else:
        client.close()
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools(), store=url) as other:
        again = other.resume(run.id)
        waits = (event for event in again.events() if event.type == "step.waiting")
        assert [next(waits).data["until"], next(waits).data["until"]] == [until, until]
        assert bench.calls == ["a"]
        again.cancel()
        assert attempts_of(again) == [1]


def test_attempts_that_failed_count_after_a_crash(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["a"] = 5
    source = pipeline(
        step("a", "flaky", retry={"max_attempts": 3, "delay": "100ms", "backoff": 30, "jitter": 0}),
        step("b", "hang"),
    )
    run = client.compile(source).start()
    next(event for event in run.events() if event.type == "step.waiting" and event.attempt == 2)
    crash(client, run)
    assert "failed at attempt 3: 3 failures left" in str(ended_with(client.resume(run.id)))
    assert attempts_of(run).count(3) == 1
    assert bench.calls.count("a") == 3


def ended_with(run: orc.Run) -> orc.RunFailed:
    with pytest.raises(orc.RunFailed) as caught:
        run.result(timeout=20)
    return caught.value


def test_an_attempt_that_was_under_way_is_made_again_under_its_number(client: orc.Orchestrator, bench: Bench) -> None:
    retry = {"max_attempts": 2, "delay": "10ms"}
    run = client.compile(pipeline(step("a", "stuck_second", retry=retry))).start()
    bench.wait_for("a")
    crash(client, run)
    ended_with(client.resume(run.id))
    assert attempts_of(run) == [1, 2, 2]


@pytest.mark.parametrize("inside", [False, True])
def test_a_fork_with_other_inputs_has_people_decide_again(client: orc.Orchestrator, inside: bool) -> None:
    gate: dict[str, Any] = {"id": "gate", "approve": {"title": "Pay?", "content": "{{ amount }}"}}
    if inside:
        gate = {"id": "gate", "steps": [{**gate, "id": "ask"}]}
    steps = [
        gate,
        {"id": "pay", "tool": "echo", "parameters": {"value": "{{ amount }} {{ note }}"}, "dependencies": ["gate"]},
    ]
    path = "gate.ask" if inside else "gate"
    pipeline = client.compile(
        {"inputs": {"amount": {"type": "integer"}, "note": "a"}, "steps": steps, "outputs": {"p": "{{ pay }}"}}
    )
    run = pipeline.start(amount=10)
    run.wait(timeout=20)
    run.answer(path, True)
    assert run.result(timeout=20).outputs == {"p": "10 a"}
    same = client.fork(run.id, from_step="pay", inputs={"note": "b"})
    assert same.result(timeout=20).outputs == {"p": "10 b"}
    other = client.fork(run.id, from_step="pay", inputs={"amount": 1_000_000})
    assert other.wait(timeout=20).state == "waiting"
    assert [step.path for step in other.status().active if step.question] == [path]
