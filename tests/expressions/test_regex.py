"""The regular expressions of filters."""

from __future__ import annotations

import pytest

from orchestrator.expressions.builtins import regex_filters
from orchestrator.expressions.evaluation.scope import OperationError

PROSE = "The quick fox, aged 12, jumped over 3 dogs. foo@example.com wrote: key = value; see https://a.b/c\n" * 2000


def find(pattern: str, text: str) -> list[object]:
    return regex_filters.find_all(text, regex_filters.compiled(pattern, ignorecase=False))


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("(a+)+$", "a" * 40 + "!", 0),
        ("(a|a)*$", "a" * 40 + "!", 1),
        ("(a|aa)+$", "a" * 40 + "!", 0),
        ("(.*)*x", "a" * 100, 0),
        ("(?:a?a?)*b", "a" * 40, 0),
        ("(a?){30}a{30}", "a" * 30, 1),
        ("a?" * 30 + "a" * 30, "a" * 30, 1),
        ("((a|a){9}){9}b", "a" * 90, 0),
        ("(a+){9}b", "a" * 90, 0),
        ("a+b", "a" * 1_000_000, 0),
        (r"\w+\s+b", "a" * 1_000_000, 0),
        ("a*a*b", "a" * 1_000_000, 0),
        ("(a|b|c)+d", "a" * 1_000_000, 0),
        ("[а-г]*[б-д]*[б-е]*z", "б" * 1_000_000, 0),
        ("(?i)(ß|ss)*x", "ss" * 1_000, 0),
        ("x" * 2000, "x", 0),
        ("(?x)a b", "ab", 1),
        (r"(\s|\u3000)*$", "\u3000" * 1_000 + "x", 1),
    ],
)
def test_a_pattern_that_a_backtracking_engine_never_ends_with_has_its_matches(
    pattern: str, text: str, found: int
) -> None:
    assert len(find(pattern, text)) == found


@pytest.mark.parametrize(
    ("pattern", "text", "said"),
    [
        (r"(\w+)\1b", "aab", "back to a group"),
        ("(", "a", "unterminated"),
        ("a*b|a", "a" * 1_000_000, "processor time"),
        ("(a?){1000}(a?){1000}b", "a" * 1_000_000, "too large for a text of 1,000,000 characters"),
        ("(((a{100}){100}){100}){100}", "a", "repeats too much"),
    ],
)
def test_what_would_take_too_long_is_refused(pattern: str, text: str, said: str) -> None:
    with pytest.raises(OperationError, match=said):
        find(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (r"\w+@\w+\.\w+", 2000),
        (r"\d+", 4000),
        (r"\s*(\w+)\s*=\s*(\w+)", 2000),
        (r"(?:quick|slow) (?:fox|dog)", 2000),
        (r"https?://[^\s)]+", 2000),
        (r"<[^>]+>", 0),
        (r"(?s)\{.*\}", 0),
        (r"[A-Z]\w+(?: [a-z]\w+)*", 2000),
        (r"(\d{1,3}\.){3}\d{1,3}", 0),
        (r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", 4000),
        (r"(?m)^The .*$", 2000),
        (r"\b(foo|bar)\b", 2000),
        (r"(?i)THE", 2000),
    ],
)
def test_what_people_write_works_on_long_texts(pattern: str, matches: int) -> None:
    assert len(find(pattern, PROSE)) == matches


def test_a_fenced_block_is_found_in_a_long_answer() -> None:
    answer = PROSE + "```json\n" + '{"a": 1}\n' * 500 + "```\n" + PROSE
    found = regex_filters.search_match(
        answer, regex_filters.compiled(r"```(?:json)?\s*([\s\S]*?)```", ignorecase=False), 1
    )
    assert found is not None
    assert found.startswith('{"a": 1}')
