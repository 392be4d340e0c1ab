"""The outline of a long run shows what the whole run would show, and reads only that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.history import step_outline
from orchestrator.history.event_log import RunEvents
from orchestrator.history.result import Result
from orchestrator.history.step_outline import StepOutline, outline_of
from orchestrator.history.step_results import StepResults
from orchestrator.history.step_tree import FIRST_ITEMS, OTHER_ITEMS, step_tree
from orchestrator.history.why import explain_step
from orchestrator.journal import Journal, Owner, Store
from orchestrator.plan.serialization import plan_data
from tests.journal.support import new_run
from tests.plans import for_each, plan, step

if TYPE_CHECKING:
    from collections.abc import Iterator

Fact = tuple[Any, ...]

NESTED = plan(step("rows", work=for_each(step("cells", work=for_each("a")))), "last")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


@pytest.fixture(autouse=True)
def all_runs_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_outline, "OUTLINE_FROM", 0)


def written(store: Store, facts: list[Fact]) -> StepResults:
    """The steps of a new run to which these things happened: (type, path, data)."""
    lease = store.create_run(new_run(plan=plan_data(NESTED), total=2), Owner.current())
    with Journal(store) as journal:
        run = journal.attach(lease)
        run.record("run.started", data={"owner": "me", "resumed": False})
        for type, path, *data in facts:
            run.record(type, path, 1, data[0] if data else {})
        run.flush(20.0)
        return StepResults(store, lease.run_id, run.last_seq)


def call(path: str) -> Fact:
    usage = {"input": 10, "output": 1, "cached": 0, "reasoning": 0, "requests": 1}
    return ("step.model", path, {"model": "m", "usage": usage, "cost": 0.25, "error": None})


def ended(path: str, state: str) -> list[Fact]:
    """The events of an item with one step, which ends in a state; of an open one there is only the beginning."""
    inner = f"{path}.a"
    match state:
        case "succeeded":
            done = {"output": path, "duration": 0.1}
            return [
                ("step.started", inner),
                call(inner),
                ("step.succeeded", inner, done),
                ("step.succeeded", path, done),
            ]
        case "failed":
            broken = {"error": {"message": f"{path} is broken"}, "handled": "fail"}
            return [("step.started", inner), ("step.failed", inner, broken), ("step.failed", path, broken)]
        case "cancelled":
            return [("step.started", inner), ("step.cancelled", inner), ("step.cancelled", path)]
    return [("step.started", inner)]


def loop_facts(path: str, states: list[str], end: str | None) -> list[Fact]:
    facts: list[Fact] = [("step.started", path, {"kind": "for_each", "of": len(states), "done": 0, "failed": 0})]
    for index, state in enumerate(states):
        facts += ended(f"{path}[{index}]", state)
    counts = {"count": len(states), "succeeded": states.count("succeeded"), "failed": states.count("failed")}
    if end == "succeeded":
        facts.append(("step.succeeded", path, {"output": None, "duration": 1.0, "items": counts}))
    elif end == "failed":
        broken = {"error": {"message": "too many failed"}, "handled": "fail", "items": counts}
        facts.append(("step.failed", path, broken))
    elif end == "cancelled":
        facts.append(("step.cancelled", path, {"reason": "stop"}))
    return facts


def tree(steps: StepResults) -> list[tuple[Any, ...]]:
    return [(line.depth, line.path, line.label, line.step, line.left_out) for line in step_tree(steps)]


def whole(steps: StepResults) -> StepResults:
    """The same steps, all of them read."""
    found = StepResults(steps.source, steps.run_id, steps.last_seq)
    assert len(found)
    return found


_STATES = st.sampled_from(["succeeded"] * 6 + ["failed", "open", "cancelled"])


@given(
    st.lists(_STATES, min_size=7, max_size=24),
    st.dictionaries(st.integers(7, 25), _STATES, max_size=12),
    st.sampled_from(["succeeded", "failed", "cancelled", None]),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_tree_of_an_outline_is_that_of_the_whole_run(
    store: Store, states: list[str], others: dict[int, str], end: str | None
):
    states = ["succeeded"] * FIRST_ITEMS + states
    for index, state in others.items():
        states[index:index] = [state]
    if end is not None:
        states = [state if state != "open" else "succeeded" for state in states]
    if end in ("succeeded", None):  # items are cancelled with their loop
        states = ["succeeded" if state == "cancelled" else state for state in states]
    steps = written(store, loop_facts("rows", states, end))
    outline = outline_of(steps)
    assert isinstance(outline, StepOutline)
    assert tree(outline) == tree(whole(steps))


def test_in_loops_in_loops_the_first_items_of_each_are_shown(store: Store):
    facts: list[Fact] = [("step.started", "rows", {"kind": "for_each", "of": 12, "done": 0, "failed": 0})]
    for row in range(12):
        states = ["failed" if row in (1, 11) and cell == 13 else "succeeded" for cell in range(15)]
        facts += loop_facts(f"rows[{row}].cells", states, "failed" if "failed" in states else "succeeded")
        facts += ended(f"rows[{row}]", "failed" if "failed" in states else "succeeded")[-1:]
    counts = {"count": 12, "succeeded": 10, "failed": 2}
    facts.append(("step.failed", "rows", {"error": {"message": "x"}, "handled": "fail", "items": counts}))
    steps = written(store, facts)
    found = tree(outline_of(steps))
    assert found == tree(whole(steps))
    assert {"rows[1].cells[13].a", "rows[11].cells[13].a"} <= {line[1] for line in found}


def test_items_that_failed_and_were_retried_are_shown_as_they_are_now(store: Store):
    facts = loop_facts("rows", ["failed" if index > 20 else "succeeded" for index in range(30)], "failed")
    facts += [("run.revised", "", {"forget": ["rows[22]"], "settled": {}, "reason": "retry", "step": "rows[22]"})]
    facts += [("run.started", "", {"owner": "me", "resumed": True})]
    facts += [("step.started", "rows", {"kind": "for_each", "of": 30, "done": 21, "failed": 0})]
    for index in range(21, 30):
        facts += ended(f"rows[{index}]", "succeeded")
    counts = {"count": 30, "succeeded": 30, "failed": 0}
    facts.append(("step.succeeded", "rows", {"output": None, "duration": 1.0, "items": counts}))
    steps = written(store, facts)
    assert tree(outline_of(steps)) == tree(whole(steps))
    assert [line[4] for line in tree(outline_of(steps)) if line[4]] == [30 - FIRST_ITEMS]


def test_any_item_can_be_looked_at_alone(store: Store):
    steps = written(store, loop_facts("rows", ["succeeded"] * 300, "succeeded"))
    outline = outline_of(steps, "rows[250].a")
    assert len(outline) < 30
    for path in ("rows[250].a", "rows[250]", "rows[3].a", "last"):
        assert outline[path] == whole(steps)[path]
    assert outline["rows"].output == [f"rows[{index}]" for index in range(300)]
    assert "rows[251]" not in outline


class Reading:
    """Counts the events that come from the store."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.count = self.calls = 0
        for name in ("events", "outline", "values_at", "failed_later_items"):
            patch.setattr(store, name, self._counted(getattr(store, name)))

    def _counted(self, read: Any) -> Any:
        def reading(*arguments: Any, **options: Any) -> Any:
            found = list(read(*arguments, **options))
            self.count += len(found)
            self.calls += 1
            return found

        return reading


