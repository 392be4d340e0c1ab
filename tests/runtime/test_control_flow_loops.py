"""`for_each`, `while` and `until`: what they go over, in which order, how many at once, and what they give."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from tests.runtime.support import PATIENCE, Bench, crash, ended, states

if TYPE_CHECKING:
    from pathlib import Path


class Meeting:
    """A tool whose calls wait until `size` of them are there; `most` is how many there ever were."""

    def __init__(self, size: int) -> None:
        self.present = self.most = 0
        self.barrier = asyncio.Barrier(size)

    def tools(self) -> list[Any]:
        @orc.tool
        async def meet(value: Any = None) -> Any:
            self.present += 1
            self.most = max(self.most, self.present)
            async with asyncio.timeout(PATIENCE):
                await self.barrier.wait()
            for _ in range(20):  # whoever else may start does so now
                await asyncio.sleep(0)
            self.present -= 1
            return value

        return [meet]


def run(client: orc.Orchestrator, text: str, **inputs: Any) -> orc.Result:
    return ended(client.compile(text), **inputs)


@pytest.mark.parametrize("body", ["tool: meet", "steps: [{id: m, tool: meet}]"])
def test_max_parallel_of_a_loop_holds_exactly(tmp_path: Path, body: str) -> None:
    meeting = Meeting(3)
    with orc.Orchestrator(directory=tmp_path, tools=meeting.tools()) as client:
        text = f"steps: [{{id: l, for_each: {{range: 12}}, max_parallel: 3, {body}}}]"
        assert run(client, text).state == "succeeded"
    assert meeting.most == 3


def test_the_places_of_a_run_hold_across_all_items_of_nested_loops(tmp_path: Path) -> None:
    meeting = Meeting(4)
    text = """
    steps:
      - id: outer
        for_each: {range: 4}
        steps: [{id: inner, for_each: {range: 4}, max_parallel: 3, tool: meet}]
    """
    with orc.Orchestrator(directory=tmp_path, tools=meeting.tools(), max_parallel=4) as client:
        assert run(client, text).state == "succeeded"
    assert meeting.most == 4


def test_results_keep_the_order_of_the_items_whoever_ends_first(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(
        "steps: [{id: l, for_each: [a, b, c], tool: gate, parameters: {value: '{{ item }}{{ index }}'}}]\n"
        "outputs: {l: '{{ l }}'}"
    ).start()
    bench.wait_for("l[0]", "l[1]", "l[2]")
    for path in ("l[2]", "l[1]", "l[0]"):
        bench.open(path)
        next(event for event in run.events() if (event.type, event.path) == ("step.succeeded", path))
    assert run.result().outputs == {"l": ["a0", "b1", "c2"]}


@pytest.mark.parametrize(
    ("items", "value", "expected"),
    [
        ("[3, 4]", "{{ item }}", [3, 4]),
        ("'{{ given }}'", "{{ item }}", [7, 8]),
        ("'{{ object }}'", "{{ item }}", [{"key": "k", "value": 9}]),
        ("{a: 1, b: 2}", "{{ item.key }}={{ item.value }}", ["a=1", "b=2"]),
        ("{range: 3}", "{{ item }}", [0, 1, 2]),
        ("{range: [1, 4]}", "{{ item }}", [1, 2, 3]),
        ("{range: [5, 0, -2]}", "{{ item }}", [5, 3, 1]),
        ("{range: '{{ given | length }}'}", "{{ item }}", [0, 1]),
        ("{file: rows.jsonl}", "{{ item.n }}", [1, 2]),
        ("{file: rows.csv}", "{{ item.name }}", ["Ann", "Bob"]),
        ("{file: rows.txt}", "{{ item }}", ["one", "two"]),
        ("{file: rows.jsonl, format: text}", "{{ item }}", ['{"n": 1}', '{"n": 2}']),
        ("[]", "{{ item }}", []),
    ],
)
def test_a_loop_goes_over_every_form_of_items(
    client: orc.Orchestrator, tmp_path: Path, items: str, value: str, expected: list[Any]
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    (tmp_path / "rows.csv").write_text("name,age\nAnn,3\nBob,4\n")
    (tmp_path / "rows.txt").write_text("one\ntwo\n")
    result = run(
        client,
        f"""
        inputs: {{given: {{type: array, default: [7, 8]}}, object: {{type: object, default: {{k: 9}}}}}}
        steps: [{{id: l, for_each: {items}, tool: echo, parameters: {{value: "{value}"}}}}]
        outputs: {{l: "{{{{ l }}}}", count: "{{{{ l.count }}}}"}}
        """,
    )
    assert result.outputs == {"l": expected, "count": len(expected)}


def test_items_know_their_place_under_any_accepted_spelling(client: orc.Orchestrator) -> None:
    result = run(
        client,
        """
        steps:
          - id: l
            for_each: [a, b]
            tool: echo
            parameters: {value: ["{{ $item }}", "{{ $index }}", "{{ is_first }}", "{{ is_last }}"]}
          - {id: m, for_each: [a], as: letter, tool: echo, parameters: {value: "{{ letter }}"}}
        outputs: {l: "{{ l }}", m: "{{ m }}"}
        """,
    )
    assert result.outputs == {"l": [["a", 0, True, False], ["b", 1, False, True]], "m": ["a"]}


def test_the_value_of_an_item_is_that_of_its_last_step_or_what_is_collected(client: orc.Orchestrator) -> None:
    body = (
        "[{id: x, tool: echo, parameters: {value: '{{ item }}'}}, {id: y, tool: echo, parameters: {value: 'y{{ x }}'}}]"
    )
    result = run(
        client,
        f"""
        steps:
          - {{id: last, for_each: [1, 2], steps: {body}}}
          - id: chosen
            for_each: [1, 2]
            collect: {{both: "{{{{ x }}}} {{{{ y }}}}", at: "{{{{ index }}}}"}}
            steps: {body}
        outputs: {{last: "{{{{ last }}}}", chosen: "{{{{ chosen }}}}"}}
        """,
    )
    assert result.outputs == {
        "last": ["y1", "y2"],
        "chosen": [{"both": "1 y1", "at": 0}, {"both": "2 y2", "at": 1}],
    }


def test_nested_loops_have_paths_and_see_the_names_outside(client: orc.Orchestrator, bench: Bench) -> None:
    result = run(
        client,
        """
        steps:
          - id: top
            tool: echo
            parameters: {value: T}
          - id: outer
            for_each: [a, b]
            as: letter
            max_parallel: 1
            steps:
              - id: inner
                for_each: {range: 2}
                max_parallel: 1
                steps: [{id: x, tool: echo, parameters: {value: "{{ top }}{{ letter }}{{ item }}"}}]
        outputs: {all: "{{ outer }}"}
        """,
    )
    assert result.outputs == {"all": [["Ta0", "Ta1"], ["Tb0", "Tb1"]]}
    assert bench.calls == ["top", *[f"outer[{a}].inner[{b}].x" for a in (0, 1) for b in (0, 1)]]
    assert set(states(result)) == {
        "top",
        "outer",
        *[f"outer[{a}]" for a in (0, 1)],
        *[f"outer[{a}].inner" for a in (0, 1)],
        *[f"outer[{a}].inner[{b}]" for a in (0, 1) for b in (0, 1)],
        *bench.calls[1:],
    }


def test_each_item_is_retried_by_itself(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["l[1]"] = 2
    result = run(
        client,
        "steps: [{id: l, for_each: [1, 2], retry: {max_attempts: 3, delay: 0}, tool: flaky, "
        "parameters: {value: '{{ item }}'}}]\noutputs: {l: '{{ l }}'}",
    )
    assert result.outputs == {"l": [1, 2]}
    assert (result.steps["l[0]"].attempts, result.steps["l[1]"].attempts) == (1, 3)


FAILING = """
steps:
  - id: l
    for_each: [1, 2, 3]
    max_parallel: 1
    %s
    steps:
      - {id: x, tool: fail, condition: "item == 2", parameters: {message: "no %s"}}
      - {id: y, tool: echo, dependencies: [x], parameters: {value: "{{ item }}"}}
