"""The steps of a run as its result has them, and the tree that people see: from the events alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.history.event_log import RunEvents
from orchestrator.history.result import Result
from orchestrator.history.step_order import StepOrder
from orchestrator.history.step_results import StepResults
from orchestrator.history.step_tree import FIRST_ITEMS, OTHER_ITEMS, step_summary, step_tree
from orchestrator.journal import Journal, Owner, Store
from orchestrator.plan.serialization import plan_data
from tests.journal.support import new_run
from tests.plans import block, every_construct, for_each, group, plan, step, switch, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.plan.model import Plan

Fact = tuple[Any, ...]


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


def written(store: Store, plan: Plan, *facts: Fact) -> StepResults:
    """The steps of a new run of this plan to which these things happened: (type, path, data)."""
    lease = store.create_run(new_run(plan=plan_data(plan), total=len(plan.steps)), Owner.current())
    with Journal(store) as journal:
        run = journal.attach(lease)
        run.record("run.started", data={"owner": "me", "resumed": False})
        for type, path, *data in facts:
            run.record(type, path, 1, data[0] if data else {})
        run.flush(10.0)
        return StepResults(store, lease.run_id, run.last_seq)


def done(path: str, output: Any = None, **more: Any) -> list[Fact]:
    return [("step.started", path), ("step.succeeded", path, {"output": output, "duration": 0.1, **more})]


def failed(path: str, handled: str = "continue", **more: Any) -> Fact:
    return ("step.failed", path, {"error": {"message": f"{path} is broken"}, "handled": handled, **more})


def a_loop(count: int, broken: Sequence[int] = ()) -> list[Fact]:
    facts: list[Fact] = [("step.started", "each", {"kind": "for_each", "of": count, "done": 0, "failed": 0})]
    for index in reversed(range(count)):  # they end in any order
        if index in broken:
            facts.append(failed(f"each[{index}]", value=-index))
        else:
            facts += [*done(f"each[{index}].b"), *done(f"each[{index}].a", f"a{index}")]
            facts.append(("step.succeeded", f"each[{index}]", {"output": index, "duration": 0.1}))
    items = {"count": count, "succeeded": count - len(broken), "failed": len(broken)}
    return [*facts, ("step.succeeded", "each", {"output": None, "items": items, "duration": 1.0})]


LOOP = plan("first", step("each", work=for_each("a", "b")), "last")


def test_a_step_that_has_not_begun_is_pending_and_what_is_within_it_is_not_there(store: Store) -> None:
    steps = written(store, LOOP, *done("first", 1))
    assert {path: step.state for path, step in steps.items()} == {
        "first": "succeeded",
        "each": "pending",
        "last": "pending",
    }


def test_steps_come_in_the_files_order_and_items_below_their_loop_by_index(store: Store) -> None:
    steps = written(store, LOOP, *a_loop(12), *done("last"), *done("first"))
    inner = [path for i in range(12) for path in (f"each[{i}]", f"each[{i}].a", f"each[{i}].b")]
    assert list(steps) == ["first", "each", *inner, "last"]


def test_the_output_of_a_for_each_is_the_list_of_its_items_outputs(store: Store) -> None:
    steps = written(store, LOOP, *a_loop(5, broken=[1]))
    assert steps["each"].output == [0, -1, 2, 3, 4]
    assert steps["each"].items == {"count": 5, "succeeded": 4, "failed": 1}
    assert steps["each[2].a"].output == "a2"


def test_the_items_of_a_loop_are_counted_while_it_goes_on(store: Store) -> None:
    steps = written(store, LOOP, *a_loop(5, broken=[1])[:-1], ("step.started", "each[9].a"))
    assert steps["each"].items == {"count": 6, "succeeded": 4, "failed": 1}
    assert step_summary(steps["each"]) == "6 items, 4 succeeded, 1 failed"


@pytest.mark.parametrize("one_after_another", [True, False])
def test_each_step_has_its_own_output_however_they_are_looked_at(store: Store, one_after_another: bool) -> None:
    large = {f"s{n}": "x" * (20_000 if n % 50 == 0 else 1) + str(n) for n in range(200)}
    steps = written(store, plan(*large), *(fact for path, output in large.items() for fact in done(path, output)))
    paths = list(large) if one_after_another else sorted(large, key=lambda path: hash(path) % 97)
    assert {path: steps[path].output for path in paths} == large


def test_what_happened_after_the_result_was_made_is_not_part_of_it(store: Store) -> None:
    steps = written(store, LOOP, *done("first", 1))
    earlier = StepResults(store, steps.run_id, steps.last_seq - 1)
    assert earlier["first"].state == "running"
    assert earlier["first"].output is None


def test_a_question_is_there_as_long_as_it_waits(store: Store) -> None:
    waiting = ("step.waiting", "first", {"reason": "human", "question": {"kind": "ask", "prompt": "How many?"}})
    steps = written(store, LOOP, ("step.started", "first"), waiting)
    assert steps["first"].question == {"kind": "ask", "prompt": "How many?"}
    assert steps.head("first").reason == "human"
    answered = written(store, LOOP, ("step.started", "first"), waiting, *done("first", 3)[1:])
    assert answered["first"].question is None


def test_a_chosen_case_and_a_cached_result_are_told(store: Store) -> None:
    two = plan(step("route", work=switch("{{ kind }}", a=block("x"))), "late")
    cached = {"key": "k", "run_id": "r", "path": "late", "at": 5.0}
    facts = [("step.started", "route", {"kind": "switch", "case": "a", "done": 0, "failed": 0}), *done("route.x")]
    steps = written(store, two, *facts, ("step.succeeded", "route", {"output": 1}), *done("late", 2, cached=cached))
    assert (steps["route"].kind, steps["route"].case, step_summary(steps["route"])) == ("switch", "a", "case a")
    assert steps["late"].cached == cached


def test_the_log_is_a_sequence_of_all_events(store: Store) -> None:
    steps = written(store, LOOP, *a_loop(300))
    log = RunEvents(store, steps.run_id, steps.last_seq)
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    assert log[-1].seq == len(log) == steps.last_seq
    assert [event.seq for event in log[498:503]] == [499, 500, 501, 502, 503]
    with pytest.raises(IndexError):
        log[len(log)]


def labels(steps: StepResults) -> list[str]:
    return ["  " * line.depth + line.label for line in step_tree(steps)]


def test_the_outline_indents_what_is_within(store: Store) -> None:
    refine = until("ok", step("check", work=group("left", "right", parallel=True)))
    nested = plan(step("refine", work=refine), "last", finally_=block("close"))
    facts = [
        ("step.started", "refine", {"kind": "until", "done": 0, "failed": 0}),
        ("step.started", "refine[0].check", {"kind": "parallel", "of": 2, "done": 0, "failed": 0}),
        *done("refine[0].check.right"),
        ("step.started", "refine[0].check.left"),
        *done("finally.close"),
    ]
    assert labels(written(store, nested, *facts)) == [
        "refine",
        "  [0]",
        "    check",
        "      left",
        "      right",
        "last",
        "finally",
        "  close",
    ]


def test_the_outline_names_each_handler_that_ran(store: Store) -> None:
    handled = plan("a", "b")
    facts = [*done("a.on_error[1].tell"), failed("a"), *done("b"), *done("error_handlers[0].alarm")]
    lines = labels(written(store, handled, *facts))
    assert lines == ["a", "  on_error[1]", "    tell", "b", "error_handlers[0]", "  alarm"]


def test_the_outline_of_a_loop_has_its_first_items_those_that_failed_and_the_number_of_the_others(
    store: Store,
) -> None:
    steps = written(store, LOOP, *a_loop(500, broken=range(100, 400)))
    items = [int(line.label[1:-1]) for line in step_tree(steps) if line.label.startswith("[")]
    assert items == [*range(FIRST_ITEMS), *range(100, 100 + OTHER_ITEMS)]
    assert [line.left_out for line in step_tree(steps) if line.left_out] == [500 - len(items)]
    assert [line.label for line in step_tree(steps)][-2:] == [f"… {500 - len(items)} more", "last"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 20)), min_size=1, max_size=4))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_path_has_a_line_that_its_labels_spell(store: Store, parts: list[tuple[str, int | None]]) -> None:
    path = ".".join(id if index is None else f"{id}[{index}]" for id, index in parts)
    steps = written(store, plan(*"abc"), ("step.started", path))
    spelt: list[str] = []
    found = {}
    for line in step_tree(steps):
        del spelt[line.depth :]
        spelt.append(line.label)
        found["".join(f".{one}" if one[0] != "[" else one for one in spelt).removeprefix(".")] = line.path
    assert found[path] == path
    assert all(key == value for key, value in found.items())


def test_the_page_shows_the_tree(store: Store) -> None:
    steps = written(store, LOOP, *a_loop(40, broken=[7]), *done("last"))
    page = Result("r", "succeeded", {}, steps, None, RunEvents(store, steps.run_id, steps.last_seq)).to_markdown()
    assert "| `each` | succeeded |  | " in page
    assert "| · `[7]` | failed | 1 | " in page
    assert "| · … 36 more | | | | |" in page
    assert "| 40 items, 39 succeeded, 1 failed |" in page


def test_handlers_and_what_runs_at_the_end_follow_the_steps(store: Store) -> None:
    order = StepOrder(plan_data(every_construct()))
    paths = [
        "rows",
        "rows[0]",
        "rows[0].clean",
        "rows[0].judge",
        "rows[0].judge.left",
        "rows[0].judge.right",
        "rows[2]",
        "rows[10].clean",
        "numbers[1]",
        "route.second",
        "sub.fetch",
        "save",
        "save.on_error[0].notify",
        "alarm",
        "error_handlers[0].report",
        "finally.close",
    ]
    assert sorted({*paths}, key=order.key) == paths
