"""The JSON of large values in pieces is the same as at once, and no piece is large."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.text import json_pieces as module
from orchestrator.text.json_pieces import PIECE, encode, is_large, json_pieces, weight

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=5), inner, max_size=8),
    max_leaves=60,
)

LARGE: dict[str, Any] = {
    "text": 'a "word"\n' * PIECE,
    "text beyond ASCII": "ä☀\U0001f600" * PIECE,
    "numbers": list(range(3 * PIECE)),
    "short texts": ["x" * 40] * 50_000,
    "long texts": ["x" * (PIECE + 1)] * 3 + [1],
    "fields": {f"key {number}": number for number in range(60_000)},
    "nested": [{"a": ["b" * 500] * 3_000, "c": [[]]}, {}, []],
}


@given(json_values)
def test_a_value_in_pieces_is_its_json(value: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", 8)
        patch.setattr(module, "_ITEMS_AT_ONCE", 3)
        assert "".join(json_pieces(value)) == encode(value)


@pytest.mark.parametrize("name", LARGE)
def test_no_piece_of_a_large_value_is_large(name: str) -> None:
    pieces = list(json_pieces(LARGE[name]))
    assert "".join(pieces) == encode(LARGE[name])
    assert max(map(len, pieces)) < 10 * PIECE


@pytest.mark.parametrize("name", LARGE)
def test_a_value_is_weighed_no_further_than_needed(name: str) -> None:
    assert weight(LARGE[name], 1_000) >= 1_000
    assert is_large({"small": 1, "value": LARGE[name]})


@given(json_values)
def test_the_weight_of_a_value_is_about_the_length_of_its_json(value: Any) -> None:
    assert weight(value, 10**9) <= 4 * len(encode(value)) + 4
    assert not is_large({"value": value})
