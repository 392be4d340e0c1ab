"""What a run keeps of the durations of its steps, and what later runs make of it."""

from __future__ import annotations

import pytest

from orchestrator.runtime.queue.step_times import MOST_STEPS, PastDurations, StepTimes


def times(past: StepTimes | None = None, **seconds: float) -> StepTimes:
    """The times of a run in which steps waited, after an earlier one."""
    found = StepTimes(past.left_for_later() if past is not None else None)
    assert found.past is not None
    for path, each in seconds.items():
        found.note(path, each)
    return found


def left(run: StepTimes) -> PastDurations:
    return StepTimes(run.left_for_later()).past


def test_a_run_in_which_no_step_waited_leaves_nothing():
    run = StepTimes()
    run.note("a", 1.0)
    assert run.left_for_later() is None


def test_later_runs_read_the_mean_with_what_was_known():
    first = times(a=1.0, b=2.0)
    assert left(first).seconds == {"a": 1.0, "b": 2.0}
    assert left(times(first, a=3.0, c=5.0)).seconds == {"a": 2.0, "c": 5.0}


def test_the_items_of_a_loop_have_one_duration():
    run = times()
    for number, seconds in enumerate((1.0, 2.0, 6.0)):
        run.note(f"loop[{number}].a", seconds)
    run.note("loop", 9.0)
    assert left(run).seconds == {"loop[*].a": 3.0, "loop": 9.0}


def test_a_bounded_number_of_durations_is_kept_and_the_mean_of_the_others():
    run = times(**{f"s{number}": float(number) for number in range(MOST_STEPS + 3)})
    assert min(left(run).seconds.values()) == 3.0
    assert len(left(run).seconds) == MOST_STEPS
    assert left(run).usual == 1.0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seconds": {"a": "x"}}', '{"seconds": {"a": -1}}'])
def test_what_cannot_be_read_is_not_known(text: str):
    assert StepTimes(text).past == PastDurations()
