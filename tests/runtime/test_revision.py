"""What a run keeps when it goes on with an edited pipeline: from two plans and what was recorded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.history.revision import compare
from orchestrator.journal.state.resume_state import ItemEnds, ResumeState
from orchestrator.journal.state.step_history import StepRecord
from orchestrator.plan.diff import inputs_read
from orchestrator.plan.serialization import plan_data
from tests.runtime.support import Bench, pipeline, step

if TYPE_CHECKING:
    from orchestrator.plan.model import Plan

CLIENT = orc.Orchestrator(tools=Bench().tools())


def plan(*steps: dict[str, Any], **more: Any) -> Any:
    compiled: Plan = CLIENT.compile(pipeline(*steps, **more)).plan
    return plan_data(compiled)


def done(*paths: str, items: dict[str, int] | None = None) -> ResumeState:
    """These steps have succeeded; of these loops so many items."""
    found = ResumeState({path: StepRecord(path, "succeeded", 1) for path in paths})
    for loop, count in (items or {}).items():
        ends = found.items[loop] = ItemEnds()
        for index in range(count):
            ends.set(index, "succeeded", index + 10)
    return found


def table(old: Any, new: Any, recorded: ResumeState, failed: str = "") -> dict[str, tuple[str, str]]:
    changes = compare("run", old, new, recorded, failed=failed)
    return {change.path: (change.action, change.reason) for change in changes.steps}


CHAIN = [step("a"), step("b", value="{{ a }}"), step("c", "echo", "b"), step("d", value="{{ x }}")]


def chain(**changed: dict[str, Any]) -> Any:
    steps = [{**one, **changed.get(one["id"], {})} for one in CHAIN]
    return plan(*steps, variables={"x": "{{ topic }}"}, inputs={"topic": "sun"})


def test_nothing_changed_and_everything_is_kept() -> None:
    assert table(chain(), chain(), done("a", "b", "c", "d")) == dict.fromkeys("abcd", ("keep", ""))


def test_what_changed_runs_again_with_all_that_comes_of_it() -> None:
    new = chain(a={"parameters": {"value": "other"}})
    assert table(chain(), new, done("a", "b", "c", "d")) == {
        "a": ("run", "its `parameters` changed"),
        "b": ("run", "it reads `a`, which runs again"),
        "c": ("run", "it depends on `b`, which runs again"),
        "d": ("keep", ""),
    }


def test_a_step_that_has_not_ended_goes_on_and_forgets_nothing() -> None:
    changes = compare("run", chain(), chain(), done("a", "d"), failed="b")
    assert [(one.path, one.action, one.reason) for one in changes.steps] == [
        ("a", "keep", ""),
        ("b", "run", "it had failed"),
        ("c", "run", "it has not run yet"),
        ("d", "keep", ""),
    ]
    assert changes.forget == ()
    assert (changes.kept, changes.to_run, changes.removed) == (("a", "d"), ("b", "c"), ())


@pytest.mark.parametrize(
    "inert",
    [{"name": "A"}, {"description": "for people"}, {"metadata": {"by": "me"}}, {"retry": 5}, {"timeout": 9}],
)
def test_names_and_limits_do_not_make_a_step_run_again(inert: dict[str, Any]) -> None:
    assert table(chain(), chain(a=inert, b=inert), done("a", "b", "c", "d")) == dict.fromkeys("abcd", ("keep", ""))


def test_a_parameter_may_have_the_name_of_an_inert_key() -> None:
    old, new = (plan(step("a", value={"id": 1, "name": name})) for name in "xy")
    assert table(old, new, done("a"))["a"] == ("run", "its `parameters` changed")


def test_a_variable_that_changed_is_read_anew() -> None:
    old = plan(*CHAIN, variables={"y": 1, "x": "{{ y }}"})
    new = plan(*CHAIN, variables={"y": 2, "x": "{{ y }}"})
    assert table(old, new, done("a", "b", "c", "d"))["d"] == ("run", "it reads the variable `x`, which changed")
    assert table(old, new, done("a", "b", "c", "d"))["a"] == ("keep", "")


def test_new_and_removed_steps_are_named() -> None:
    old = plan(step("a"), step("b", value="{{ a }}"), step("c"))
    new = plan(step("a"), step("n"), step("b", "echo", "n", value="{{ a }}"))
    recorded = done("a", "b", "c")
    assert table(old, new, recorded) == {
        "a": ("keep", ""),
        "n": ("run", "new"),
        "b": ("run", "it depends on `n`, which is new"),
        "c": ("remove", "the pipeline no longer has it"),
    }
    assert compare("run", old, new, recorded).forget == ("b", "c")


def loop(value: str) -> dict[str, Any]:
    return {"id": "l", "for_each": [1, 2, 3], "steps": [step("x"), step("y", value=value)]}


def test_a_loop_whose_body_changed_runs_again_as_a_whole() -> None:
    old, new = plan(loop("{{ x }}")), plan(loop("{{ x }}!"))
    recorded = done(items={"l": 2})
    recorded.steps["l"] = StepRecord("l", "running", kind="for_each")
    why = "it had failed, and `y` inside it changed; 2 finished items run again"
    assert table(old, new, recorded, "l[2].y") == {"l": ("run", why)}
    assert compare("run", old, new, recorded).forget == ("l",)


def test_a_loop_that_did_not_change_keeps_its_items() -> None:
    old = plan(loop("{{ x }}"))
    recorded = done(items={"l": 2})
    recorded.steps["l"] = StepRecord("l", "running", kind="for_each")
    assert table(old, old, recorded, "l[2].y") == {"l": ("run", "it had failed; 2 finished items are kept")}
    assert compare("run", old, old, recorded).forget == ()


def test_which_steps_read_an_input_is_known_through_variables() -> None:
    found = inputs_read(
        plan(
            step("a", value="{{ topic }}"),
            step("b", value="{{ x }}"),
            step("c", value="{{ inputs.size }}"),
            step("d"),
            inputs={"topic": "sun", "size": 3},
            variables={"w": "{{ topic }}", "x": "{{ w }}{{ size }}"},
        ),
        ["topic", "size"],
    )
    assert found == {"a": ("topic",), "b": ("size", "topic"), "c": ("size",)}


@given(st.data())
def test_a_kept_step_does_the_same_and_depends_on_kept_steps_alone(data: st.DataObject) -> None:
    """Over random graphs and random edits: nothing is kept that could differ, and everything else that ended is."""
    count = data.draw(st.integers(1, 7))
    reads = [data.draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set() for index in range(count)]
    old: dict[str, list[dict[str, Any]]] = {
        "steps": [
            {"id": f"s{i}", "kind": "tool", "parameters": {"v": 0}, "dependencies": [f"s{j}" for j in sorted(reads[i])]}
            for i in range(count)
        ]
    }
    new = copy.deepcopy(old)
    edited = data.draw(st.sets(st.integers(0, count - 1)))
    for index in edited:
        new["steps"][index]["parameters"]["v"] = 1
    ended: set[int] = set()
    for index in range(count):
        if reads[index] <= ended and data.draw(st.booleans()):
            ended.add(index)
    stale: set[int] = set()
    for index in range(count):
        if index in edited or reads[index] & stale:
            stale.add(index)
    changes = compare("run", old, new, done(*(f"s{i}" for i in ended)))
    assert set(changes.kept) == {f"s{i}" for i in ended - stale}
    assert set(changes.forget) == {f"s{i}" for i in ended & stale}
    assert all(change.reason for change in changes.steps if change.action != "keep")
