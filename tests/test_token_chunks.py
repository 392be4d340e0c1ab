from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.text.token_chunks import chunks
from orchestrator.text.tokens import tokens_of

TEXTS = st.text(st.sampled_from("ab .!?\n\t,é東🌊"), max_size=400)


@settings(max_examples=300)
@given(TEXTS, st.integers(1, 40))
@example("", 1)
@example("🌊🌊🌊", 1)
def test_nothing_is_lost_and_nothing_is_over_the_size(text: str, size: int) -> None:
    found = chunks(text, size)
    assert "".join(found) == text
    assert all(0 < tokens_of(chunk) <= size for chunk in found)


@settings(max_examples=100)
@given(TEXTS, st.integers(1, 40))
def test_two_neighbours_would_never_have_fitted_into_one(text: str, size: int) -> None:
    found = chunks(text, size)
    assert all(tokens_of(one + two) > size for one, two in pairwise(found))


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("One two.\n\nThree four.\n\nFive.", 6, ["One two.\n\nThree four.\n\n", "Five."]),
        ("One two.\nThree four.\nFive.", 6, ["One two.\nThree four.\n", "Five."]),
        ("One two. Three four. Five six.", 3, ["One two. ", "Three four. ", "Five six."]),
        ("one two three four five", 3, ["one two ", "three four ", "five"]),
        ("abcdefghij", 1, ["abcd", "efgh", "ij"]),
    ],
)
def test_a_text_is_cut_where_it_hurts_least(text: str, size: int, expected: list[str]) -> None:
    assert chunks(text, size) == expected


def test_a_size_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold anything"):
        chunks("text", 0)


def test_a_long_text_without_any_place_to_cut_is_cut_all_the_same_and_soon() -> None:
    assert sum(map(len, chunks("x" * 2_000_000, 1000))) == 2_000_000
