"""Where a run stands whose steps consist of steps, or wait for people: from its events alone."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.journal import Event, RunFold, RunStatus, fold, fold_all, status_of
from orchestrator.journal.state.run_state import FAILURES
from tests.journal.support import event, story

QUESTION = {"kind": "ask", "prompt": "How many?", "answer": {"type": "integer"}}


def at_end(events: list[Event], **known: bool) -> RunStatus:
    return status_of(fold_all(events), events[-1].at, **known)


def active(status: RunStatus) -> dict[str, str]:
    return {step.path: step.state for step in status.active}


def test_a_loop_counts_its_items_and_reports_their_share():
    status = at_end(
        story(
            ("step.started", "each", 0, {"kind": "for_each", "of": 4, "done": 1, "failed": 0}),
            ("step.started", "each[1].a", 1),
            ("step.succeeded", "each[1].a", 1, {"output": 1}),
            ("step.succeeded", "each[1]", 0, {"output": 1}),
            ("step.started", "each[2].a", 1),
            ("step.failed", "each[2].a", 1, {"error": {"message": "no"}, "handled": "fail"}),
            ("step.failed", "each[2]", 0, {"error": {"message": "no"}, "handled": "continue"}),
            ("step.started", "each[3].a", 1),
            total=2,
        )
    )
    loop, inner = status.active
    assert (loop.path, loop.kind, loop.of, loop.done, loop.failed, loop.fraction) == ("each", "for_each", 4, 3, 1, 0.75)
    assert (inner.path, inner.state, inner.kind) == ("each[3].a", "running", "")
    assert status.progress == pytest.approx(0.75 / 2)
    assert {s: n for s, n in status.counts.items() if n} == {"running": 1, "pending": 1}
    assert status.failures == ("each[2]",)
    assert [step.path for step in status.running] == ["each[3].a"]


def test_each_composite_step_counts_its_direct_children():
    status = at_end(
        story(
            ("step.started", "review", 0, {"kind": "group", "of": 2, "done": 0, "failed": 0}),
            ("step.started", "review.rounds", 0, {"kind": "while", "done": 0, "failed": 0}),
            ("step.started", "review.rounds[0].both", 0, {"kind": "parallel", "of": 2, "done": 0, "failed": 0}),
            ("step.started", "review.rounds[0].both.left", 1),
            ("step.skipped", "review.rounds[0].both.right"),
            total=1,
        )
    )
    found = {step.path: (step.kind, step.done, step.of, step.fraction) for step in status.active}
    assert found == {
        "review": ("group", 0, 2, 0.0),
        "review.rounds": ("while", 0, None, None),
        "review.rounds[0].both": ("parallel", 1, 2, 0.5),
        "review.rounds[0].both.left": ("", 0, None, None),
    }


def test_nothing_inside_a_composite_step_is_active_after_its_end():
    facts = [
        ("step.started", "both", 0, {"kind": "parallel", "of": 2, "done": 0, "failed": 0}),
        ("step.started", "both.left", 1),
        ("step.waiting", "both.right", 1, {"reason": "human", "question": QUESTION}),
        ("step.started", "bother", 1),
    ]
    assert active(at_end(story(*facts))) == {
        "both": "running",
        "both.left": "running",
        "both.right": "waiting",
        "bother": "running",
    }
    assert active(at_end(story(*facts, ("step.succeeded", "both", 0, {"output": None})))) == {"bother": "running"}
    assert active(at_end(story(*facts, ("step.requeued", "both", 0, {"reason": "paused"})))) == {"bother": "running"}


def test_steps_of_end_blocks_are_shown_and_not_counted():
    status = at_end(
        story(
            ("step.started", "finally.clean", 1),
            ("step.started", "a.on_error[0].tell", 1),
            ("step.succeeded", "a.on_error[0].tell", 1),
            total=1,
        )
    )
    assert active(status) == {"finally.clean": "running"}
    assert (status.done, status.counts["pending"]) == (0, 1)


def test_a_run_that_cannot_continue_before_a_person_answers_is_waiting():
    question = ("step.waiting", "ask", 1, {"reason": "human", "question": QUESTION})
    sleep = ("step.waiting", "nap", 1, {"reason": "time", "until": 5000.0})
    loop = ("step.started", "loop", 0, {"kind": "for_each", "of": 1, "done": 0, "failed": 0})
    work = ("step.started", "work", 1)
    retry = ("step.waiting", "work", 1, {"reason": "retry"})
    assert at_end(story(question)).state == "waiting"
    assert (
        at_end(story(loop, ("step.waiting", "loop[0]", 1, {"reason": "human", "question": QUESTION}))).state
        == "waiting"
    )
    assert at_end(story(question, sleep)).state == "waiting"
    assert at_end(story(sleep)).state == "running"
    assert at_end(story(question, work)).state == "running"
    assert at_end(story(question, work, retry)).state == "running"
    assert at_end(story(question, ("run.paused", "", 0, {"by": "ann"}))).state == "paused"
    assert at_end(story()).state == "running"


def test_a_run_without_an_owner_waits_for_a_person_but_not_for_a_time():
    question = ("step.waiting", "ask", 1, {"reason": "human", "question": QUESTION})
    sleep = ("step.waiting", "nap", 1, {"reason": "time", "until": 5000.0})
    assert at_end(story(question, sleep), interrupted=True).state == "waiting"
    assert at_end(story(sleep), interrupted=True).state == "interrupted"
    answered = ("step.answered", "ask", 0, {"value": 3, "by": "ann"})
    assert at_end(story(question, answered), interrupted=True).state == "interrupted"
    assert at_end(story(question, answered)).state == "running"


def test_a_step_that_waits_for_a_person_has_its_question_and_whether_it_was_answered():
    facts = story(("step.started", "ask", 1), ("step.waiting", "ask", 1, {"reason": "human", "question": QUESTION}))
    status = at_end(facts)
    assert (status.active[0].question, status.active[0].answered) == (QUESTION, False)
    assert status.waiting_on == ("ask: an answer",)
    assert json.loads(json.dumps(status.to_dict()))["active"][0]["question"] == QUESTION
    status = at_end([*facts, event(len(facts) + 1, "step.answered", "ask", value=3, by="ann")])
    assert (status.active[0].answered, status.waiting_on) == (True, ("ask: its owner to accept the answer",))


def test_a_wait_for_a_person_or_a_time_outlives_the_owner():
    facts = [
        ("step.started", "loop", 0, {"kind": "for_each", "of": 2, "done": 0, "failed": 0}),
        ("step.waiting", "loop[0]", 1, {"reason": "human", "question": QUESTION}),
        ("step.started", "loop[1]", 1),
        ("step.waiting", "nap", 1, {"reason": "time", "until": 5000.0}),
        ("step.waiting", "finally.ask", 1, {"reason": "human", "question": QUESTION}),
        ("step.waiting", "busy", 1, {"reason": "retry", "until": 5000.0}),
        ("run.started", "", 0, {"resumed": True}),
    ]
    assert active(at_end(story(*facts))) == {"loop[0]": "waiting", "nap": "waiting"}
    again = ("step.waiting", "loop[0]", 1, {"reason": "human", "question": QUESTION})
    first, second = (fold_all(story(*more)).active["loop[0]"] for more in (facts, [*facts, again]))
    assert first == second


def test_the_clock_stops_while_a_run_waits_only_for_people():
    events = [
        event(1, "run.created", steps=2),
        Event("r", 2, 10.0, "run.started"),
        Event("r", 3, 11.0, "step.waiting", "ask", 1, {"reason": "human", "question": QUESTION}),
        Event("r", 4, 900.0, "step.answered", "ask", 0, {"value": 1, "by": "ann"}),
        Event("r", 5, 901.0, "step.succeeded", "ask", 1, {"output": 1}),
        Event("r", 6, 905.0, "run.succeeded"),
    ]
    assert status_of(fold_all(events[:3]), 500.0).elapsed == 1.0
    assert status_of(fold_all(events[:4]), 900.5).elapsed == 1.5
    assert status_of(fold_all(events), 1000.0).elapsed == 6.0


def test_a_moving_run_is_not_reported_as_waiting():
    events = story(
        ("step.waiting", "ask", 1, {"reason": "human", "question": QUESTION}),
        ("step.started", "a", 1),
        ("step.succeeded", "a", 1),
    )
    assert at_end(events, moving=True).state == "running"
    assert at_end(events).state == "waiting"
    assert at_end(events, moving=True, interrupted=True).state == "waiting"


def test_a_revised_run_has_forgotten_what_runs_again():
    facts = story(
        ("step.succeeded", "a", 1),
        ("step.failed", "b", 1, {"handled": "continue"}),
        ("step.failed", "loop[3]", 1, {"handled": "continue"}),
        ("step.succeeded", "loop", 0),
        ("step.failed", "c", 1, {"handled": "fail"}),
        ("run.failed", "", 0, {"error": {"message": "no"}, "step": "c"}),
        ("run.revised", "", 0, {"forget": ["loop[3]", "b"], "settled": {"succeeded": 1, "skipped": 0, "failed": 0}}),
        ("run.started", "", 0, {"resumed": True}),
        total=5,
    )
    status = at_end(facts)
    assert {s: n for s, n in status.counts.items() if n} == {"succeeded": 1, "pending": 4}
    assert status.failures == ()


def test_nothing_is_active_in_a_run_that_has_ended():
    events = story(
        ("step.waiting", "ask", 1, {"reason": "human", "question": QUESTION}), ("run.cancelled", "", 0, {"by": "ann"})
    )
    status = at_end(events)
    assert (status.active, status.waiting_on, status.counts["pending"]) == ((), (), 4)


@given(st.integers(1, 64), st.booleans(), st.sampled_from([0.0, 0.01, 1.0]), st.integers())
@settings(max_examples=4)
def test_the_state_of_a_loop_of_100_000_items_is_as_small_as_what_runs_at_once(places, body, failing, seed):
    """Items start in order, at most `places` at once, and end in any order."""
    items, chance = 100_000, Random(seed)
    state = fold_all(story(("step.started", "each", 0, {"kind": "for_each", "of": items, "done": 0, "failed": 0})))
    seq, begun, failed, at_work = state.last_seq, 0, 0, []

    def record(type, path, data=None) -> None:
        nonlocal seq
        seq += 1
        fold(state, Event("r", seq, 1000.0 + seq, type, path, 1, data or {}))

    for ended in range(items):
        while begun < items and len(at_work) < places:
            record("step.started", f"each[{begun}].work" if body else f"each[{begun}]")
            at_work.append(begun)
            begun += 1
        place = chance.randrange(len(at_work))
        at_work[place], at_work[-1] = at_work[-1], at_work[place]
        item = at_work.pop()
        fails = chance.random() < failing
        failed += fails
        if body:
            record("step.failed" if fails else "step.succeeded", f"each[{item}].work", {"handled": "fail"})
        record("step.failed" if fails else "step.succeeded", f"each[{item}]", {"handled": "continue"})
        assert len(state.active) <= places
        assert state.size <= places + FAILURES
        if ended % 20_000 == 10_000:
            text = json.dumps(state.to_dict())
            assert len(text) < 1_000 + 200 * places + 20 * FAILURES
            assert RunFold.from_dict(json.loads(text)) == state
            loop = status_of(state, 0.0).active[0]
            assert (loop.done, loop.failed, loop.fraction) == (ended + 1, failed, (ended + 1) / items)
    record("step.succeeded", "each")
    assert (state.active, state.below, state.weight) == ({}, {}, 0)
    assert state.succeeded == 1
