"""PyYAML is built with libyaml or without; pipelines are read alike."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.language import read_document
from orchestrator.language.yaml.events import EventParser

PIPELINE = """\
steps:
  - id: idea
    prompt: Suggest a talk.
    schema: {title: string, score?: number, minutes: integer?, by: [{name: string?}], kind: one|two}
"""
WORDS = ["number?", "score?: ", "a?b", "?b", "a", "{", "}", "[", "]", ": ", ", ", " ", "\n", "- ", "x: ", "|"]


def told(parser: Any) -> list[tuple[str, Any]] | None:
    found = []
    try:
        while (event := parser.get_event()) is not None:
            found.append((type(event).__name__, getattr(event, "value", None)))
    except yaml.YAMLError:
        return None
    return found


def test_a_field_that_may_be_missing_is_read_without_libyaml_too(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_document(PIPELINE)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    found = read_document(PIPELINE)
    assert not found.diagnostics
    assert found.spec == expected.spec


@given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
def test_both_parsers_tell_the_same(text: str) -> None:
    assert told(EventParser(text)) == told(yaml.cyaml.CParser(text))
