"""Plain scalars by the core schema of YAML 1.2."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.language import read_document
from orchestrator.language.yaml.scalars import resolve_scalar
from orchestrator.text.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[
            (word, word)
            for word in ("no", "yes", "on", "off", "Null!", "12:30", "1_000", "0b1", "2024-01-01", "+", "-", ".")
        ],
        *[(word, None) for word in ("", "~", "null", "Null", "NULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[("012", 12), ("-7", -7), ("+7", 7), ("0o17", 15), ("0xfF", 255), ("0", 0)],
        *[("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-1.5E-2", -0.015)],
    ],
)
def test_a_plain_scalar_is_what_it_looks_like(text: str, value: Any) -> None:
    found = resolve_scalar(text)
    assert (type(found), found) == (type(value), value)


def test_a_quoted_scalar_is_always_text() -> None:
    spec = read_document("variables: {a: '1', b: \"true\", c: 'null'}\nsteps: []\n").spec
    assert spec.variables == {"a": "1", "b": "true", "c": "null"}


@pytest.mark.parametrize("word", [".inf", "-.INF", ".nan"])
def test_a_number_that_json_cannot_hold_is_refused(word: str) -> None:
    codes = [
        found.code for found in read_document(f"variables:\n  a: {word}\nsteps: [{{id: a, tool: x}}]\n").diagnostics
    ]
    assert codes == ["ORC205"]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *[(30, 30), (1.5, 1.5), ("30", 30), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25)],
        *[("2d", 172800), ("1.5h", 5400), (" 2 min ", 120), ("1 Hour 5 seconds", 3605), (0, 0)],
    ],
)
def test_a_duration_is_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", ["", "5 parsecs", "-3", "-3s", -1, "m5", "5m5m", True, None, [], "1h30", float("inf")]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_duration(written)


@pytest.mark.parametrize("seconds", [0, 0.25, 1, 59.5, 60, 5400, 90061])
def test_a_written_duration_reads_as_the_same(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)
