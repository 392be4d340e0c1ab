"""What a fake model answers where a schema is asked for and nothing is scripted."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator.models.clients.schema_sample import NoSample, sample_of


def test_a_sample_has_all_fields_and_the_least_of_each() -> None:
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "email": {"type": "string", "format": "email"},
            "kind": {"enum": ["novel", "poem"]},
            "count": {"type": "integer", "minimum": 3},
            "note": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "tags": {"type": "array", "items": {"type": "string", "minLength": 8}},
        },
        "required": ["title"],
    }
    assert sample_of(schema) == {
        "title": "sample",
        "email": "ada@example.com",
        "kind": "novel",
        "count": 3,
        "note": 0,
        "tags": ["sample--"],
    }


def test_references_within_a_schema_are_followed_even_in_cycles() -> None:
    schema = {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "next"],
            }
        },
        "$ref": "#/$defs/node",
    }
    assert Draft202012Validator(schema).is_valid(sample_of(schema))


names = st.sampled_from(
    ["title", "summary", "email", "date", "url", "total", "tags", "people", "label", "paid", "id", "x"]
)
leaves = st.one_of(
    st.builds(dict, type=st.sampled_from(["string", "boolean", "null"])),
    st.builds(
        lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span},
        st.integers(-9, 9),
        st.integers(0, 5),
    ),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.integers(-9, 9)),
    st.builds(lambda high: {"type": "number", "exclusiveMaximum": high}, st.integers(-9, 9)),
    st.builds(
        lambda step, low: {"type": "integer", "multipleOf": step, "minimum": low},
        st.integers(1, 7),
        st.integers(-9, 99),
    ),
    st.builds(lambda least: {"type": "string", "minLength": least, "maxLength": least + 3}, st.integers(0, 40)),
    st.builds(
        lambda each: {"enum": each}, st.lists(st.sampled_from(["good", "bad", 3, None]), min_size=1, unique=True)
    ),
    st.builds(lambda kind: {"type": [kind, "null"]}, st.sampled_from(["string", "integer", "array", "object"])),
)
schemas = st.recursive(
    leaves,
    lambda each: st.one_of(
        st.builds(
            lambda properties, closed: {
                "type": "object",
                "properties": properties,
                "required": list(properties)[::2],
                "additionalProperties": not closed,
            },
            st.dictionaries(names, each, max_size=4),
            st.booleans(),
        ),
        st.builds(
            lambda items, least, more: {"type": "array", "items": items, "minItems": least, "maxItems": least + more},
            each,
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(each, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(schemas)
def test_every_sample_satisfies_its_schema(schema: dict[str, Any]) -> None:
    assert Draft202012Validator(schema).is_valid(sample_of(schema))


def test_a_schema_without_a_known_sample_is_refused() -> None:
    with pytest.raises(NoSample):
        sample_of({"type": "string", "pattern": "^[A-F]{12}$"})
