"""What is written as YAML reads back as what it was: by our reader, which follows YAML 1.2, and by those of 1.1."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.diagnostics import Source
from orchestrator.language.yaml.nodes import plain_data
from orchestrator.language.yaml.reader import read_tree
from orchestrator.language.yaml.writer import write_yaml

WORDS = st.sampled_from(
    [
        *("5e10", "1e400", "0x1F", "0o17", "017", "1_000", "12:30", "1.", ".5", "+1", "-", "~", "null", "Null", "yes"),
        *("No", "on", "true", "True", "=", "<<", ".inf", ".NaN", "2026-01-02", "2026-01-02T03:04:05Z", "9" * 400),
        *("", " ", "a ", " a", "\t", "\tx", "\tx\ny", "a\n", "a\n\n", "\na", "a\n b", "  a\nb", "a\r\nb", "a\tb\nc"),
        *("a\u2028b", "a\u2029", "\x85a", "a\nb\u2028c", "\ufeffa", "a\ufeff\nb", "\x00", "\x7f", "\x9f", "😀", "a: b"),
        *(
            "# a",
            "a #b",
            "- a",
            "? a",
            "[a",
            "{{ a }}",
            "{% a %}",
            "'",
            '"',
            "\\u0041",
            "!a",
            "&a",
            "*a",
            "%a",
            "@a",
            "`",
        ),
        *("---", "a\n---\nb", "a\n...\n", "x" * 150, ("word " * 60).strip(), "word " * 60 + "\n" + "word " * 60),
    ]
)
TEXTS = WORDS | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(10**250, 10**299)
VALUES = st.recursive(
    TEXTS | NUMBERS | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("width", [110, 2**31 - 1])
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
@example({"sha": "5e10", "one": {"5e10": "\tx\ny"}, "two": ["a\u2028b", 1e-7, -0.0, 1e300]})
def test_what_is_written_reads_back_as_the_same(width: int, value: dict[str, Any]) -> None:
    text = write_yaml(value, width=width)
    reading = read_tree(Source.of("out.yaml", text))
    assert reading.diagnostics == [] or not value
    assert reading.root is None or repr(plain_data(reading.root)) == repr(value)
    assert yaml.safe_load(text) == value
