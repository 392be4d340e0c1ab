"""Accumulators: a round records what was added to them, and readers get the same values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.journal.state import accumulators as module
from orchestrator.journal.state.accumulators import RoundState, RoundStates, addition, folded
from orchestrator.text.json_pieces import encode

scalars = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from([0.0, 1.0]) | st.text("ab", max_size=3)
pieces = st.lists(scalars, max_size=3) | st.text("ab", max_size=3) | st.dictionaries(st.sampled_from("abcd"), scalars)


def joined(before: Any, more: Any) -> Any:
    """An update as expressions make it: a new value that shares the parts of the old one."""
    if type(before) is not type(more) or before is None:
        return more
    return {**before, **more} if isinstance(before, dict) else before + more


def recorded(states: RoundStates, values: dict[str, Any], *, texts: bool = True) -> RoundState:
    state = states.next(values, texts=texts)
    states.recorded(state, len(encode([state.state, state.appended])))
    return state


@given(st.lists(st.dictionaries(st.sampled_from(["x", "y"]), pieces), max_size=12), st.booleans(), st.integers(0, 40))
def test_the_values_after_each_round_can_be_read(rounds: list[dict[str, Any]], texts: bool, whole_from: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WORTHWHILE", 1)
        patch.setattr(module, "WHOLE_FROM", whole_from)
        states, read = RoundStates(), list[RoundState]()
        values: dict[str, Any] = {"x": [], "y": ""}
        for update in rounds:
            values = values | {name: joined(values[name], more) for name, more in update.items()}
            state = recorded(states, values, texts=texts)
            read = [*read, state] if state.appended else [state]
            assert encode(sorted(folded(read).items())) == encode(sorted(values.items()))
            assert texts or not any(isinstance(each, str) for each in state.appended.values())


def test_what_rounds_record_grows_with_what_is_added_and_not_with_its_square() -> None:
    states, notes, total, longest = RoundStates(), list[str](), 0, 0
    chain = 0
    for number in range(5_000):
        notes = [*notes, f"note {number}"]
        state = recorded(states, {"notes": notes, "count": number})
        chain = chain + 1 if state.appended else 0
        longest = max(longest, chain)
        total += len(encode([state.state, state.appended]))
    assert total < 10 * len(encode(notes))
    assert longest < 4_000  # readers need not begin at the first round


def test_a_small_accumulator_is_recorded_as_it_is() -> None:
    states = RoundStates()
    assert recorded(states, {"n": [1]}) == RoundState({"n": [1]})
    assert recorded(states, {"n": [1, 2]}) == RoundState({"n": [1, 2]})


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        ([1, "a"], [1, "a", None], [None]),
        ([1, "a"], [1, "a"], []),
        ([1], [1.0, 2], None),
        ([1], [True], None),
        ([1, 2], [1], None),
        ([1, 2], [2, 1, 3], None),
        ("ab", "abc", "c"),
        ("ab", "ba", None),
        ({"a": 1}, {"a": 1, "b": 2}, {"b": 2}),
        ({"a": 1}, {"b": 2, "a": 1}, None),
        ({"a": 1, "b": 2}, {"a": 1}, None),
        ({"a": 1}, {"a": 1.0, "b": 2}, None),
    ],
)
def test_an_addition_is_what_is_new_at_the_end(before: Any, after: Any, more: Any) -> None:
    assert encode(addition(before, after)) == encode(more)


@pytest.mark.parametrize(
    "rounds",
    [
        [RoundState({}, {"a": [1]})],
        [RoundState({"a": 1}), RoundState({}, {"a": [1]})],
        [RoundState({"a": "b"}), RoundState({}, {"a": [1]})],
    ],
)
def test_additions_to_nothing_are_refused(rounds: list[RoundState]) -> None:
    with pytest.raises((KeyError, TypeError)):
        folded(rounds)
