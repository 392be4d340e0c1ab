"""`switch`, groups, `parallel`, called pipelines, `finally` and handlers of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from tests.runtime.support import PATIENCE, Bench, ended, states

if TYPE_CHECKING:
    from pathlib import Path


def run(client: orc.Orchestrator, text: str, **inputs: Any) -> orc.Result:
    return ended(client.compile(text), **inputs)


# --- switch


SWITCH = """
inputs: {kind: {required: false}}
steps:
  - id: route
    switch: "{{ kind }}"
    cases:
      letter:
        - {id: stamp, tool: echo, parameters: {value: s}}
        - {id: send, tool: echo, parameters: {value: "{{ stamp }}ent"}}
      "2": {tool: echo, parameters: {value: two}}
      "true": [{id: yes_, tool: echo, parameters: {value: indeed}}]
    %s
outputs: {value: "{{ route }}", case: "{{ route.case }}"}
"""


@pytest.mark.parametrize(
    ("kind", "value", "case", "paths"),
    [
        ("letter", "sent", "letter", {"route", "route.stamp", "route.send"}),
        (2, "two", "2", {"route", "route.2"}),
        (True, "indeed", "true", {"route", "route.yes_"}),
        ("else", None, None, {"route"}),
        (None, None, None, {"route"}),
    ],
)
def test_a_switch_takes_the_case_that_its_value_names(
    client: orc.Orchestrator, kind: Any, value: Any, case: str | None, paths: set[str]
) -> None:
    result = run(client, (SWITCH % "").replace('"2": {tool', '"2": {id: "_2", tool'), kind=kind)
    assert result.outputs == {"value": value, "case": case}
    assert set(states(result)) == {path.replace("route.2", "route._2") for path in paths}
    assert set(states(result).values()) == {"succeeded"}


def test_a_switch_takes_its_default_when_no_case_fits(client: orc.Orchestrator) -> None:
    text = SWITCH % "default: [{id: other, tool: echo, parameters: {value: rest}}]"
    result = run(client, text.replace('"2": {tool', '"2": {id: "_2", tool'), kind="else")
    assert result.outputs["value"] == "rest"


def test_a_single_step_of_a_case_is_named_after_it(client: orc.Orchestrator) -> None:
    result = run(
        client,
        "inputs: {kind: {default: draft}}\n"
        "steps: [{id: r, switch: '{{ kind }}', cases: {draft: {tool: echo, parameters: {value: 1}}}}]",
    )
    assert set(states(result)) == {"r", "r.draft"}


# --- groups and parallel


def test_a_group_shares_a_condition_and_has_the_value_of_its_last_step(client: orc.Orchestrator, bench: Bench) -> None:
    text = """
    inputs: {on: {type: boolean}}
    steps:
      - id: review
        condition: "on"
        steps:
          - {id: draft, tool: echo, parameters: {value: d}}
          - {id: check, tool: echo, parameters: {value: "{{ draft }}!"}}
      - {id: after, tool: echo, parameters: {value: "{{ review.draft | default('none', true) }}"}}
    outputs: {value: "{{ review }}", after: "{{ after }}"}
    """
    assert run(client, text, on=True).outputs == {"value": "d!", "after": "d"}
    bench.calls.clear()
    result = run(client, text, on=False)
    assert result.outputs == {"value": None, "after": "none"}
    assert bench.calls == ["after"]
    assert states(result) == {"review": "skipped", "after": "succeeded"}


def test_steps_of_a_group_run_side_by_side_as_their_references_allow(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile("steps: [{id: g, steps: [{id: x, tool: gate}, {id: y, tool: gate}]}]").start()
    bench.wait_for("g.x", "g.y")
    bench.open("g.x", "g.y")
    assert run.result().state == "succeeded"


def test_parallel_gives_all_values_by_id(client: orc.Orchestrator, bench: Bench) -> None:
    text = "steps: [{id: p, parallel: %s}]\noutputs: {all: '{{ p }}', one: '{{ p.x }}'}"
    for form in (
        "[{id: x, tool: echo, parameters: {value: 1}}, {id: y, tool: echo, parameters: {value: 2}}]",
        "{x: {tool: echo, parameters: {value: 1}}, y: {tool: echo, parameters: {value: 2}}}",
    ):
        assert run(client, text % form).outputs == {"all": {"x": 1, "y": 2}, "one": 1}


@pytest.mark.parametrize(
    ("wait_for", "open_", "expected"),
    [("any", ["y"], {"x": None, "y": 2, "z": None}), ("2", ["z", "x"], {"x": 1, "y": None, "z": 3})],
)
def test_the_rest_is_cancelled_when_enough_have_succeeded(
    client: orc.Orchestrator, bench: Bench, wait_for: str, open_: list[str], expected: dict[str, Any]
) -> None:
    branches = [
        f"{{id: {id}, tool: gate, parameters: {{value: {n}}}}}" if id in open_ else f"{{id: {id}, tool: hang}}"
        for n, id in enumerate("xyz", 1)
    ]
    run = client.compile(
        f"steps: [{{id: p, wait_for: {wait_for}, parallel: [{', '.join(branches)}]}}]\noutputs: {{p: '{{{{ p }}}}'}}"
    ).start()
    bench.wait_for("p.x", "p.y", "p.z")
    bench.open(*[f"p.{id}" for id in open_])
    result = run.result()
    assert result.outputs == {"p": expected}
    for id, value in expected.items():
        assert states(result)[f"p.{id}"] == ("succeeded" if value else "cancelled")
        assert bench.stopped[f"p.{id}"].is_set() is (value is None)


def test_a_branch_that_fails_is_borne_while_enough_can_still_succeed(client: orc.Orchestrator) -> None:
    result = run(
        client,
        "steps: [{id: p, wait_for: any, parallel: [{id: x, tool: fail}, {id: y, tool: echo, dependencies: [x], "
        "condition: 'x.status == \"failed\"', parameters: {value: 2}}]}]\noutputs: {p: '{{ p }}'}",
    )
    assert (result.state, states(result)["p.x"]) in (("succeeded", "failed"), ("failed", "failed"))


def test_too_many_failed_branches_fail_the_group_and_stop_the_rest(client: orc.Orchestrator, bench: Bench) -> None:
    result = run(
        client,
        "steps: [{id: p, wait_for: 2, parallel: [{id: x, tool: fail}, {id: y, tool: fail}, {id: z, tool: hang}]}]",
    )
    assert result.error is not None
    assert (result.state, result.error["code"], result.error["step"]) == ("failed", "ORC717", "p")
    assert states(result)["p.z"] in ("cancelled", "pending") or "p.z" not in states(result)


def test_a_failure_stops_the_other_branches_of_its_group(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(
        "steps: [{id: p, on_failure: continue, parallel: [{id: h, tool: hang}, {id: g, tool: gate}, "
        "{id: f, tool: fail, dependencies: [g]}]}, {id: after, tool: echo, parameters: {value: '{{ p.status }}'}}]\n"
        "outputs: {after: '{{ after }}'}"
    ).start()
    bench.wait_for("p.h", "p.g")
    bench.open("p.g")
    result = run.result()
    assert bench.stopped["p.h"].is_set()
    assert result.outputs == {"after": "failed"}
    assert (states(result)["p"], states(result)["p.f"], states(result)["p.h"]) == ("failed", "failed", "cancelled")


@pytest.mark.parametrize("kind", ["steps", "parallel"])
def test_the_timeout_of_a_group_is_for_all_of_it(client: orc.Orchestrator, bench: Bench, kind: str) -> None:
    result = run(
        client,
        f"steps: [{{id: g, timeout: 0.05, on_failure: {{value: late}}, {kind}: "
        "[{id: x, tool: echo}, {id: y, tool: hang, dependencies: [x]}]}]\noutputs: {g: '{{ g }}'}",
    )
    assert result.outputs == {"g": "late"}
    assert bench.stopped["g.y"].is_set()
    assert result.steps["g"].error["code"] == "ORC702"
    assert states(result) == {"g": "failed", "g.x": "succeeded", "g.y": "cancelled"}


def test_jumps_stay_within_their_block(client: orc.Orchestrator) -> None:
    result = run(
        client,
        """
        steps:
          - id: g
            steps:
              - {id: x, tool: echo, on_success: z}
              - {id: y, tool: echo}
              - {id: z, tool: echo, parameters: {value: end}}
          - {id: after, tool: echo}
        """,
    )
    assert states(result)["g.y"] == "skipped"
    assert (states(result)["g"], states(result)["after"]) == ("succeeded", "succeeded")


# --- called pipelines


def test_a_called_pipeline_has_its_own_names_and_gives_its_outputs(client: orc.Orchestrator, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(
        """
        inputs: {topic: {type: string}, n: {type: integer, default: 2}}
        variables: {twice: "{{ topic }}{{ topic }}"}
        steps: [{id: a, tool: echo, parameters: {value: "{{ twice }}{{ n }}"}}]
        outputs: {text: "{{ a }}", size: "{{ a | length }}"}
        """
    )
    result = run(
        client,
        """
        steps:
          - {id: a, tool: echo, parameters: {value: mine}}
          - {id: sub, pipeline: ./other.yaml, inputs: {topic: "{{ a }}"}}
          - {id: b, tool: echo, parameters: {value: "{{ a }} {{ sub.text }} {{ sub.size }}"}}
        outputs: {b: "{{ b }}", sub: "{{ sub }}"}
        """,
    )
    assert result.outputs == {"b": "mine mineminé2 9".replace("é", "e"), "sub": {"text": "minemine2", "size": 9}}
    assert set(states(result)) == {"a", "sub", "sub.a", "b"}


def test_an_input_that_does_not_fit_fails_the_step_that_calls(client: orc.Orchestrator, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(
        "inputs: {n: {type: integer, minimum: 1}}\nsteps: [{id: a, tool: echo, parameters: {value: '{{ n }}'}}]"
    )
    result = run(
        client,
        "inputs: {given: {}}\nsteps: [{id: s, pipeline: ./other.yaml, inputs: {n: '{{ given }}'}}]",
        given=0,
    )
    assert result.error is not None
    assert (result.state, result.error["step"]) == ("failed", "s")
    assert "`n`" in result.error["message"]


def test_a_failure_in_a_called_pipeline_is_named_by_its_path_and_mended_there(
    client: orc.Orchestrator, bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "other.yaml").write_text("steps: [{id: a, tool: echo}, {id: f, tool: flaky, dependencies: [a]}]")
    bench.failures["s.f"] = 1
    failed = run(client, "steps: [{id: s, pipeline: ./other.yaml}]")
    assert failed.error is not None
    assert failed.error["step"] == "s.f"
    assert client.resume(failed.run_id).result().state == "succeeded"
    assert bench.calls == ["s.a", "s.f", "s.f"]


def test_a_pipeline_may_call_itself_as_deep_as_is_said(client: orc.Orchestrator, tmp_path: Path, bench: Bench) -> None:
    count = tmp_path / "count.yaml"
    text = """
    inputs: {n: {type: integer}}
    steps:
      - {id: one, tool: echo, parameters: {value: "{{ n }}"}}
      - {id: rest, condition: n > 1, pipeline: ./count.yaml, max_depth: 3, inputs: {n: "{{ n - 1 }}"}}
    outputs: {total: "{{ one + (rest.total | default(0, true)) }}"}
    """
    count.write_text(text)
    assert ended(client.compile(count), n=3).outputs == {"total": 6}
    assert bench.calls == ["one", "rest.one", "rest.rest.one"]
    result = ended(client.compile(count), n=9)
    assert result.error is not None
    assert (result.state, result.error["code"]) == ("failed", "ORC715")


# --- finally


FINALLY = """
steps:
  - {id: a, tool: %s}
