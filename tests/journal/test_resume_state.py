"""The state that a run resumes from: what it needs, and no more."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.journal import Event, ItemEnds, Journal, ResumeState, Store, resume_state
from orchestrator.journal.store.blob_codec import LIMIT
from orchestrator.paths import is_at_or_below, item_of, parent_of
from tests.journal.support import create, story

QUESTION = {"kind": "ask", "prompt": "How many?"}
LOOP = {"kind": "for_each", "done": 0, "failed": 0}
ROUNDS = {"kind": "while", "done": 0, "failed": 0}


def of(*facts: tuple[Any, ...]) -> ResumeState:
    return resume_state(story(*facts))


def states(found: ResumeState) -> dict[str, str]:
    return {path: record.state for path, record in found.steps.items()}


def ends(found: ResumeState) -> dict[str, dict[int, str]]:
    return {loop: {index: items.state(index) for index in items} for loop, items in found.items.items()}


def test_settled_steps_are_kept_with_their_values():
    found = of(
        ("step.started", "a", 1),
        ("step.succeeded", "a", 1, {"output": 1, "duration": 0.5}),
        ("step.skipped", "b", 0, {"reason": "condition"}),
        ("step.failed", "c", 3, {"error": {"message": "no"}, "handled": "value", "value": 7}),
        ("step.failed", "d", 1, {"error": {"message": "no"}, "handled": "fail"}),
        ("step.started", "e", 1),
        ("step.cancelled", "e", 1),
        ("step.started", "f", 1),
        ("step.requeued", "f", 1, {"reason": "paused"}),
    )
    assert states(found) == {"a": "succeeded", "b": "skipped", "c": "failed"}
    assert [(found.steps[p].output, found.steps[p].seq) for p in "abc"] == [(1, 4), (None, 5), (7, 6)]
    assert (found.steps["c"].attempts, found.steps["c"].handled) == (3, "value")


def test_a_running_step_is_kept_with_its_attempt():
    found = of(("step.started", "a", 1), ("step.waiting", "a", 1, {"reason": "retry"}), ("step.started", "a", 2))
    assert (found.steps["a"].state, found.steps["a"].attempts) == ("running", 2)


@pytest.mark.parametrize(
    ("then", "failed"),
    [
        ((), 1),
        ((("step.cancelled", "a", 1),), 1),
        ((("step.started", "a", 2),), 1),
        ((("step.started", "a", 2), ("step.cancelled", "a", 2)), 1),
        ((("step.started", "a", 2), ("step.requeued", "a", 2)), 1),
        ((("step.started", "a", 2), ("step.waiting", "a", 2, {"reason": "handler"})), 1),
        ((("step.started", "a", 2), ("step.waiting", "a", 2, {"reason": "retry"})), 2),
    ],
)
def test_failed_attempts_are_kept_whatever_happened_next(then, failed):
    found = of(("step.started", "a", 1), ("step.waiting", "a", 1, {"reason": "retry"}), *then)
    assert found.steps["a"].failed_attempts == failed


@pytest.mark.parametrize("type", ["step.cancelled", "step.requeued"])
def test_a_stopped_first_attempt_is_forgotten(type):
    assert states(of(("step.started", "a", 1), (type, "a", 1))) == {}


@pytest.mark.parametrize("type", ["step.cancelled", "step.requeued"])
def test_a_step_that_was_stopped_starts_no_second_run(type):
    found = of(("step.started", "a", 1, {"kind": "detached", "run": "other"}), (type, "a", 1))
    assert (found.steps["a"].run, found.steps["a"].settled) == ("other", False)


def test_a_wait_is_kept_with_its_time_its_question_and_its_answer():
    waits = [
        ("step.started", "ask", 1),
        ("step.waiting", "ask", 1, {"reason": "human", "question": QUESTION}),
        ("step.waiting", "nap", 1, {"reason": "time", "until": 5000.0}),
    ]
    found = of(*waits)
    assert (found.steps["ask"].question, found.steps["ask"].answered) == (QUESTION, False)
    assert (found.steps["nap"].until, found.steps["nap"].state) == (5000.0, "waiting")
    answered = [*waits, ("run.started", "", 0, {"resumed": True}), ("step.answered", "ask", 0, {"value": None})]
    assert (of(*answered).steps["ask"].answered, of(*answered).steps["ask"].answer) == (True, None)
    asked_again = [*answered, ("step.waiting", "ask", 1, {"reason": "human", "question": QUESTION})]
    assert of(*asked_again).steps["ask"].answered
    asked_else = [*answered, ("step.waiting", "ask", 1, {"reason": "human", "question": {"prompt": "Why?"}})]
    assert not of(*asked_else).steps["ask"].answered
    begun_again = [*answered, ("step.started", "ask", 2)]
    assert (of(*begun_again).steps["ask"].state, of(*begun_again).steps["ask"].answered) == ("running", False)


def test_nothing_is_kept_inside_an_ended_item():
    found = of(
        ("step.started", "each", 0, LOOP),
        ("step.started", "each[0].a", 1),
        ("step.succeeded", "each[0].a", 1, {"output": 1}),
        ("step.started", "each[0].inner", 0, LOOP),
        ("step.succeeded", "each[0].inner[0]", 1),
        ("step.succeeded", "each[0].inner", 0),
        ("step.succeeded", "each[0]", 0, {"output": 1}),
        ("step.succeeded", "each[2].a", 1, {"output": 3}),
        ("step.started", "each[2].inner", 0, LOOP),
        ("step.failed", "each[2].inner[1]", 1, {"handled": "continue"}),
        ("step.failed", "each[1].a", 1, {"handled": "fail"}),
        ("step.failed", "each[1]", 0, {"handled": "value", "value": 0}),
        ("step.failed", "each[3]", 0, {"handled": "fail"}),
    )
    assert states(found) == {"each": "running", "each[2].a": "succeeded", "each[2].inner": "running"}
    assert ends(found) == {"each": {0: "succeeded", 1: "failed"}, "each[2].inner": {1: "failed"}}
    items = found.items["each"]
    assert (len(items), items.failed, items.seq(0), items.seq(2), items.state(99)) == (2, 1, 9, 0, "")


def test_the_last_round_of_a_loop_is_kept():
    rounds = [("step.started", "again", 0, ROUNDS)]
    for number in range(3):
        rounds += [
            ("step.started", f"again[{number}].a", 1),
            ("step.succeeded", f"again[{number}].a", 1, {"output": number}),
            ("step.succeeded", f"again[{number}]", 0, {"output": number, "state": {"total": number}}),
        ]
    found = of(*rounds, ("step.started", "again[3].a", 1))
    assert states(found) == {
        "again": "running",
        "again[2].a": "succeeded",
        "again[2]": "succeeded",
        "again[3].a": "running",
    }
    assert found.steps["again[2]"].accumulators == {"total": 2}
    assert ends(found) == {"again": {0: "succeeded", 1: "succeeded", 2: "succeeded"}}
    ended = of(*rounds, ("step.succeeded", "again", 0, {"output": 2}))
    assert states(ended) == {"again": "succeeded", "again[2]": "succeeded"}


def test_an_unfinished_group_keeps_its_finished_steps():
    facts = [
        ("step.started", "both", 0, {"kind": "parallel", "of": 2, "done": 0, "failed": 0}),
        ("step.succeeded", "both.left", 1, {"output": 1}),
        ("step.failed", "both.right", 1, {"handled": "fail"}),
        ("step.failed", "both", 0, {"handled": "fail"}),
    ]
    assert states(of(*facts)) == {"both.left": "succeeded"}
    again = ("step.started", "both", 0, {"kind": "parallel", "of": 2, "done": 1, "failed": 0})
    assert states(of(*facts, again)) == {"both.left": "succeeded", "both": "running"}


def test_a_new_attempt_forgets_what_handlers_of_the_last_one_did():
    facts = [
        ("step.started", "a", 1),
        ("step.succeeded", "a.on_error[0].tell", 1),
        ("step.started", "b", 0, {"kind": "group", "done": 0, "failed": 0}),
        ("step.succeeded", "b.x", 1),
        ("step.succeeded", "b.on_error[0].tell", 1),
    ]
    assert "a.on_error[0].tell" in states(of(*facts))
    again = [("step.started", "a", 2), ("step.started", "b", 0, {"kind": "group", "done": 1, "failed": 0})]
    assert states(of(*facts, *again)) == {"a": "running", "b": "running", "b.x": "succeeded"}
    ended = [("step.failed", p, 1, {"handled": "value", "value": 1}) for p in "ab"]
    assert states(of(*facts, *ended)) == {"a": "failed", "b": "failed", "b.x": "succeeded"}


def test_end_blocks_run_again_for_every_owner():
    facts = [
        ("step.succeeded", "finally.clean", 1),
        ("step.started", "finally.each", 0, LOOP),
        ("step.succeeded", "finally.each[0]", 1),
        ("step.succeeded", "error_handlers[0].tell", 1),
        ("step.succeeded", "finally_not", 1),
    ]
    for found in (of(*facts), of(*facts, ("run.started", "", 0, {"resumed": True}))):
        assert (states(found), ends(found)) == ({"finally_not": "succeeded"}, {})


def test_a_revised_run_forgets_paths_what_is_below_and_the_ends_around_them():
    facts = [
        ("step.started", "outer", 0, {"kind": "group", "done": 0, "failed": 0}),
        ("step.succeeded", "outer.x", 1),
        ("step.started", "outer.each", 0, LOOP),
        *(("step.succeeded", f"outer.each[{index}]", 1) for index in range(3)),
        ("step.succeeded", "outer.each", 0),
        ("step.succeeded", "outer", 0),
        ("step.succeeded", "after", 1),
    ]
    found = of(*facts, ("run.revised", "", 0, {"forget": ["outer.each[1]", "after"]}))
    assert (states(found), ends(found)) == ({"outer.x": "succeeded"}, {"outer.each": {0: "succeeded", 2: "succeeded"}})
    before = of(*facts)
    assert before.without(["outer.each[1]", "after"]) == found
    assert before == of(*facts)
    assert of(*facts, ("run.revised", "", 0, {"forget": ["outer"]})).items == {}


def test_100_000_items_take_a_few_bytes_each():
    events = story(("step.started", "each", 0, LOOP))

    def all_events():
        yield from events
        for index in range(100_000):
            yield Event("r", 2 * index + 4, 0.0, "step.started", f"each[{index}].a", 1, {})
            yield Event("r", 2 * index + 4, 0.0, "step.succeeded", f"each[{index}].a", 1, {"output": index})
            yield Event("r", 2 * index + 5, 0.0, "step.succeeded", f"each[{index}]", 1, {"output": index})

    found = resume_state(all_events())
    assert list(found.steps) == ["each"]
    items = found.items["each"]
    assert (len(items), items.seq(99_999)) == (100_000, 200_003)
    assert sum(sys.getsizeof(getattr(items, name)) for name in ("_states", "_seqs")) < 10.5 * 100_000


# --- properties

_index = st.integers(0, 3)


@st.composite
def paths(draw: st.DrawFn) -> str:
    path = draw(st.sampled_from("ab"))
    for _ in range(draw(st.integers(0, 3))):
        path += (
            f"[{draw(_index)}]" if draw(st.booleans()) and not path.endswith("]") else f".{draw(st.sampled_from('xy'))}"
        )
    return path


_events = st.one_of(
    st.tuples(st.just("step.started"), paths(), st.just(1), st.just({})),
    st.tuples(st.just("step.started"), paths(), st.just(0), st.sampled_from([LOOP, ROUNDS])),
    st.tuples(st.just("step.succeeded"), paths(), st.just(1), st.fixed_dictionaries({"output": st.integers()})),
    st.tuples(
        st.just("step.failed"), paths(), st.just(1), st.sampled_from([{"handled": "fail"}, {"handled": "value"}])
    ),
    st.tuples(st.sampled_from(["step.cancelled", "step.requeued", "step.skipped"]), paths(), st.just(1), st.just({})),
    st.tuples(st.just("step.waiting"), paths(), st.just(1), st.just({"reason": "human", "question": QUESTION})),
    st.tuples(
        st.just("run.revised"),
        st.just(""),
        st.just(0),
        st.fixed_dictionaries({"forget": st.lists(paths(), max_size=2)}),
    ),
)


def live(facts: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The facts without those within an item that has ended."""
    ended: set[str] = set()
    kept = []
    for fact in facts:
        type, path, _, data = fact
        if any(is_at_or_below(path, item) for item in ended):
            continue
        if type in ("step.succeeded", "step.skipped") or data.get("handled") == "value":
            ended |= {path} if path.endswith("]") else set()
        forget = data.get("forget", [])
        ended = {i for i in ended if not any(is_at_or_below(i, f) or is_at_or_below(f, i) for f in forget)}
        kept.append(fact)
    return kept


