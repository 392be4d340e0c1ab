"""What becomes of each step, and of the run: conditions, skips, retries, timeouts, failures, jumps."""

import asyncio
import gc
import threading
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.plan.serialization import plan_data, shared_plan_data
from orchestrator.remedies import Resume
from orchestrator.runtime.host import garbage
from tests.runtime.support import PATIENCE, Bench, ended, pipeline, states, step

NO_WAIT = {"max_attempts": 3, "delay": 0}


def test_a_step_starts_when_its_own_dependencies_have_ended(client: orc.Orchestrator, bench: Bench) -> None:
    # `b` waits for `a` alone. That `slow`, of the same layer as `a`, is still running does not matter.
    run = client.compile(pipeline(step("slow", "gate"), step("a"), step("b", "gate", "a"))).start()
    bench.wait_for("slow", "b")
    bench.open("slow", "b")
    assert run.result().state == "succeeded"


def test_values_flow_along_references(client: orc.Orchestrator) -> None:
    result = client.compile(
        pipeline(
            step("a", value={"n": 2, "list": [1, 2]}),
            step("b", value="{{ a.n + 1 }}"),
            step("c", value="{{ a.list }} and {{ b }}"),
            outputs={"n": "{{ b }}", "text": "{{ c }}", "whole": "{{ a }}"},
        )
    ).run()
    assert result.outputs == {"n": 3, "text": "[1, 2] and 3", "whole": {"n": 2, "list": [1, 2]}}


def test_max_parallel_holds_exactly(client: orc.Orchestrator, bench: Bench) -> None:
    steps = [step(f"s{n}") for n in range(20)]
    client.compile(pipeline(*steps)).with_options(max_parallel=3).run()
    assert bench.most_running == 3