finally:
  - id: cleanup
    tool: echo
    parameters: {value: "{{ run.state }}|{{ error.message if error }}|{{ error.step if error }}"}
"""


@pytest.mark.parametrize(
    ("tool", "state", "seen"), [("echo", "succeeded", "succeeded||"), ("fail", "failed", "failed|it broke|a")]
)
def test_finally_runs_whether_the_run_succeeded_or_failed(
    client: orc.Orchestrator, tool: str, state: str, seen: str
) -> None:
    result = run(client, FINALLY % tool)
    assert result.state == state
    assert result.steps["finally.cleanup"].output == seen


def test_finally_runs_after_a_cancellation(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(FINALLY % "hang").start()
    bench.wait_for("a")
    run.cancel(reason="enough")
    assert run.wait().state == "cancelled"
    assert bench.stopped["a"].is_set()
    assert run.snapshot().steps["finally.cleanup"].output.startswith("cancelled|")


def test_a_run_that_is_cancelled_within_finally_can_go_on_with_it(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile("steps: [{id: a, tool: echo}]\nfinally: [{id: x, tool: gate}]").start()
    bench.wait_for("finally.x")
    run.cancel()
    assert run.wait().state == "cancelled"
    bench.open("finally.x")
    run.resume()
    assert run.result().state == "succeeded"
    assert bench.calls == ["a", "finally.x", "finally.x"]


def test_a_failure_within_finally_hides_no_earlier_one(client: orc.Orchestrator) -> None:
    text = "steps: [{id: a, tool: %s}]\nfinally: [{id: f, tool: fail, parameters: {message: later}}]"
    result = run(client, text % "fail")
    assert result.error is not None
    assert (result.state, result.error["step"], result.error["message"]) == ("failed", "a", "it broke")
    result = run(client, text % "echo")
    assert result.error is not None
    assert (result.state, result.error["step"]) == ("failed", "finally.f")


def test_finally_runs_again_after_a_resume(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["a"] = 1
    failed = run(client, FINALLY % "flaky")
    result = client.resume(failed.run_id).result()
    assert bench.calls == ["a", "finally.cleanup", "a", "finally.cleanup"]
    assert result.steps["finally.cleanup"].output == "succeeded||"


# --- handlers


def handled(client: orc.Orchestrator, on_error: str, *, tool: str = "fail", more: str = "") -> orc.Result:
    return run(
        client,
        f"steps:\n  - id: a\n    tool: {tool}\n    {more}\n    on_error: {on_error}\n"
        "outputs: {a: '{{ a }}', status: '{{ a.status }}'}\n",
    )


@pytest.mark.parametrize(
    ("handlers", "value"),
    [
        ("{fallback_value: 1}", 1),
        ("{value: 2}", 2),
        ("[{error_types: [ValueError], fallback_value: 1}, {fallback_value: 2}]", 2),
        ("[{error_types: [ValueError, StepError], fallback_value: 1}, {fallback_value: 2}]", 1),
        ("[{error_types: [ORC701], fallback_value: 1}]", 1),
        ("[{error_patterns: ['^broke'], fallback_value: 1}, {error_patterns: ['br.ke$'], fallback_value: 2}]", 2),
        ("[{error_types: [StepError], error_patterns: [nothing], fallback_value: 1}, {fallback_value: 2}]", 2),
        (
            "{tool: echo, parameters: {value: '{{ error.type }} {{ error.step }} {{ error.attempts }}'}}",
            "StepError a 1",
        ),
        (
            "{steps: [{id: x, tool: echo, parameters: {value: '{{ error.message }}'}}, "
            "{id: y, tool: echo, parameters: {value: '{{ x }}!'}}]}",
            "it broke!",
        ),
        ("{tool: echo, parameters: {value: 1}, fallback_value: 'instead of {{ error.code }}'}", "instead of ORC701"),
    ],
)
def test_the_first_handler_that_matches_deals_with_the_error(
    client: orc.Orchestrator, handlers: str, value: Any
) -> None:
    result = handled(client, handlers)
    assert result.outputs == {"a": value, "status": "failed"}
    assert states(result)["a"] == "failed"


def test_no_error_pattern_can_hang_a_run(tmp_path: Path) -> None:
    @orc.tool
    async def bad() -> None:
        raise orc.StepError("a" * 60 + "!")

    with orc.Orchestrator(directory=tmp_path, tools=[bad]) as client:
        handlers = "[{error_patterns: ['(a+)+$'], fallback_value: 1}, {error_patterns: ['(a+)+!$'], fallback_value: 2}]"
        assert handled(client, handlers, tool="bad").outputs["a"] == 2


def test_the_steps_of_a_handler_have_paths_below_it(client: orc.Orchestrator, bench: Bench) -> None:
    result = handled(client, "[{error_types: [OSError], fallback_value: 0}, {tool: echo}]")
    assert bench.calls == ["a", "a.on_error[1].handle"]
    assert states(result)["a.on_error[1].handle"] == "succeeded"


def test_an_error_that_no_handler_matches_is_left_to_on_failure(client: orc.Orchestrator) -> None:
    handlers = "[{error_types: [OSError], fallback_value: 0}]"
    assert handled(client, handlers, more="on_failure: {value: 3}").outputs["a"] == 3
    assert handled(client, handlers).state == "failed"


def test_a_handler_that_fails_leaves_the_error_to_on_failure(client: orc.Orchestrator) -> None:
    failing = "{tool: fail, parameters: {message: worse}}"
    assert handled(client, failing, more="on_failure: {value: 3}").outputs["a"] == 3
    assert handled(client, failing).state == "failed"


def test_a_handler_can_try_again_before_anything_else(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["a"] = 2
    result = handled(client, "{retry: {max_attempts: 3, delay: 0}, fallback_value: 9}", tool="flaky")
    assert (result.outputs["a"], states(result)["a"], result.steps["a"].attempts) == (None, "succeeded", 3)


def test_a_text_names_the_step_to_go_on_with(client: orc.Orchestrator) -> None:
    result = run(
        client,
        """
        steps:
          - {id: a, tool: fail, on_error: rescue}
          - {id: b, tool: echo}
          - {id: rescue, tool: echo}
        """,
    )
    assert states(result) == {"a": "failed", "b": "skipped", "rescue": "succeeded"}


@pytest.mark.parametrize(
    "composite",
    [
        "for_each: [1], steps: [{id: f, tool: fail}]",
        "while: 'true', steps: [{id: f, tool: fail}]",
        "switch: '{{ run.id is defined }}', cases: {'true': [{id: f, tool: fail}]}",
        "steps: [{id: f, tool: fail}]",
        "parallel: [{id: f, tool: fail}]",
        "pipeline: ./failing.yaml",
    ],
)
def test_every_kind_of_step_can_have_handlers(client: orc.Orchestrator, tmp_path: Path, composite: str) -> None:
    (tmp_path / "failing.yaml").write_text("steps: [{id: f, tool: fail}]")
    result = run(
        client,
        f"steps: [{{id: s, {composite}, on_error: {{tool: echo, parameters: {{value: '{{{{ error.step }}}}'}}}}}}]\n"
        "outputs: {s: '{{ s }}'}",
    )
    assert result.state == "succeeded"
    assert str(result.outputs["s"]).startswith("s")
    assert states(result)["s.on_error[0].handle"] == "succeeded"


def test_a_handler_can_ask_a_person(client: orc.Orchestrator) -> None:
    run = client.compile("steps: [{id: a, tool: fail, on_error: {steps: [{id: q, ask: Well?}]}}]").start()
    assert run.wait(timeout=PATIENCE).state == "waiting"
    run.answer("a.on_error[0].q", "so be it")
    assert run.result().state == "succeeded"


def test_a_run_that_is_paused_within_a_handler_rests(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(
        "steps: [{id: a, tool: fail, on_error: {steps: [{id: x, tool: gate}, {id: y, tool: echo, dependencies: [x]}]}}]"
    ).start()
    bench.wait_for("a.on_error[0].x")
    run.pause()
    bench.open("a.on_error[0].x")
    assert run.wait(timeout=PATIENCE).state == "paused"
    run.resume()
    assert run.result().state == "succeeded"


def test_handlers_of_the_pipeline_are_told_and_the_run_has_failed_all_the_same(
    client: orc.Orchestrator, bench: Bench
) -> None:
    result = run(
        client,
        """
        steps: [{id: g, steps: [{id: a, tool: fail}]}]
        error_handlers:
          - {error_types: [OSError], tool: echo}
          - steps: [{id: notify, tool: echo, parameters: {value: "{{ error.step }}: {{ error.message }}"}}]
          - {tool: echo}
        finally: [{id: cleanup, tool: echo}]
        """,
    )
    assert result.state == "failed"
    assert result.steps["error_handlers[1].notify"].output == "g.a: it broke"
    assert bench.calls == ["g.a", "error_handlers[1].notify", "finally.cleanup"]


def test_a_group_that_failed_for_its_branches_tries_those_again(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures = {"p.a": 1, "p.b": 1}
    text = """
    steps:
      - id: p
        wait_for: 2
        parallel:
          - {id: a, tool: flaky}
          - {id: b, tool: flaky, dependencies: [a]}
          - {id: c, tool: fail, dependencies: [b]}
    """
    failed = run(client, text)
    assert (failed.error or {})["code"] == "ORC717"
    assert client.resume(failed.run_id).result().state == "succeeded"
    assert bench.calls == ["p.a", "p.b", "p.a", "p.b"]
