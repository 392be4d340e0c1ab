"""What the folds of a run make of successes that are undone."""

from __future__ import annotations

from typing import Any

from orchestrator.journal import resume_state, step_records
from orchestrator.journal.state.fold import fold_all
from tests.journal.support import story

UNDO = {"line": 3, "names": {"output": {"value": 1}}}
BOOKED = (
    ("step.started", "a", 1),
    ("step.succeeded", "a", 1, {"output": 1, "undo": UNDO}),
    ("step.succeeded", "b", 1, {"output": 2}),
    ("step.succeeded", "c", 1, {"output": 3}),
    ("step.failed", "d", 1, {"error": {"message": "no", "code": "ORC701"}, "handled": "fail"}),
    ("run.compensating", "", 0, {"error": {"message": "no"}}),
    ("step.started", "a.undo.revert", 1),
    ("step.succeeded", "a.undo.revert", 1, {"output": None}),
)


def undone(of: int, *forget: str, **reopened: int) -> tuple[Any, ...]:
    return ("step.undone", forget[0], 0, {"of": of, "forget": list(forget), "reopened": reopened})


def test_an_undone_success_and_what_depends_on_it_is_not_done_for_the_next_owner():
    events = story(*BOOKED)
    (success,) = resume_state(events).undoable.values()
    assert (success.path, success.undo) == ("a", UNDO)
    after = resume_state(story(*BOOKED, undone(next(iter(resume_state(events).undoable)), "a", "b", succeeded=2)))
    assert list(after.steps) == ["c"]
    assert not after.undoable
    assert after.again.keys() == {"a", "b"}
    assert list(after.compensating) == [""]
    assert not resume_state(story(*BOOKED, ("run.compensated", "", 0, {}))).compensating


def test_the_end_of_undoing_the_run_ends_that_of_its_groups_and_a_retry_gives_it_up():
    begun = (*BOOKED, ("run.compensating", "", 0, {"within": "g.h"}))
    assert resume_state(story(*begun)).compensating.keys() == {"", "g.h"}
    assert resume_state(story(*begun, ("run.compensated", "", 0, {"within": "g"}))).compensating.keys() == {""}
    assert not resume_state(story(*begun, ("run.compensated", "", 0, {}))).compensating
    retried = resume_state(story(*begun, ("run.revised", "", 0, {"reason": "retry", "forget": ["d"]})))
    assert retried.compensating.keys() == {"g.h"}
    edited = resume_state(story(*begun, ("run.revised", "", 0, {"reason": "with", "forget": ["d"]})))
    assert edited.compensating.keys() == {"", "g.h"}


def test_the_status_counts_only_what_was_not_undone():
    events = story(*BOOKED, undone(3, "a", "b", succeeded=2))
    folded = fold_all(events)
    assert (folded.succeeded, folded.compensating) == (1, 1)
    assert fold_all(story(*BOOKED, ("run.compensated", "", 0, {}))).compensating == 0


def test_a_step_that_was_undone_is_pending_with_its_undo_until_it_begins_again():
    found = step_records(story(*BOOKED, undone(3, "a", "b", succeeded=2)))
    assert {path: (each.state, each.reason) for path, each in found.items()} == {
        "a": ("pending", "undone"),
        "a.undo.revert": ("succeeded", ""),
        "c": ("succeeded", ""),
        "d": ("failed", ""),
    }
    again = step_records(
        story(*BOOKED, undone(3, "a", "b", succeeded=2), ("run.started", "", 0, {"resumed": True}), BOOKED[0])
    )
    assert {path: each.state for path, each in again.items()} == {"a": "running", "c": "succeeded", "d": "pending"}
