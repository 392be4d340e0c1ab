"""The oracle itself, against what people worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given

from tests.model.oracle import Expected, expected
from tests.model.plans import (
    Act,
    ForEach,
    Group,
    Handler,
    Hang,
    Items,
    Plan,
    Policy,
    Repeat,
    Step,
    Sub,
    Sum,
    Switch,
    Test,
    Work,
    digest,
    everything,
)
from tests.model.strategies import plans
from tests.model.writing import write

LOOSE = {"cancelled", "pending"}


def of(*steps: Step) -> Expected:
    return expected(Plan(steps))


def states(found: Expected) -> dict[str, Any]:
    return {path: next(iter(one)) if len(one) == 1 else one for path, one in found.states.items()}


def failing(attempts: int = 1) -> Act:
    return Act(0, failures=attempts, attempts=attempts)


def test_a_call_reads_values_and_its_attempts_are_counted() -> None:
    found = of(Step("a", Act(1)), Step("b", Act(2, ("a",), failures=1, attempts=3)))
    assert found.outputs == {"a": digest(1, []), "b": digest(2, [digest(1, [])])}
    assert (found.calls["b"].reads, found.calls["b"].count) == ([digest(1, [])], 2)


def test_a_failure_leaves_what_did_not_have_to_happen_open() -> None:
    found = of(Step("a", Act(1)), Step("bad", failing(2)), Step("after", Act(1), ("bad",)), Step("beside", Act(1)))
    assert found.failure is not None
    assert found.failure.causes == {"bad"}
    assert states(found) == {
        "a": {"succeeded", *LOOSE},
        "bad": {"failed", *LOOSE},
        "after": {"skipped", *LOOSE},
        "beside": {"succeeded", *LOOSE},
    }
    assert (found.calls["bad"].count, "after" in found.calls) == (2, False)


@pytest.mark.parametrize(
    ("policy", "value", "last"),
    [
        (Policy("continue"), None, "succeeded"),
        (Policy("value", 5), 5, "succeeded"),
        (Policy("jump", target="c"), None, "skipped"),
    ],
)
def test_policies_deal_with_a_failure(policy: Policy, value: Any, last: str) -> None:
    found = of(Step("a", failing(), on_failure=policy), Step("b", Act(1, ("a",))), Step("c", Act(1)))
    assert found.outputs["a"] == value
    assert states(found) == {"a": "failed", "b": last, "c": "succeeded"}


def test_the_first_handler_that_matches_is_carried_out() -> None:
    handlers = (
        Handler(type="ValueError", fallback=1),
        Handler(pattern="boom", steps=(Step("h", Act(3, ("error.type",))),)),
    )
    found = of(Step("a", failing(), handlers=handlers))
    assert found.outputs == {"a": digest(3, ["StepError"])}
    assert states(found) == {"a": "failed", "a.on_error[1].h": "succeeded"}


def test_what_is_skipped_reads_as_null_and_jumps_only_if_its_condition_was_false() -> None:
    never = Test("below", "a", 0)
    found = of(
        Step("a", Act(1)),
        Step("b", Act(2), condition=never, on_false="d"),
        Step("c", Act(3), on_success="e"),
        Step("d", Act(4, ("b", "c"))),
        Step("e", Act(5)),
    )
    assert states(found) == {"a": "succeeded", "b": "skipped", "c": "skipped", "d": "succeeded", "e": "succeeded"}
    assert found.calls["d"].reads == [None, None]


LIST = Items("list", (4, 5))


def loop(body: tuple[Step, ...] | Act, items: Items = LIST, **more: Any) -> Step:
    return Step("loop", ForEach(items, body, **more))


@pytest.mark.parametrize(
    ("items", "reads"),
    [
        (Items("list", (4, 5)), [[4], [5]]),
        (Items("mapping", (4,)), [[{"key": "k0", "value": 4}]]),
        (Items("range", (0, 1)), [[0], [1]]),
        (Items("file", (4,)), [[{"n": 4}]]),
    ],
)
def test_a_loop_goes_over_each_form_of_items(items: Items, reads: list[Any]) -> None:
    found = of(loop(Act(1, ("item",)), items))
    assert [call.reads for call in found.calls.values()] == reads
    assert list(found.calls) == [f"loop[{n}]" for n in range(len(reads))]
    assert found.outputs == {"loop": [digest(1, one) for one in reads]}


def test_a_loop_counts_and_collects() -> None:
    bad = (Step("x", Act(1, ("index", "is_last"))), Step("y", failing(), condition=Test("mod", "index", 2, 1)))
    found = of(
        loop(bad, on_item=Policy("value", "index"), collect="x"), Step("n", Act(1, ("loop.count", "loop.failed")))
    )
    assert found.outputs["loop"] == [digest(1, [0, False]), 1]
    assert found.calls["n"].reads == [2, 1]
    assert states(found)["loop[0]"] == "succeeded"
    assert states(found)["loop[1]"] == "failed"
    assert states(found)["loop[0].y"] == "skipped"
    assert states(found)["loop[1].x"] == {"succeeded", *LOOSE}


def test_too_few_good_items_fail_a_loop() -> None:
    body = (Step("y", failing(), condition=Test("mod", "index", 2, 1)),)
    assert of(loop(body, on_item=Policy("continue"), min_success=0.5)).failure is None
    assert of(loop(body, on_item=Policy("continue"), min_success=0.6)).failure is not None
    assert of(loop(body, Items("list"), on_item=Policy("continue"), min_success=0.6)).outputs == {"loop": []}


def test_rounds_know_the_one_before() -> None:
    body = (Step("x", Act(1, ("previous.x", "iteration"))),)
    total = {"total": Sum("total", "iteration")}
    found = of(
        Step("w", Repeat("while", Test("below", "iteration", 3), body, 5, update=total)),
        Step("n", Act(1, ("w.total", "w.count", "w.iterations"))),
    )
    first = digest(1, [None, 0])
    second = digest(1, [first, 1])
    third = digest(1, [second, 2])
    assert found.outputs["w"] == third
    assert found.calls["n"].reads == [3, 3, [first, second, third]]
    assert states(found)["w[2].x"] == "succeeded"


@pytest.mark.parametrize(
    ("kind", "limit", "rounds"), [("while", 0, 0), ("while", 1, 1), ("until", 0, 5), ("until", 1, 1), ("until", 9, 1)]
)
def test_while_is_asked_before_a_round_and_until_after(kind: Any, limit: int, rounds: int) -> None:
    body = (Step("x", Act(1)),)
    found = of(Step("w", Repeat(kind, Test("below", "iteration", limit), body, 5, "continue")))
    assert len(found.calls) == rounds
    assert of(Step("w", Repeat(kind, Test("below", "iteration", limit), body, 5))).failure is None or rounds == 5


@pytest.mark.parametrize(("subject", "value"), [(0, digest(1, [])), (1, digest(2, [])), (2, None)])
def test_a_switch_takes_one_case(subject: int, value: Any) -> None:
    cases = {0: (Step("x", Act(1)),), 1: (Step("y", Act(2)),)}
    body = (Step("s", Switch("item", 3, cases)),)
    found = of(loop(body, Items("list", (subject,))))
    assert found.outputs == {"loop": [value]}
    assert len(found.calls) == (value is not None)


def test_groups_have_the_value_of_the_last_or_of_all() -> None:
    steps = (Step("x", Act(1)), Step("y", Act(2)))
    found = of(Step("g", Group(steps)), Step("p", Group(steps, parallel=True)), Step("n", Act(1, ("g.x", "p.y"))))
    one, two = digest(1, []), digest(2, [])
    assert found.outputs["g"] == two
    assert found.outputs["p"] == {"x": one, "y": two}
    assert found.calls["n"].reads == [one, two]


@pytest.mark.parametrize(("wait_for", "fails"), [(1, False), (2, True)])
def test_a_race_is_won_or_cannot_be_won_any_more(wait_for: int, fails: bool) -> None:
    found = of(Step("p", Group((Step("x", Act(1)), Step("y", Hang() if not fails else failing())), True, wait_for)))
    assert (found.failure is not None) is fails
    assert fails or states(found) == {"p": "succeeded", "p.x": "succeeded", "p.y": LOOSE}
    assert fails or found.outputs == {"p": {"x": digest(1, []), "y": None}}


def test_a_called_pipeline_sees_its_inputs_only() -> None:
    inner = (Step("x", Act(1, ("n",))),)
    found = of(Step("a", Act(1)), Step("s", Sub("sub", {"n": "a"}, inner, {"o": "x"})))
    assert found.outputs["s"] == {"o": digest(1, [found.outputs["a"]])}
    assert found.calls["s.x"].reads == [found.outputs["a"]]


@pytest.mark.parametrize("mended", [True, False])
def test_a_transient_failure_ends_when_the_world_is_mended(mended: bool) -> None:
    found = expected(Plan((Step("a", Act(1, attempts=2, transient=True)),)), mended=mended)
    assert (found.failure is None) is mended
    assert found.calls["a"].count == (1 if mended else 2)


@given(plans())
def test_every_plan_is_written_and_gone_through(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    found = expected(plan)
    assert (found.failure is None) is (set(found.outputs) == {step.id for step in plan.steps})
    if found.failure is None:
        assert found.ended or all(len(found.states[step.id]) == 1 for step in plan.steps)
    directory = tmp_path_factory.getbasetemp()
    document = yaml.safe_load(write(plan, directory).read_text())
    assert [step["id"] for step in document["steps"]] == [step.id for step in plan.steps]
    kinds: set[type[Work]] = {type(step.work) for step in everything(plan.steps)}
    assert kinds
