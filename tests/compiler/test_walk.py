"""The one traversal of a plan: the same steps at the same paths in the dataclasses and in the recorded data."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.expressions import Constant
from orchestrator.paths import is_in_end_block, is_in_undo
from orchestrator.plan.serialization import plan_data
from orchestrator.plan.step_index import StepIndex
from orchestrator.plan.steps import Handler, StepPlan, SubPipeline
from orchestrator.plan.substitution import substitute
from orchestrator.plan.walk import walk, without_brackets
from tests.plans import block, every_construct, group, plan, step, until


def test_the_plan_and_its_data_have_the_same_steps_at_the_same_paths() -> None:
    made = every_construct()
    data = [
        (visit.path, visit.step["id"], visit.within.role)
        for visit in walk(plan_data(made))
        if visit.within.role != "turn"
    ]
    assert data == [
        (visit.path, visit.step.id, visit.within.role) for visit in walk(made) if visit.within.role != "turn"
    ]
    assert {role for _, _, role in data} == {"body", "item", "case", "default", "handler", "undo", "finally"}
    assert len({path for path, _, _ in data}) == len(data)


def test_paths_have_a_mark_for_items_and_the_numbers_of_handlers() -> None:
    made = plan(
        replace(step("a"), on_error=(Handler(body=block("repair")),)),
        StepPlan("outer", group("first", "second")),
        error_handlers=(Handler(), Handler(body=block("report"))),
        finally_=block("last"),
    )
    paths = [visit.path for visit in walk(made)]
    expected = ["a", "a.on_error[0].repair", "outer", "outer.first", "outer.second"]
    assert paths == [*expected, "error_handlers[1].report", "finally.last"]
    assert without_brackets("a.on_error[0].repair[*].b") == "a.on_error.repair.b"


def test_called_pipelines_are_entered_never_once_or_at_every_call() -> None:
    called = plan(step("inner"), StepPlan("again", SubPipeline("c.yaml", Constant({}))))
    made = plan(
        StepPlan("one", SubPipeline("c.yaml", Constant({}))),
        StepPlan("two", SubPipeline("c.yaml", Constant({}))),
        pipelines={"c.yaml": called},
    )
    for each in (made, plan_data(made)):
        assert [visit.path for visit in walk(each)] == ["one", "two"]
        once = ["one", "one.inner", "one.again", "two"]
        assert [visit.path for visit in walk(each, calls="once")] == once
        assert [visit.path for visit in walk(each, calls="each")] == [*once, "two.inner", "two.again"]


def test_a_plan_in_which_nothing_is_changed_is_the_same_object() -> None:
    made = every_construct()
    assert substitute(made, lambda _, step: step) is made


def test_each_step_can_be_replaced_and_keeps_its_place() -> None:
    made = every_construct()
    changed = substitute(made, lambda _, step: replace(step, description="seen"))
    before, after = list(walk(made)), list(walk(changed))
    assert [visit.path for visit in after] == [visit.path for visit in before]
    assert all(visit.step.description == "seen" for visit in after if visit.within.role != "turn")


def test_every_step_is_found_by_the_path_that_it_has_in_a_run():
    whole = every_construct()
    for visit in walk(whole, calls="each"):
        path = visit.path.replace("[*]", "[0]")
        late = is_in_end_block(path) or is_in_undo(path)
        late = late or (visit.within.role == "turn" and not isinstance(visit.step.work, SubPipeline))
        found = StepIndex(whole).steps_at(path)
        assert (not found) if late else visit.step in found, path


def test_what_depends_on_a_step_is_undone_with_it_as_far_as_what_is_undone_reaches():
    inner = group(step("a", undo=block("back")), step("b", "a"), step("c"))
    rounds = step("rounds", "trip", work=until("x", step("d"), step("e", "d")))
    whole = plan(step("trip", work=inner), step("after", "trip"), rounds, "other")
    undone_with = StepIndex(whole).undone_with
    assert undone_with("trip.a") == ("trip.a", "after", "rounds", "trip.b")
    assert undone_with("trip.a", "trip") == ("trip.a", "trip.b")
    assert undone_with("rounds[3].d") == ("rounds",)
    assert undone_with("other") == ("other",)
    assert undone_with("trip.a", known={"trip.b", "rounds"}) == ("trip.a", "after")
