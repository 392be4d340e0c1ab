"""Values against schemas: the keywords that are bounded here, formats by dialect, older drafts, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator.json_schema import ReferenceMissing, ValidationTooLong, embedded, faults, is_valid, modern, violations

LATEST = "https://json-schema.org/draft/2020-12/schema"
SEVENTH = "http://json-schema.org/draft-07/schema#"

NAMES = st.sampled_from(["a", "b", "ab", "x1", "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2, width=16) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
PATTERNS = st.sampled_from(["^a", "b$", "[a-c]+", ".", "1"])


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    tables = st.dictionaries(NAMES, inner, max_size=3)
    lists = st.lists(inner, min_size=1, max_size=2)
    keys: dict[str, st.SearchStrategy[Any]] = {
        "properties": tables,
        "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "additionalProperties": inner,
        "unevaluatedProperties": inner,
        "dependentSchemas": tables,
        "allOf": lists,
        "anyOf": lists,
        "oneOf": lists,
        "if": inner,
        "then": inner,
        "else": inner,
        "not": inner,
        "items": inner,
        "prefixItems": lists,
        "unevaluatedItems": inner,
        "uniqueItems": st.booleans(),
        "multipleOf": st.sampled_from([1, 2, 3]),
        "pattern": PATTERNS,
        "type": st.sampled_from(["string", "number", "object", "array", "null"]),
        "required": st.lists(NAMES, max_size=2, unique=True),
    }
    return st.lists(st.sampled_from(list(keys)), max_size=3, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({key: keys[key] for key in chosen})
    )


SCHEMAS = st.recursive(st.booleans() | st.just({"type": "string"}), schemas, max_leaves=12)


@settings(max_examples=300)
@given(SCHEMAS, VALUES)
def test_a_value_is_valid_where_the_library_finds_it_so(schema: Any, value: Any) -> None:
    assert is_valid(schema, value) == Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^(a+)+$"},
        {"pattern": "^([a-z0-9]+-?)+$"},
        {"patternProperties": {"^(a+)+$": False}, "propertyNames": {"pattern": "(a|a)*$"}},
        {"patternProperties": {"^(a+)+$": True}, "additionalProperties": True},
        {"allOf": [{"patternProperties": {"^(a|aa)+$": True}}], "unevaluatedProperties": {"type": "integer"}},
        {"format": "regex"},
    ],
)
def test_no_pattern_takes_forever(schema: Any) -> None:
    assert faults(schema) == []
    violations(schema, "a" * 60 + "!")
    violations(schema, {"a" * 60 + "!": 1})


def test_a_format_that_is_a_pattern_is_read_and_not_searched() -> None:
    assert is_valid({"format": "regex"}, "(a+)+$")
    assert is_valid({"format": "regex"}, r"(?=a)\p{L}(b)\1")
    assert not is_valid({"format": "regex"}, "(a")


@pytest.mark.parametrize(
    ("value", "unique"),
    [
        ([1, True, 0, False, "1", None], True),
        ([1, 1.0], False),
        ([{"a": 1, "b": [True]}, {"b": [True], "a": 1.0}], False),
        ([{"a": 1}, {"a": True}], True),
        ([[1], [True]], True),
        ([{"n": index} for index in range(20_000)], True),
    ],
)
def test_items_are_unique_by_their_values_in_linear_time(value: Any, unique: bool) -> None:
    assert is_valid({"uniqueItems": True}, value) is unique


@pytest.mark.parametrize(
    ("factor", "number", "holds"),
    [(0.01, 19.99, True), (0.0001, 0.0075, True), (0.3, 1, False), (0.5, 10**400, True), (3, 1e300, False)],
)
def test_a_multiple_is_counted_exactly(factor: float, number: float, holds: bool) -> None:
    assert is_valid({"multipleOf": factor}, number) is holds


def test_a_format_is_an_annotation_where_the_dialect_that_is_named_says_so() -> None:
    assert not is_valid({"format": "email"}, "nobody")
    assert not is_valid({"$schema": SEVENTH, "format": "email"}, "nobody")
    assert is_valid({"$schema": LATEST, "format": "email"}, "nobody")


def doubled(keyword: str, levels: int) -> dict[str, Any]:
    """A chain of definitions each of which refers to the next one twice."""
    schema: dict[str, Any] = {"$defs": {"x0": {"type": "string"}}, "$ref": f"#/$defs/x{levels}"}
    for level in range(1, levels + 1):
        below = {"$ref": f"#/$defs/x{level - 1}"}
        schema["$defs"][f"x{level}"] = {keyword: [below, below]}
    return schema


@pytest.mark.parametrize("keyword", ["allOf", "anyOf"])
def test_a_value_is_held_to_what_is_referred_to_once(keyword: str) -> None:
    schema = doubled(keyword, 40)
    assert faults(schema) == []
    assert is_valid(schema, "text", seconds=1)
    assert not is_valid(schema, 1, seconds=1)
    assert is_valid({"items": schema["$defs"]["x1"], "$defs": schema["$defs"]}, ["a", "b"])
    assert not is_valid({"items": schema["$defs"]["x1"], "$defs": schema["$defs"]}, ["a", 1])


def test_the_place_of_a_violation_is_its_own_however_often_a_schema_is_referred_to() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/n"}, "b": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"minimum": 3}}}
    same = 1
    assert [list(each.absolute_path) for each in violations(schema, {"a": same, "b": same})] == [["a"], ["b"]]


@pytest.mark.parametrize("alternatives", [[{"const": 1}], [{"type": "object", "properties": {"a": {"const": 1}}}]])
def test_a_schema_of_many_alternatives_is_checked_in_a_time_linear_in_them(alternatives: list[Any]) -> None:
    count = 10_000  # with a time that grows with their square, this would be given up
    assert faults({"anyOf": alternatives * count}) == []
    (fault,) = faults({"anyOf": [*alternatives * count, {"type": "sting"}]})
    assert fault.path == ("anyOf", count, "type")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"not": {"$ref": "#"}}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}},
        {"$id": "http://a/b", "$defs": {"a": {"$id": "c", "if": {"$ref": "#"}}}},
        {"$ref": "#/one", "one": {"$ref": "#/two"}, "two": {"$ref": "#/one"}},
    ],
)
def test_a_schema_that_refers_to_itself_in_place_is_endless(schema: dict[str, Any]) -> None:
    assert [fault.message for fault in faults(schema)] == ["the schema refers to itself without an end"]
    assert faults({"items": {"$ref": "#"}}) == []


def test_a_reference_leads_to_a_schema() -> None:
    (fault,) = faults({"$ref": "#/title", "title": "no schema"})
    assert "which is not a schema" in fault.message


def test_what_takes_too_long_is_given_up() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        schema = {"anyOf": [schema, schema]}
    with pytest.raises(ValidationTooLong, match="took too long"):
        is_valid(schema, 1, seconds=0.2)


def test_a_value_that_is_nested_too_deeply_is_given_up() -> None:
    value: Any = 1
    for _ in range(5_000):
        value = [value]
    with pytest.raises(ValidationTooLong, match="nested too deeply"):
        is_valid({"items": {"$ref": "#"}}, value)


def test_nothing_is_fetched() -> None:
    with pytest.raises(ReferenceMissing, match="which is not in it"):
        is_valid({"$ref": "http://localhost:1/schema"}, 1)
    assert is_valid({"$ref": LATEST}, {"type": "string"})
    assert not is_valid({"$ref": LATEST}, {"type": "sting"})


@pytest.mark.parametrize(
    ("schema", "path", "said"),
    [
        ({"pattern": "("}, ("pattern",), "not a regular expression"),
        ({"properties": {"a": {"pattern": r"(a)\1"}}}, ("properties", "a", "pattern"), "not supported"),
        ({"patternProperties": {"[": {}}}, ("patternProperties", "["), "unterminated"),
        ({"items": {"$ref": "#/$defs/A"}}, ("items", "$ref"), "which is not in it"),
        ({"type": "text"}, ("type",), "not a type of JSON"),
        ({"items": [{"type": "string"}]}, ("items",), "`prefixItems`"),
        ({"$ref": "#"}, (), "without an end"),
        (3, (), "wrong"),
    ],
)
def test_what_is_wrong_with_a_schema_is_said_with_its_place(schema: Any, path: Any, said: str) -> None:
    fault = faults(schema)[0]
    assert fault.path == path
    assert said in fault.message
    assert fault.help


def test_references_below_an_id_are_found() -> None:
    inner = {"$id": "https://example.com/inner", "$defs": {"A": {"type": "integer"}}, "$ref": "#/$defs/A"}
    schema = {"properties": {"a": inner}, "$defs": {"A": {"type": "string"}, "B": {"$anchor": "b", "type": "null"}}}
    assert faults(schema) == []
    assert is_valid(schema, {"a": 1})
    assert not is_valid(schema, {"a": "x"})
    assert faults({**schema, "items": {"$ref": "#b"}}) == []


SEVEN = {
    "$schema": SEVENTH,
    "type": "array",
    "items": [
        {"$ref": "#/definitions/name"},
        {"type": "object", "dependencies": {"a": ["b"], "c": {"minProperties": 3}}},
    ],
    "additionalItems": {"$ref": "#/items/0", "type": "integer"},
    "definitions": {"name": {"$id": "#name", "type": "string", "format": "email"}},
}


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (["a@b.c", {"a": 1, "b": 2}, "d@e.f"], True),
        (["nobody"], False),
        (["a@b.c", {"a": 1}], False),
        (["a@b.c", {"c": 1}], False),
        (["a@b.c", {}, 3], False),
    ],
)
def test_a_schema_of_draft_7_says_the_same_in_the_words_of_2020_12(value: Any, holds: bool) -> None:
    assert is_valid(SEVEN, value) is holds
    assert is_valid(modern(SEVEN), value) is holds
    assert faults(modern(SEVEN)) == []
    assert "$schema" not in modern(SEVEN)


def test_a_boolean_limit_of_draft_4_is_a_number() -> None:
    old = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True}
    assert modern(old) == {"exclusiveMinimum": 1}


REFERRING = [
    {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#"}]}},
    {"$ref": "#/$defs/Node", "$defs": {"Node": {"items": {"$ref": "#/$defs/Node"}, "type": ["array", "string"]}}},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"$ref": "#/properties/a"}},
    {"definitions": {"x/y": {"type": "null"}}, "items": {"$ref": "#/definitions/x~1y"}},
    {"$id": "https://example.com/s", "items": {"$ref": "#/$defs/b"}, "$defs": {"b": {"type": "boolean"}}},
    {"$defs": {"a": {"$anchor": "here", "type": "string"}}, "items": {"$ref": "#here"}},
]


@settings(max_examples=40)
@given(st.sampled_from(REFERRING), VALUES)
def test_a_schema_says_the_same_within_another_one(schema: Any, value: Any) -> None:
    definitions: dict[str, Any] = {"Node": {"type": "null"}, "answer": False}
    inner = embedded(schema, "answer", definitions)
    outer = {"properties": {"answer": inner, "other": {"$ref": "#/$defs/Node"}}, "$defs": definitions}
    assert faults(outer) == []
    assert is_valid(outer, {"answer": value, "other": None}) == is_valid(schema, value)
