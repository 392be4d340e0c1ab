"""Which regular expressions are allowed, and on which texts."""

from __future__ import annotations

import pytest

from orchestrator.expressions import regex
from orchestrator.expressions.scope import Failure

PROSE = "The quick fox, aged 12, jumped over 3 dogs. foo@example.com wrote: key = value; see https://a.b/c\n" * 2000


def find(pattern: str, text: str) -> list[object]:
    return regex.find_all(text, regex.compiled(pattern, ignorecase=False))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * 40 + "!"),
        ("(a|a)*$", "a" * 40 + "!"),
        ("(a|aa)+$", "a" * 40 + "!"),
        ("(.*)*x", "a" * 100),
        ("(?:a?a?)*b", "a" * 40),
        ("(a?){30}a{30}", "a" * 30),
        ("a?" * 30 + "a" * 30, "a" * 30),
        ("(a)?" * 30 + "a" * 30, "a" * 30),
        ("((a|a){9}){9}b", "a" * 90),
        ("(a+){9}b", "a" * 90),
        ("a+b", "a" * 50_000),
        (r"\w+\s+b", "a" * 50_000),
        ("a*a*b", "a" * 5_000),
        ("(a|b|c)+d", "a" * 50_000),
        (r"(\w+)\1b", "a" * 50_000),
        ("(?:a++)*b", "a" * 50_000),
        ("x" * 2000, "x"),
        ("(?x)a b", "ab"),
        ("(", "a"),
    ],
)
def test_a_pattern_that_could_take_forever_is_refused_before_it_begins(pattern: str, text: str) -> None:
    with pytest.raises(Failure):
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
    found = regex.search(answer, regex.compiled(r"```(?:json)?\s*([\s\S]*?)```", ignorecase=False), 1)
    assert found is not None
    assert found.startswith('{"a": 1}')