@pytest.mark.parametrize("broken", [0, 5, 400])
def test_of_a_long_loop_only_what_is_shown_is_read(store: Store, monkeypatch: pytest.MonkeyPatch, broken: int):
    states = ["failed" if index >= 1000 - broken else "succeeded" for index in range(1000)]
    facts = [fact for fact in loop_facts("rows", states, "succeeded") if fact[0] != "step.model"]
    steps = written(store, facts)
    reading = Reading(store, monkeypatch)
    items = [line for line in step_tree(steps) if line.label.startswith("[")]
    assert len(items) == FIRST_ITEMS + min(OTHER_ITEMS, broken)
    first, last = 10 * 3 + 6, min(step_outline.ITEMS_AT_MOST, broken) * 3
    failures = 2 * broken  # of these only the path is read
    assert reading.count <= (2 if broken else 1) * first + last + failures
    reading.count = 0
    page = Result("r", "succeeded", {}, steps, None, RunEvents(store, steps.run_id, steps.last_seq)).to_markdown()
    assert f"… {1000 - len(items)} more" in page
    assert "more events" in page
    assert reading.count <= 2 * first + last + failures + 2_500  # the first and last events of the log


def test_why_reads_the_events_of_the_step_once(store: Store, monkeypatch: pytest.MonkeyPatch):
    steps = written(store, loop_facts("rows", ["succeeded"] * 300, "succeeded"))
    status = store.status(steps.run_id)
    reading = Reading(store, monkeypatch)
    explain_step(store, status, "rows[250].cells")
    assert reading.calls == 1
    assert reading.count < 10