outputs: {l: "{{ l }}", counts: ["{{ l.count }}", "{{ l.succeeded }}", "{{ l.failed }}"]}
"""


@pytest.mark.parametrize(
    ("policy", "values"),
    [
        ("on_item_failure: continue", [1, None, 3]),
        ("on_item_failure: {value: '{{ item }} at {{ index }}'}", [1, "2 at 1", 3]),
        ("on_item_failure: continue\n    min_success: 0.6", [1, None, 3]),
    ],
)
def test_a_loop_goes_on_after_failed_items(client: orc.Orchestrator, policy: str, values: list[Any]) -> None:
    result = run(client, FAILING % (policy, "two"))
    assert result.outputs == {"l": values, "counts": [3, 2, 1]}
    found = states(result)
    assert (found["l"], found["l[0]"], found["l[1]"]) == ("succeeded", "succeeded", "failed")
    assert found["l[1].x"] == "failed"
    assert found["l[0].x"] == "skipped"
    assert "l[1].y" not in found or found["l[1].y"] in ("cancelled", "pending")


def test_a_failed_item_fails_its_loop_and_stops_the_others(client: orc.Orchestrator, bench: Bench) -> None:
    text = """
    steps:
      - id: l
        for_each: [1, 2, 3]
        steps:
          - {id: h, tool: hang, condition: "item == 1"}
          - {id: g, tool: gate, condition: "item == 2"}
          - {id: f, tool: fail, dependencies: [g], condition: "item == 2"}
      - {id: after, tool: echo, dependencies: [l]}
    """
    run = client.compile(text).start()
    bench.wait_for("l[0].h", "l[1].g")
    bench.open("l[1].g")
    with pytest.raises(orc.RunFailed) as failed:
        run.result()
    assert bench.stopped["l[0].h"].is_set()
    found = states(failed.value.result)
    assert failed.value.step == "l[1].f"
    assert (found["l"], found["l[1]"], found["l[1].f"], found["l[0].h"]) == ("failed", "failed", "failed", "cancelled")
    assert "after" not in bench.calls


def test_too_few_good_items_fail_the_loop(client: orc.Orchestrator) -> None:
    result = run(client, FAILING % ("on_item_failure: continue\n    min_success: 0.7", "two"))
    assert result.error is not None
    assert (result.state, result.error["code"], result.error["step"]) == ("failed", "ORC712", "l")


def test_a_loop_that_failed_can_have_a_value_all_the_same(client: orc.Orchestrator) -> None:
    result = run(client, (FAILING % ("on_failure: {value: [0]}", "two")).replace('["{{ l.count', '["{{ l.status'))
    assert result.outputs["l"] == [0]


@pytest.mark.parametrize("given", ["text", 5, None, True])
def test_what_cannot_be_gone_over_is_a_failure_of_the_loop(client: orc.Orchestrator, given: Any) -> None:
    result = run(
        client,
        "inputs: {given: {required: false}}\nsteps: [{id: l, for_each: '{{ given }}', tool: echo}]",
        given=given,
    )
    assert result.error is not None
    assert (result.state, result.error["code"], result.error["step"]) == ("failed", "ORC713", "l")


def test_a_file_that_changed_is_not_gone_on_with(client: orc.Orchestrator, bench: Bench, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"n": 1}\n{"n": 2}\n')
    run = client.compile(
        "steps: [{id: l, for_each: {file: rows.jsonl}, max_parallel: 1, "
        "steps: [{id: x, tool: echo}, {id: g, tool: gate, dependencies: [x], condition: item.n == 2}]}]"
    ).start()
    bench.wait_for("l[1].g")
    crash(client, run)
    bench.open("l[1].g")
    rows.write_text('{"n": 1}\n{"n": 2}\n{"n": 3}\n')
    with pytest.raises(orc.RunFailed) as failed:
        client.resume(run.id).result()
    assert failed.value.result.error is not None
    assert (failed.value.result.error["code"], failed.value.step) == ("ORC714", "l")


def test_a_row_that_could_not_be_read_is_mended_and_gone_on_with(client: orc.Orchestrator, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\nnonsense\n')
    text = (
        "steps: [{id: l, for_each: {file: rows.jsonl}, max_parallel: 1, tool: echo, "
        "parameters: {value: '{{ item.n }}'}}]\noutputs: {l: '{{ l }}'}"
    )
    failed = run(client, text)
    assert failed.state == "failed"
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n{"n": 2}\n')
    assert client.resume(failed.run_id).result().outputs == {"l": [1, 2]}


def test_a_row_that_is_no_json_is_named_by_its_line(client: orc.Orchestrator, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\nnonsense\n')
    result = run(client, "steps: [{id: l, for_each: {file: rows.jsonl}, tool: echo}]")
    assert result.error is not None
    assert result.state == "failed"
    assert "rows.jsonl" in result.error["message"]
    assert "2" in result.error["message"]


def test_a_loop_that_failed_goes_on_with_the_items_that_are_left(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["l[1].x"] = 1
    text = """
    steps:
      - id: l
        for_each: [1, 2, 3]
        max_parallel: 1
        steps: [{id: x, tool: flaky, parameters: {value: "{{ item }}"}}]
    outputs: {l: "{{ l }}"}
    """
    failed = run(client, text)
    assert (failed.state, bench.calls) == ("failed", ["l[0].x", "l[1].x"])
    assert client.resume(failed.run_id).result().outputs == {"l": [1, 2, 3]}
    assert bench.calls == ["l[0].x", "l[1].x", "l[1].x", "l[2].x"]


def test_status_counts_the_items_of_a_loop_that_runs(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(
        """
        steps:
          - id: l
            for_each: {range: 4}
            max_parallel: 1
            on_item_failure: continue
            steps: [{id: f, tool: fail, condition: "item == 1"}, {id: g, tool: gate, condition: "item == 2"}]
        """
    ).start()
    bench.wait_for("l[2].g")
    status = run.status()
    loop = next(one for one in status.active if one.path == "l")
    assert (loop.kind, loop.of, loop.done, loop.failed) == ("for_each", 4, 2, 1)
    assert (status.total, status.progress, status.failures) == (1, 0.5, ("l[1].f",)) or status.failures == ("l[1]",)
    bench.open("l[2].g")
    assert run.wait().progress == 1.0


# --- while and until


ROUNDS = """
steps:
  - id: w
    %s
    steps: [{id: x, tool: echo, parameters: {value: "{{ iteration }}"}}]
