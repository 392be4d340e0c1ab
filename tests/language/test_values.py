"""Inputs' values against their declarations, in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.language.spec.input_values import fill_defaults, input_problems, parse_input_text
from orchestrator.language.spec.inputs import InputSpec


def spec(**keys: Any) -> InputSpec:
    return InputSpec.model_validate(keys)


@pytest.mark.parametrize(
    ("keys", "good", "bad"),
    [
        ({"type": "string"}, "x", 5),
        ({"type": "integer"}, 5, 5.5),
        ({"type": "integer"}, 5, True),
        ({"type": "number"}, 5, "5"),
        ({"type": "number"}, 5.5, float("nan")),
        ({"type": "boolean"}, False, 0),
        ({"type": "array"}, [], {}),
        ({"type": "object"}, {}, []),
        ({"type": "file"}, "a.csv", 1),
        ({"enum": ["a", 1]}, 1, True),
        ({"type": "integer", "minimum": 1, "maximum": 3}, 3, 4),
        ({"type": "number", "minimum": 0.5}, 0.5, 0.4),
        ({"type": "string", "min_length": 2}, "ab", "a"),
        ({"type": "array", "max_length": 1}, [1], [1, 2]),
        ({"type": "string", "pattern": "^a+$"}, "aa", "ab"),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], [1, "2"]),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1, "b": 2}, {"b": 2}),
        ({"properties": {"a": {"type": "integer", "required": False}}}, {}, {"a": "x"}),
        ({"required": False, "type": "string"}, None, 5),
        ({"type": "string"}, "x", None),
        ({}, None, ...),
        ({}, {"any": ["thing"]}, ...),
    ],
)
def test_a_value_fits_its_declaration_or_is_told_why_not(keys: dict[str, Any], good: Any, bad: Any) -> None:
    assert input_problems(spec(**keys), good) == []
    if bad is not ...:
        (problem,) = input_problems(spec(**keys), bad)
        assert "must" in problem or "missing" in problem


def test_a_problem_names_the_path_inside_the_value() -> None:
    rows = spec(type="array", items={"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})
    assert input_problems(rows, [{"n": 1}, {"n": 0}, {}, {"n": "x"}]) == [
        "`[1].n` must be at least 1, not 0",
        "`[2].n` is missing",
        "`[3].n` must be an integer, not the string `x`",
    ]


@pytest.mark.parametrize(
    ("keys", "type"),
    [
        ({"default": "x"}, "string"),
        ({"default": 1}, "integer"),
        ({"default": 1.5}, "number"),
        ({"default": True}, "boolean"),
        ({"default": []}, "array"),
        ({"default": {}}, "object"),
        ({"default": None}, None),
        ({}, None),
        ({"enum": ["a", "b"]}, "string"),
        ({"enum": [1, 2.5]}, "number"),
        ({"enum": [1, "a"]}, None),
        ({"pattern": "x"}, "string"),
        ({"items": {}}, "array"),
        ({"properties": {}}, "object"),
        ({"minimum": 1}, "number"),
        ({"default": 1, "type": "number"}, "number"),
    ],
)
def test_the_type_follows_from_the_other_keys(keys: dict[str, Any], type: str | None) -> None:
    assert spec(**keys).type == type


def test_an_input_without_default_is_required_unless_it_says_otherwise() -> None:
    assert spec(type="string").required
    assert not spec(type="string", required=False).required
    assert not spec(default="x").required
    assert spec(default_from_env="TOKEN").required, "without the variable there is no value"
    assert spec(default=None).has_default
    assert not spec().has_default


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        ("string", "5", "5"),
        ("file", "null", "null"),
        ("integer", " 5 ", 5),
        ("integer", "5.0", 5),
        ("number", "1e3", 1000.0),
        ("boolean", "yes", True),
        ("boolean", "False", False),
        ("array", "[1, 2]", [1, 2]),
        ("object", '{"a": 1}', {"a": 1}),
        (None, "5", 5),
        (None, "[1", "[1"),
        (None, "text", "text"),
    ],
)
def test_a_text_is_converted_by_the_declared_type(type: str | None, text: str, value: Any) -> None:
    found = parse_input_text(spec(type=type), text)
    assert found == value
    assert found.__class__ is value.__class__


@pytest.mark.parametrize(
    ("type", "text"),
    [
        ("integer", "5.5"),
        ("integer", "x"),
        ("number", "NaN"),
        ("number", "x"),
        ("boolean", "maybe"),
        ("array", "a,b"),
        ("object", "[]"),
        ("integer", "true"),
    ],
)
def test_a_text_of_another_type_is_told_why_not(type: str, text: str) -> None:
    with pytest.raises(ValueError, match="it must be"):
        parse_input_text(spec(type=type), text)


def test_defaults_of_missing_properties_are_filled_in() -> None:
    declared = spec(
        properties={"a": {"default": 1}, "b": {"properties": {"c": {"default": 2}}}, "d": {"required": False}}
    )
    assert fill_defaults(declared, {"b": {}}) == {"a": 1, "b": {"c": 2}}
