"""JSON is read as RFC 8259 has it, and never with a silent loss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.text.json_text import read_json

DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(DATA, st.booleans())
@example(1e300, False)
@example({"a": "😀", "b": 10**299, "c": 1e-310}, True)
def test_what_is_written_reads_back_as_the_same(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert repr(read_json(text)) == repr(value)
    assert repr(read_json("\ufeff" + text)) == repr(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("NaN", "NaN is not JSON"),
        ('{"x": -Infinity}', "-Infinity is not JSON"),
        ("[1e400]", "the number 1e400 is too large"),
        ("[-1E+999]", "the number -1E+999 is too large"),
        ("9" * 400 + ".5", "the number 99999999999999999999... is too large"),
        ("-" + "9" * 301, "has 301 digits, and at most 300 are read"),
        ("9" * 5000, "has 5,000 digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1', "expecting ',' delimiter at column 8"),
        ("[1,\n 2,\n x]", "line 3, column 2"),
        ("", "expecting value at column 1"),
        ('[{"a": 1, "b": {"c": 1, "d": 2, "c": 1}}]', "the key `c` stands twice in one object"),
        (r'{"a": 1, "\u0061": 2}', "the key `a` stands twice in one object"),
    ],
)
def test_what_is_not_json_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("[", "\\[").replace("+", "\\+")):
        read_json(text)


def test_halves_of_characters_are_joined_or_replaced() -> None:
    assert read_json(r'{"\ud83d\ude00": ["cut \ud83d", "\udc00\ud800", "\\ud83d"]}') == {
        "😀": ["cut \ufffd", "\ufffd\ufffd", "\\ud83d"]
    }