outputs: {w: "{{ w }}", all: "{{ w.iterations }}", count: "{{ w.count }}"}
"""


@pytest.mark.parametrize(
    ("head", "rounds"),
    [
        ("while: iteration < 3", [0, 1, 2]),
        ("while: '{{ $iteration < 1 }}'", [0]),
        ("while: 'false'", []),
        ("until: x == 2", [0, 1, 2]),
        ("until: 'true'", [0]),
        ("while: 'true'\n    max_iterations: 2", [0, 1]),
        ("while: iteration >= 0\n    max_iterations: 2\n    on_limit: continue", [0, 1]),
        ("until: 'false'\n    max_iterations: 2\n    on_limit: continue", [0, 1]),
        ("while: iteration < 2\n    max_iterations: 2", [0, 1]),
        ("until: iteration == 1\n    max_iterations: 2", [0, 1]),
    ],
)
def test_while_is_asked_before_each_round_and_until_after(
    client: orc.Orchestrator, head: str, rounds: list[int]
) -> None:
    result = run(client, ROUNDS % head)
    assert result.outputs == {"w": rounds[-1] if rounds else None, "all": rounds, "count": len(rounds)}


@pytest.mark.parametrize(
    "head", ["while: iteration >= 0\n    max_iterations: 3", "until: 'false'\n    max_iterations: 3"]
)
def test_the_limit_of_rounds_is_a_failure_unless_it_is_said(client: orc.Orchestrator, bench: Bench, head: str) -> None:
    result = run(client, ROUNDS % head)
    assert result.error is not None
    assert (result.state, result.error["code"], result.error["step"]) == ("failed", "ORC711", "w")
    assert bench.calls == ["w[0].x", "w[1].x", "w[2].x"]


def test_without_a_limit_of_its_own_a_loop_makes_a_hundred_rounds(client: orc.Orchestrator, bench: Bench) -> None:
    assert run(client, ROUNDS % "while: 'true'").state == "failed"
    assert len(bench.calls) == 100


def test_a_round_reads_the_one_before_and_what_was_added_up(client: orc.Orchestrator) -> None:
    result = run(
        client,
        """
        steps:
          - id: w
            while: total < 6
            initial: {total: 1}
            update: {total: "{{ total + x }}", trail: "{{ (trail or '') ~ iteration }}"}
            collect: "{{ x }}{{ y }}"
            steps:
              - {id: x, tool: echo, parameters: {value: "{{ iteration + 1 }}"}}
              - {id: y, tool: echo, parameters: {value: "after {{ previous.x }}, {{ total }}"}}
        outputs: {w: "{{ w }}", all: "{{ w.iterations }}", total: "{{ w.total }}", trail: "{{ w.trail }}"}
        """,
    )
    assert result.outputs == {
        "w": "3after 2, 4",
        "all": ["1after , 1", "2after 1, 2", "3after 2, 4"],
        "total": 7,
        "trail": "012",
    }


def test_a_condition_reads_the_steps_of_the_round_that_ended_last(client: orc.Orchestrator, bench: Bench) -> None:
    result = run(
        client,
        """
        steps:
          - id: w
            while: x is none or x < 2
            steps: [{id: x, tool: echo, parameters: {value: "{{ (previous.x or 0) + 1 }}"}}]
        outputs: {w: "{{ w }}"}
        """,
    )
    assert result.outputs == {"w": 2}
    assert bench.calls == ["w[0].x", "w[1].x"]


def test_a_loop_that_failed_goes_on_with_the_round_that_failed(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["w[2].y"] = 1
    text = """
    steps:
      - id: w
        while: iteration < 4
        initial: {total: 0}
        update: {total: "{{ total + y }}"}
        steps:
          - {id: x, tool: echo, parameters: {value: "{{ iteration }}"}}
          - {id: y, tool: flaky, parameters: {value: "{{ x + (previous.y or 0) }}"}}
    outputs: {w: "{{ w.iterations }}", total: "{{ w.total }}"}
    """
    failed = run(client, text)
    assert (failed.state, bench.calls[-2:]) == ("failed", ["w[2].x", "w[2].y"])
    before = list(bench.calls)
    assert client.resume(failed.run_id).result().outputs == {"w": [0, 1, 3, 6], "total": 10}
    assert bench.calls == [*before, "w[2].y", "w[3].x", "w[3].y"]


def test_loops_within_loops_keep_their_rounds_apart(client: orc.Orchestrator) -> None:
    result = run(
        client,
        """
        steps:
          - id: outer
            for_each: [2, 3]
            as: n
            steps:
              - id: w
                while: iteration < n
                steps: [{id: x, tool: echo, parameters: {value: "{{ n }}{{ iteration }}"}}]
            collect: "{{ w.iterations }}"
        outputs: {all: "{{ outer }}"}
        """,
    )
    assert json.loads(json.dumps(result.outputs["all"])) == [["20", "21"], ["30", "31", "32"]]


def test_a_range_may_be_longer_than_any_list(client: orc.Orchestrator) -> None:
    result = run(client, "steps: [{id: l, for_each: {range: [0, 29999999, 3]}, tool: fail}]")
    assert (result.state, result.error["step"] if result.error else "") == ("failed", "l[0]")


def test_items_are_read_from_regular_files_alone(client: orc.Orchestrator, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.jsonl")
    result = run(client, "steps: [{id: l, for_each: {file: rows.jsonl}, tool: echo}]")
    assert result.error is not None
    assert (result.error["code"], "not a regular file" in result.error["message"]) == ("ORC714", True)


@pytest.mark.parametrize(
    "loop",
    [
        "for_each: {range: 9000000}",
        "for_each: {range: 9000000}, max_parallel: 1",
        "while: '{{ true }}', max_iterations: 9000000",
    ],
)
def test_a_timeout_ends_a_loop_whose_bodies_never_wait_for_anything(client: orc.Orchestrator, loop: str) -> None:
    text = f"""
    inputs: {{wanted: {{type: boolean, default: false}}}}
    steps: [{{id: l, {loop}, timeout: 50ms, steps: [{{id: a, if: "{{{{ wanted }}}}", tool: echo}}]}}]
    """
    result = run(client, text)
    assert result.error is not None
    assert result.error["code"] == "ORC702"


@pytest.mark.parametrize("bound", [10_000_001, 10**40, -(10**299)])
def test_a_range_that_no_run_could_go_through_is_refused(client: orc.Orchestrator, bound: int) -> None:
    text = """
    inputs: {bound: {type: integer}}
    steps: [{id: l, for_each: {range: {stop: "{{ bound }}", step: "{{ 1 if bound > 0 else -1 }}"}}, tool: echo}]
    """
    result = run(client, text, bound=bound)
    assert result.error is not None
    assert (result.error["code"], "more than 10,000,000 numbers" in result.error["message"]) == ("ORC713", True)
