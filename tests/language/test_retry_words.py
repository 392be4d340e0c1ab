"""How many attempts the words for a retry mean, and that the schema for editors says so."""

import json

import pytest

from orchestrator.language import read_document
from orchestrator.language.reference.schema import json_schema


@pytest.mark.parametrize(
    ("written", "attempts"),
    [
        ("retry: 2", 2),
        ("retry: {max_attempts: 2}", 2),
        ("max_attempts: 2", 2),
        ("max_retries: 2", 3),
        ("retries: 2", 3),
        ("retry: {max_retries: 2}", 3),
        ("retry: {retries: 2}", 3),
    ],
)
def test_attempts_count_all_and_retries_those_after_the_first(written: str, attempts: int) -> None:
    document = read_document(f"steps:\n  - id: a\n    tool: log\n    parameters: {{message: x}}\n    {written}\n")
    assert document.diagnostics == ()
    retry = document.spec.steps[0].retry
    assert retry is not None
    assert retry.max_attempts == attempts


def test_the_schema_says_what_is_counted() -> None:
    text = json.dumps(json_schema())
    assert "The total number of attempts, including the first: 2 allows one retry." in text
    assert "`max_retries: 2` means two retries after the first attempt, so three" in text