@given(st.lists(_events, max_size=40))
@settings(max_examples=300)
def test_nothing_is_kept_below_an_ended_step_but_what_is_needed(facts):
    found = of(*live(facts))
    for path in (*found.steps, *found.items):
        around = path
        while around := parent_of(around):
            item = item_of(around)
            if item is not None and item[0] in found.items and found.items[item[0]].state(item[1]):
                # Only the last round of an unfinished loop is read again.
                assert around in found.steps
                assert around == f"{item[0]}[{item[1]}]"


@given(st.lists(_events, max_size=40), st.lists(paths(), max_size=2))
@settings(max_examples=300)
def test_forgetting_leaves_nothing_at_below_or_around(facts, forgotten):
    found = of(*facts).without(forgotten)
    for path in forgotten:
        for other in found.steps:
            assert not is_at_or_below(other, path)
            assert not is_at_or_below(path, other)
        item = item_of(path)
        if item is not None and item[0] in found.items:
            assert not found.items[item[0]].state(item[1])


@given(st.lists(st.tuples(_index, st.sampled_from(["", "succeeded", "failed", "skipped"]), st.integers(1, 99))))
def test_ends_of_items_are_those_that_were_set_last(changes):
    items, oracle = ItemEnds(), {}
    for index, state, seq in changes:
        items.set(index, state, seq)
        oracle[index] = (state, seq)
    ended = {index: end for index, end in oracle.items() if end[0]}
    assert {index: (items.state(index), items.seq(index)) for index in items} == ended
    assert (len(items), items.failed) == (len(ended), sum(state == "failed" for state, _ in ended.values()))
    assert items.copy() == items


# --- from the store


@given(st.lists(_events, max_size=25), st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_with_large_values_resolved_later_are_the_same(store: Store, journal: Journal, facts, large):
    run = journal.attach(create(store))
    for type, path, attempt, data in facts:
        more = {"output": "x" * 2 * LIMIT} if large and "output" in data else {}
        run.record(type, path, attempt, data | more)
    run.flush()
    events = store.events(run.run_id, resolve=True)
    assert store.put_values(resume_state(store.events(run.run_id))) == resume_state(events)
    seqs = [event.seq for event in events if event.type in ("step.succeeded", "step.failed")][::-1]
    by_seq = {event.seq: event.data for event in events}
    assert store.values_at(run.run_id, seqs) == [by_seq[seq].get("output") for seq in seqs]
