"""Types: in words, from values, from and to JSON Schema, and what fits what."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.expressions import (
    ANY,
    ARRAY,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    Type,
    array_of,
    describe_type,
    explain_mismatch,
    from_json_schema,
    is_assignable,
    object_of,
    to_json_schema,
    type_mismatches,
    type_of,
    union_of,
)

ROW = object_of({"name": STRING, "n": INTEGER}, required=frozenset({"name"}))


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (ANY, "any value"),
        (STRING, "a string"),
        (INTEGER, "an integer"),
        (array_of(STRING), "a list of strings"),
        (array_of(array_of(INTEGER)), "a list of lists of integers"),
        (array_of(ROW), "a list of objects with `name`, `n`"),
        (OBJECT, "an object"),
        (union_of([STRING, INTEGER, NULL]), "a string, an integer or null"),
        (Type("string", enum=("a", "b")), "one of `a`, `b`"),
    ],
)
def test_a_type_is_said_in_words(type_: Type, words: str) -> None:
    assert describe_type(type_) == words


@pytest.mark.parametrize(
    ("source", "target", "fit"),
    [
        (ANY, STRING, True),
        (STRING, ANY, True),
        (INTEGER, NUMBER, True),
        (NUMBER, INTEGER, True),
        (STRING, INTEGER, False),
        (Type("boolean"), INTEGER, False),
        (NULL, STRING, False),
        (union_of([STRING, NULL]), STRING, True),
        (STRING, union_of([INTEGER, NULL]), False),
        (array_of(STRING), array_of(INTEGER), False),
        (ARRAY, array_of(INTEGER), True),
        (object_of({"name": STRING}), ROW, True),
        (object_of({"n": INTEGER}), ROW, False),
        (object_of({"name": STRING, "z": STRING}), ROW, False),
        (object_of({"name": INTEGER}), ROW, False),
        (OBJECT, ROW, True),
        (STRING, Type("string", enum=("a",)), True),
        (Type("string", enum=("b",)), Type("string", enum=("a",)), False),
        (Type("string", enum=("a", "b")), Type("string", enum=("a",)), True),
    ],
)
def test_a_type_fits_where_one_of_its_values_could(source: Type, target: Type, fit: bool) -> None:
    assert is_assignable(source, target) is fit
    assert (explain_mismatch(source, target) is None) is fit


@pytest.mark.parametrize(
    ("value", "target", "problem"),
    [
        (3, STRING, "the value must be a string, not the integer `3`"),
        ([{"name": "a"}, {"name": 1}], array_of(ROW), "`[1].name` must be a string, not the integer `1`"),
        ({"rows": [{"n": 1}]}, object_of({"rows": array_of(ROW)}), "`rows[0]` has no field `name`, which is required"),
        ({"name": "a", "x": 1}, ROW, "the value has the unknown field `x`; the fields are `name`, `n`"),
        (True, INTEGER, "the value must be an integer, not `true`"),
        (1.5, INTEGER, "the value must be an integer, not the number `1.5`"),
        ("c", Type("string", enum=("a", "b")), "the value must be one of `a`, `b`, not the string `c`"),
        ([1, None], array_of(union_of([INTEGER, STRING])), "`[1]` must be an integer or a string, not null"),
        ({"name": 1}, union_of([ROW, NULL]), "`name` must be a string, not the integer `1`"),
    ],
)
def test_a_misfit_is_explained_with_the_path_of_the_culprit(value: Any, target: Type, problem: str) -> None:
    assert explain_mismatch(value, target) == problem
    assert problem in type_mismatches(value, target)


def test_all_misfits_are_found() -> None:
    problems = type_mismatches([{"name": 1}, {}, {"name": "x", "n": "y"}], array_of(ROW))
    assert len(problems) == 3


def test_a_schema_with_definitions_is_read() -> None:
    schema = {
        "type": "object",
        "properties": {
            "node": {"$ref": "#/$defs/Node"},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "either": {"type": ["integer", "null"]},
            "one": {"const": "x"},
            "all": {"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {}}}]},
        },
        "required": ["node"],
        "additionalProperties": False,
        "$defs": {
            "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "v": {"type": "number"}}}
        },
    }
    read = from_json_schema(schema)
    assert read.closed
    assert read.required == {"node"}
    assert read.properties["node"].properties["v"] == NUMBER
    assert read.properties["node"].properties["next"] == ANY
    assert read.properties["maybe"] == union_of([STRING, NULL])
    assert read.properties["either"] == union_of([INTEGER, NULL])
    assert read.properties["one"].enum == ("x",)
    assert set(read.properties["all"].properties) == {"a", "b"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100)
@given(json_values)
def test_a_value_fits_its_own_type_and_schema(value: Any) -> None:
    type_ = type_of(value)
    assert type_mismatches(value, type_) == []
    assert is_assignable(type_, type_)
    schema = to_json_schema(type_)
    jsonschema.validate(value, schema)
    assert from_json_schema(schema) == type_


@settings(max_examples=100)
@given(json_values, json_values)
def test_the_types_of_fitting_values_fit(value: Any, other: Any) -> None:
    target = type_of(other)
    if type_mismatches(value, target) == []:
        assert is_assignable(type_of(value), target)
    assert (explain_mismatch(value, target) is None) == (type_mismatches(value, target) == [])
