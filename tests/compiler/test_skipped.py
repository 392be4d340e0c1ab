"""Steps that never run: what is reported is never run in any outcome of the steps before."""

import json
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compiler.test_compilation import compiled


@st.composite
def blocks(draw: st.DrawFn) -> list[dict[str, Any]]:
    count = draw(st.integers(2, 6))
    steps: list[dict[str, Any]] = []
    for number in range(count):
        step: dict[str, Any] = {"id": f"s{number}", "tool": "echo", "parameters": {"value": number}}
        later = (
            st.integers(number + 1, count - 1).map(lambda other: f"s{other}") if number + 1 < count else st.nothing()
        )
        for key, others in (("on_success", ()), ("on_failure", ("continue", "fail")), ("on_false", ())):
            choice = draw(st.none() | st.sampled_from(others or ("",)) | later)
            if choice:
                step[key] = choice
        if "on_false" in step or draw(st.booleans()):
            step["condition"] = "{{ x }}"
        steps.append(step)
    return steps


def run(steps: list[dict[str, Any]], outcomes: tuple[str, ...]) -> set[str]:
    """The steps that run, each with one of the outcomes `succeeds`, `fails` and `skipped`."""
    places = {step["id"]: place for place, step in enumerate(steps)}
    over, ran = set[int](), set[str]()
    for place, (step, outcome) in enumerate(zip(steps, outcomes, strict=True)):
        if place in over:
            continue
        if outcome == "skipped" and "condition" in step:
            target = step.get("on_false")
        else:
            ran.add(step["id"])
            target = step.get("on_failure", "fail") if outcome == "fails" else step.get("on_success")
            if target == "fail":
                return ran
        if target in places:
            over |= set(range(place + 1, places[target]))
    return ran


@settings(max_examples=60)
@given(blocks())
def test_a_step_that_is_said_never_to_run_runs_in_no_outcome(steps: list[dict[str, Any]]) -> None:
    pipeline = {"inputs": {"x": {"type": "boolean"}}, "steps": steps}
    found = [each for each in compiled(json.dumps(pipeline)).diagnostics if each.code == "ORC503"]
    never = {each.message.split("`")[1] for each in found}
    for outcomes in product(("succeeds", "fails", "skipped"), repeat=len(steps)):
        assert never.isdisjoint(run(steps, outcomes))


@settings(max_examples=60)
@given(blocks())
def test_a_read_that_is_not_warned_of_never_reads_a_skipped_step(steps: list[dict[str, Any]]) -> None:
    reads = [
        {**step, "parameters": {"value": f"{{{{ s0 }}}} {{{{ s{place - 1} }}}}" if place else 0}}
        for place, step in enumerate(steps)
    ]
    found = compiled(json.dumps({"inputs": {"x": {"type": "boolean"}}, "steps": reads})).diagnostics
    warned = {(each.message.split("`")[1], each.notes[0].split("`")[-2]) for each in found if each.code == "ORC502"}
    conditions = {step["id"] for step in steps if "condition" in step}
    for outcomes in product(("succeeds", "fails", "skipped"), repeat=len(steps)):
        if (
            len(
                {
                    outcome == "skipped"
                    for outcome, step in zip(outcomes, steps, strict=True)
                    if step["id"] in conditions
                }
            )
            > 1
        ):
            continue  # all have the same condition
        ran = run(steps, outcomes)
        for place, step in enumerate(steps):
            for read in {"s0", f"s{place - 1}"} if place else ():
                if step["id"] in ran and read not in ran:
                    assert (read, step["id"]) in warned