def test_a_step_that_must_wait_for_a_place_is_pending(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a", "gate"), step("b"))).with_options(max_parallel=1).start()
    bench.wait_for("a")
    assert run.status().counts["pending"] == 1
    bench.open("a")
    assert run.result().steps["b"].state == "succeeded"


def test_a_false_condition_skips_and_the_rest_goes_on(client: orc.Orchestrator, bench: Bench) -> None:
    result = client.compile(
        pipeline(
            step("a", condition="1 > 2"),
            step("b", "echo", "a", value="{{ a is none }} {{ a.status }} {{ a.result }} {{ a.x.y | default('-') }}"),
            outputs={"b": "{{ b }}", "a": "{{ a }}"},
        )
    ).run()
    assert states(result) == {"a": "skipped", "b": "succeeded"}
    assert result.steps["a"].reason == "condition"
    assert result.outputs == {"b": "true skipped  -", "a": None}
    assert bench.calls == ["b"]


def test_a_failure_ends_the_run_and_stops_its_siblings(client: orc.Orchestrator, bench: Bench) -> None:
    plan = pipeline(step("slow", "hang"), step("go", "gate"), step("bad", "fail", "go"), step("after", "echo", "bad"))
    run = client.compile(plan).start()
    bench.wait_for("slow", "go")
    bench.open("go")
    with pytest.raises(orc.RunFailed) as failed:
        run.result()
    assert bench.stopped["slow"].is_set()
    assert states(failed.value.result) == {"slow": "cancelled", "go": "succeeded", "bad": "failed", "after": "pending"}
    assert (failed.value.step, failed.value.attempt, failed.value.code) == ("bad", 1, "ORC805")
    assert "it broke" in failed.value.message
    assert failed.value.remedies == (Resume(run.id),)
    assert f'continue with: orc.resume("{run.id}")' in str(failed.value)


def test_continue_goes_on_with_null(client: orc.Orchestrator) -> None:
    run = client.compile(
        pipeline(
            step("bad", "fail", on_failure="continue"),
            step("b", value="{{ bad }}|{{ bad.status }}|{{ bad.error.code }}|{{ bad.success }}"),
            outputs={"b": "{{ b }}"},
        )
    ).start()
    assert run.result().outputs == {"b": "|failed|ORC701|false"}
    assert run.status().failures == ("bad",)
    assert run.status().state == "succeeded"


def test_a_fallback_value_takes_the_place_of_the_result(client: orc.Orchestrator) -> None:
    result = client.compile(
        pipeline(
            step("a", value="plan"),
            step("bad", "fail", "a", on_failure={"value": {"from": "{{ a }} b"}}),
            outputs={"out": "{{ bad }}", "from": "{{ bad.from }}"},
        )
    ).run()
    assert result.outputs == {"out": {"from": "plan b"}, "from": "plan b"}
    assert result.steps["bad"].state == "failed"


def test_a_failure_can_jump(client: orc.Orchestrator, bench: Bench) -> None:
    result = client.compile(
        pipeline(
            step("bad", "fail", on_failure="rescue"),
            step("b", value="{{ bad }}"),
            step("c", "echo", "b"),
            step("rescue", value="{{ bad.error.message }}"),
            outputs={"out": "{{ rescue }}"},
        )
    ).run()
    assert states(result) == {"bad": "failed", "b": "skipped", "c": "skipped", "rescue": "succeeded"}
    assert result.outputs == {"out": "it broke"}
    assert result.steps["b"].reason == "jump"


@pytest.mark.parametrize(("condition", "skipped"), [("true", ["b"]), ("false", ["a", "b", "c"])])
def test_success_and_a_false_condition_can_jump(condition: str, skipped: list[str], client: orc.Orchestrator) -> None:
    result = client.compile(
        pipeline(
            step("a", condition=condition, on_success="c", on_false="d"), step("b"), step("c"), step("d", value="end")
        )
    ).run()
    assert [path for path, state in states(result).items() if state == "skipped"] == skipped


def test_a_failed_attempt_is_made_again(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["a"] = 2
    result = client.compile(pipeline(step("a", "flaky", retry=NO_WAIT, value=1), outputs={"a": "{{ a }}"})).run()
    assert (result.outputs, result.steps["a"].attempts, len(bench.calls)) == ({"a": 1}, 3, 3)


def test_an_error_that_cannot_be_retried_is_not(client: orc.Orchestrator, bench: Bench) -> None:
    result = ended(client.compile(pipeline(step("a", "fail", retry=NO_WAIT, retryable=False))))
    assert (result.steps["a"].attempts, len(bench.calls)) == (1, 1)


def test_a_step_that_waits_for_its_next_attempt_takes_no_place(client: orc.Orchestrator, bench: Bench) -> None:
    # With one place only, `b` could never be started if the waiting `a` held it.
    bench.failures["a"] = 1
    plan = pipeline(step("a", "flaky", retry={"max_attempts": 2, "delay": 3600, "max_delay": 3600}), step("b", "gate"))
    run = client.compile(plan).with_options(max_parallel=1).start()
    bench.wait_for("b")
    waiting = [one for one in run.status().active if one.state == "waiting"]
    assert [one.path for one in waiting] == ["a"]
    run.cancel(reason="enough")
    bench.open("b")
    assert run.wait().state == "cancelled"


def test_a_timeout_stops_a_coroutine(client: orc.Orchestrator, bench: Bench) -> None:
    result = ended(client.compile(pipeline(step("a", "hang", timeout=0.01))))
    assert bench.stopped["a"].is_set()
    assert result.error is not None
    assert (result.error["code"], result.error["type"], result.error["step"]) == ("ORC702", "StepTimeout", "a")
    assert "0.01 s" in result.error["message"]


def test_a_timeout_abandons_a_thread_and_says_so(client: orc.Orchestrator, bench: Bench) -> None:
    result = ended(client.compile(pipeline(step("a", "gate", timeout=0.01))))
    assert result.state == "failed"
    assert "abandoned" in result.steps["a"].warnings[0]
    bench.open("a")


def test_a_timeout_is_a_failure_like_any_other(client: orc.Orchestrator) -> None:
    result = client.compile(
        pipeline(step("a", "hang", timeout=0.01, retry=NO_WAIT, on_failure={"value": 7}), outputs={"a": "{{ a }}"})
    ).run()
    assert (result.outputs, result.steps["a"].attempts) == ({"a": 7}, 3)


def test_a_run_has_a_timeout_too(client: orc.Orchestrator, bench: Bench) -> None:
    result = ended(client.compile(pipeline(step("a", "hang"))).with_options(timeout=0.05))
    assert result.error is not None
    assert (result.state, result.error["code"]) == ("failed", "ORC819")
    assert bench.stopped["a"].is_set()


def test_an_expression_that_fails_is_a_failure_of_its_step(client: orc.Orchestrator) -> None:
    result = ended(client.compile(pipeline(step("a", value={"x": 1}), step("b", value="{{ a.y + 1 }}"))))
    assert result.error is not None
    assert (result.error["code"], result.error["step"]) == ("ORC704", "b")


def test_an_output_that_fails_names_itself(client: orc.Orchestrator) -> None:
    result = ended(client.compile(pipeline(step("a", value={"x": 1}), outputs={"y": "{{ a.y + 1 }}"})))
    assert result.error is not None
    assert result.state == "failed"
    assert "output `y`" in result.error["message"]
    assert states(result) == {"a": "succeeded"}


def test_a_tool_cannot_change_the_result_of_another_step(bench: Bench, client: orc.Orchestrator) -> None:
    @orc.tool
    async def spoil(items: list[int]) -> int:
        items.append(99)
        items.sort()
        return len(items)

    with orc.Orchestrator(directory=client.directory, tools=[*bench.tools(), spoil]) as other:
        result = other.compile(
            pipeline(step("a", value=[3, 1]), step("b", "spoil", items="{{ a }}"), outputs={"a": "{{ a }}"})
        ).run()
    assert result.outputs == {"a": [3, 1]}


def test_progress_shows_in_the_status(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a", "report", fraction=0.4, message="page 4 of 10"), step("b"))).start()
    bench.wait_for("a")
    reported = threading.Event()
    for event in run.events():
        if event.type == "step.progress":
            reported.set()
            break
    assert reported.wait(PATIENCE)
    active = run.status().active[0]
    assert (active.path, active.fraction, active.message) == ("a", 0.4, "page 4 of 10")
    bench.open("a")
    assert run.wait().progress == 1.0


def test_a_run_without_steps_left_succeeds(client: orc.Orchestrator) -> None:
    result = client.compile(pipeline(*[step(f"s{n}", condition="false") for n in range(50)])).run()
    assert set(states(result).values()) == {"skipped"}


def test_the_name_of_a_step_stands_for_its_primary_value(client: orc.Orchestrator, bench: Bench) -> None:
    @orc.tool(primary="text")
    def page() -> dict[str, object]:
        return {"text": "hello", "words": 1}

    with orc.Orchestrator(directory=client.directory, tools=[page]) as other:
        result = other.compile(
            pipeline(
                step("p", "page"),
                outputs={
                    "name": "{{ p }}",
                    "words": "{{ p.words }}",
                    "result": "{{ p.result }}",
                    "below": "{{ p.result.words }}",
                    "whole": "{{ p.outputs }}",
                    "as": "{{ steps.p }}",
                },
            )
        ).run()
    whole = {"text": "hello", "words": 1}
    values = {"name": "hello", "words": 1, "as": "hello", "result": "hello", "below": 1}
    assert result.outputs == {**values, "whole": whole}


def test_a_run_reads_one_time_and_its_own_id(client: orc.Orchestrator) -> None:
    run = client.compile(
        pipeline(step("a", value="{{ now() }}"), outputs={"a": "{{ a }}", "now": "{{ now() }}", "id": "{{ run.id }}"})
    ).start()
    outputs = run.result().outputs
    assert outputs["a"] == outputs["now"]
    assert outputs["id"] == run.id


def test_variables_may_read_inputs_and_each_other(client: orc.Orchestrator) -> None:
    result = client.compile(
        pipeline(
            step("a", value="{{ greeting }}"),
            inputs={"name": "Ann"},
            variables={"who": "{{ name | upper }}", "greeting": "Hello {{ who }}"},
            outputs={"a": "{{ a }}"},
        )
    ).run(name="Bob")
    assert result.outputs == {"a": "Hello BOB"}


def test_the_garbage_collector_looks_less_often_only_while_runs_execute(tmp_path: Path) -> None:
    seen: list[int] = []

    @orc.tool
    async def look() -> None:
        seen.append(gc.get_threshold()[0])

    before = gc.get_threshold()
    with orc.Orchestrator(directory=tmp_path, tools=[look]) as client:
        asyncio.run(client.compile({"steps": [{"id": "a", "tool": "look"}]}).arun())
    assert (seen, gc.get_threshold()) == ([garbage.THRESHOLD], before)


def test_what_the_caller_has_set_for_the_garbage_collector_stays() -> None:
    before = gc.get_threshold()
    try:
        for own in (garbage.THRESHOLD + 1, 0):
            gc.set_threshold(own)
            garbage.run_begins()
            assert gc.get_threshold()[0] == own
            garbage.run_ends()
            assert gc.get_threshold()[0] == own
    finally:
        gc.set_threshold(*before)


def test_the_runs_of_a_pipeline_share_what_they_record_of_its_plan(client: orc.Orchestrator) -> None:
    plans = [client.compile(pipeline(step("a"))).plan for _ in range(2)]
    assert shared_plan_data(plans[0]) is shared_plan_data(plans[0])
    assert shared_plan_data(plans[0]) is not shared_plan_data(plans[1])
    assert shared_plan_data(plans[0]) == plan_data(plans[0])
