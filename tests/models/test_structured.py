import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator.errors import ModelAnswerInvalid, ModelRefused
from orchestrator.expressions import describe_type, type_mismatches
from orchestrator.expressions.types.integers import with_integers
from orchestrator.models.messages import ModelReply
from orchestrator.models.output.schemas import SchemaError, accepted, misfits, problems_of, structure_of

SHORT = {"title": "string", "tags": ["string"], "score": "number?", "kind": "one|two", "by": {"name": "string"}}


def schema_of(written: Any, **options: Any) -> Any:
    return structure_of(written, **options).schema


def said(text: str, **options: Any) -> ModelReply:
    return ModelReply(text, model="m", **options)


def test_what_is_written_alike_is_read_once_and_is_not_changed_with_what_was_written() -> None:
    written = {"type": "object", "properties": {"n": {"type": "integer"}}}
    first = structure_of(written)
    assert structure_of({"type": "object", "properties": {"n": {"type": "integer"}}}) is first
    written["properties"] = {}
    assert first.schema["properties"] == {"n": {"type": "integer"}}
    assert structure_of(written).schema["properties"] == {}
    assert structure_of({"a": "A title."}, described=True).schema != structure_of({"a": "string"}).schema


def test_a_short_form_is_a_closed_object_with_all_of_its_fields() -> None:
    assert schema_of(SHORT) == {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "score": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "kind": {"type": "string", "enum": ["one", "two"]},
            "by": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
        "required": ["title", "tags", "score", "kind", "by"],
        "additionalProperties": False,
    }


def test_the_type_of_a_form_has_its_fields() -> None:
    type_ = structure_of(SHORT).type
    assert describe_type(type_) == "an object with `title`, `tags`, `score`, `kind`, `by`"
    assert describe_type(type_.properties["score"]) == "a number or null"
    assert describe_type(type_.properties["kind"]) == "one of `one`, `two`"
    assert type_.closed
    assert type_.required == type_.properties.keys()


@pytest.mark.parametrize(
    ("written", "schema"),
    [
        ("int", {"type": "integer"}),
        ("Boolean", {"type": "boolean"}),
        ("any", {}),
        ("date", {"type": "string", "format": "date"}),
        ("string?", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("string|null", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("number|string", {"anyOf": [{"type": "number"}, {"type": "string"}]}),
        ("yes | no?", {"anyOf": [{"type": "string", "enum": ["yes", "no"]}, {"type": "null"}]}),
        ({"type": "string", "minLength": 2}, {"type": "string", "minLength": 2}),
    ],
)
def test_a_type_is_a_word_a_choice_or_a_schema(written: Any, schema: Any) -> None:
    assert schema_of({"x": written})["properties"]["x"] == schema
    assert schema_of(written) == schema


def test_a_field_may_say_in_its_name_that_it_may_be_missing() -> None:
    tags = schema_of({"tags?": ["string"]})["properties"]["tags"]
    assert tags == {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}


def test_descriptions_may_stand_in_the_place_of_types_where_that_is_asked_for() -> None:
    found = schema_of({"title": "What is it called?", "price": "number", "kind": "new|used"}, described=True)
    assert found["properties"] == {
        "title": {"type": "string", "description": "What is it called?"},
        "price": {"type": "number"},
        "kind": {"type": "string", "enum": ["new", "used"]},
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"enum": [1, 2]},
        {"properties": {"type": {"type": "string"}}},
        {"type": ["string", "null"], "description": "A name."},
        {"items": {"type": "string"}},
        {"items": {"minLength": 1}, "uniqueItems": True},
        {"not": {}},
        {"not": {"type": "null"}},
        {"format": "email"},
        {"pattern": "^a|b$"},
        {"minLength": 1, "title": "A name"},
        {"required": ["name", "age"]},
        {"const": "x"},
        {"const": 3},
        {"minimum": 0, "description": "How many."},
        {"prefixItems": [{"type": "string"}], "items": False},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
        {"additionalProperties": {"type": "integer"}},
        {"dependentRequired": {"a": ["b"]}},
        {"contentMediaType": "application/json", "contentSchema": {"type": "object"}, "type": "string"},
        {"$dynamicRef": "#a", "$defs": {"a": {"$dynamicAnchor": "a", "type": "integer"}}},
        {"$id": "https://example.com/a", "unknown": "kept"},
    ],
)
def test_a_json_schema_is_taken_as_it_is(schema: Any) -> None:
    assert schema_of(schema) == schema


def test_a_short_form_may_have_fields_with_the_names_of_a_schemas_keys() -> None:
    assert schema_of({"type": "string", "title": "string"})["required"] == ["type", "title"]
    assert schema_of({"type": "new|used", "items": ["string"]})["required"] == ["type", "items"]
    assert schema_of({"format": "string", "maximum": "number"})["required"] == ["format", "maximum"]
    written: dict[str, Any]
    for written in (
        {"title": "string", "description": "string"},
        {"items": ["string"]},
        {"items": {"name": "string"}},
        {"required": "boolean", "default": "any"},
        {"const": "string"},
        {"required": ["string"]},
        {"pattern": "string?"},
        {"properties": {"a": "string"}},
        {"minimum": "number", "maximum": "number"},
        {"if": {"then": "string"}},
    ):
        assert schema_of(written)["required"] == list(written)
    described = {"title": "The title of it.", "format": "json or yaml", "pattern": "What recurs in it."}
    assert schema_of(described, described=True)["required"] == list(described)
    assert schema_of({"mail": {"format": "email"}}, described=True)["properties"] == {"mail": {"format": "email"}}


def test_true_and_false_are_schemas() -> None:
    assert accepted(structure_of(True), said('{"a": 1}')) == {"a": 1}
    with pytest.raises(ModelAnswerInvalid):
        accepted(structure_of(False), said("1"))


def test_nothing_is_added_to_an_answer_below_a_json_schema() -> None:
    options = [
        {"type": "object", "properties": {"reply": {"type": "string"}, "note": {"anyOf": [{"type": "null"}]}},
         "required": ["reply"], "additionalProperties": False},
        {"type": "object", "properties": {"team": {"type": "string"}}, "required": ["team"]},
    ]  # fmt: skip
    structure = structure_of({"action": {"anyOf": options}, "by?": {"name": "string?"}, "all?": [{"n": "number?"}]})
    assert accepted(structure, said('{"action": {"team": "ops"}}')) == {
        "action": {"team": "ops"},
        "by": None,
        "all": None,
    }
    assert accepted(structure, said('{"action": {"team": "ops"}, "by": {}, "all": [{}]}')) == {
        "action": {"team": "ops"},
        "by": {"name": None},
        "all": [{"n": None}],
    }


NODE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "below": {"items": {"$ref": "#/$defs/Node"}}},
    "required": ["name"],
    "additionalProperties": False,
}


def test_definitions_within_a_short_form_are_those_of_the_whole() -> None:
    tree = {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}}
    other = {"$defs": {"Node": {"type": "integer"}}, "items": {"$ref": "#/$defs/Node"}}
    structure = structure_of({"title": "string", "tree": tree, "numbers": other, "nested": {"again": [tree]}})
    assert set(structure.schema["$defs"]) == {"Node", "Node_2", "Node_3"}
    good = {"title": "t", "tree": {"name": "a", "below": [{"name": "b"}]}, "numbers": [1], "nested": {"again": []}}
    assert misfits(structure, good) == []
    assert misfits(structure, {**good, "tree": {"name": "a", "below": [{"title": "b"}]}})
    assert misfits(structure, {**good, "numbers": ["x"]})


def test_a_schema_within_a_short_form_may_refer_to_itself() -> None:
    names = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#"}]}}
    structure = structure_of({"names?": names})
    assert structure.schema["properties"]["names"] == {"anyOf": [{"$ref": "#/$defs/names"}, {"type": "null"}]}
    assert misfits(structure, {"names": ["a", ["b", ["c"]]]}) == []
    assert misfits(structure, {"names": ["a", [3]]})


def test_a_schema_of_draft_7_is_one_of_an_answer() -> None:
    structure = structure_of(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"pair": {"type": "array", "items": [{"$ref": "#/definitions/n"}, {"type": "string"}]}},
            "definitions": {"n": {"type": "integer", "minimum": 1}},
        }
    )
    assert structure.schema["$defs"] == {"n": {"type": "integer", "minimum": 1}}
    assert misfits(structure, {"pair": [1, "x"]}) == []
    assert misfits(structure, {"pair": [0, "x"]})
    assert misfits(structure, {"pair": [1, 2]})


@pytest.mark.parametrize(
    ("written", "path", "message", "help"),
    [
        ({"a": {"b": "sting"}}, ("a", "b"), "unknown type `sting`", "did you mean `string`?"),
        ({"a": ["list[string]"]}, ("a", 0), "unknown type `list[string]`", "write a list of them as `[string]`"),
        ({"a": None}, ("a",), "a type is missing", "write one of"),
        ({"a": 3}, ("a",), "unknown type `3`", "write one of"),
        ({"a": []}, ("a",), "the list has no item type", "`[string]`"),
        ({"a": ["x", "y"]}, ("a",), "a list has one item", "write `x|y`"),
        ({"a": "x||y"}, ("a",), "a part of `x||y` is empty", "one|two"),
        ({"a": "x|x"}, ("a",), "repeated", "remove one"),
        ({"a": "string|red"}, ("a",), "mixes types and values", "{enum: [string, red]}"),
        ({"a": "string", "a?": "string"}, ("a?",), "the field `a` is defined twice", "remove one"),
        ({"": "string"}, ("",), "not a field name", "name it"),
        ({1: "string"}, (1,), "not a field name", "name it"),
        ({}, (), "the schema has no fields", "{title: string}"),
        ({"type": "object", "properties": {"a": "string"}}, ("properties", "a"), "not a JSON Schema", "{type: string}"),
        ({"a": {"type": ["strin"]}}, ("a", "type"), "not a type of JSON", "the types are"),
        ({"a": {"type": "string", "minLength": "x"}}, ("a", "minLength"), "`minLength` of the JSON Schema", "json-sch"),
        ({"a": {"type": "string", "pattern": "("}}, ("a", "pattern"), "not a regular expression", "ECMA-262"),
        ({"$ref": "#/$defs/B"}, ("$ref",), "refers to `#/$defs/B`, which is not in it", "$defs"),
        ({"x": {"$ref": "http://localhost/s"}}, ("x", "$ref"), "which is not in it", "$defs"),
        ({"$ref": "#"}, (), "refers to itself without an end", "in between"),
    ],
)
def test_what_is_wrong_with_a_form_is_said_with_its_place(written: Any, path: Any, message: str, help: str) -> None:
    problem = problems_of(written)[0]
    assert problem.path == path
    assert message in problem.message
    assert help in problem.help
    with pytest.raises(SchemaError):
        structure_of(written)


def test_all_that_is_wrong_is_said_at_once() -> None:
    written = {"a": "sting", "b": [], "c": {"type": "string", "pattern": "("}}
    assert [problem.path for problem in problems_of(written)] == [("a",), ("b",), ("c", "pattern")]


def test_a_form_that_is_nested_too_deeply_is_refused() -> None:
    form: Any = "string"
    for _ in range(1000):
        form = [form]
    assert "nested" in problems_of(form)[0].message


# --- answers


def test_an_answer_is_its_value() -> None:
    assert accepted(structure_of({"n": "integer"}), said('{"n": 3}')) == {"n": 3}
    assert accepted(structure_of(["string"]), said("", data=["a"])) == ["a"]
    assert accepted(structure_of("string?"), said("null")) is None


def test_a_field_that_may_be_missing_is_null_then() -> None:
    form = structure_of({"a": "string", "b": "number?", "c?": [{"d": "string?"}]})
    assert accepted(form, said('{"a": "x", "c": [{}]}')) == {"a": "x", "b": None, "c": [{"d": None}]}


def test_a_json_schema_decides_itself_what_may_be_missing() -> None:
    form = structure_of({"type": "object", "properties": {"a": {"type": ["string", "null"]}}})
    assert accepted(form, said("{}")) == {}


@pytest.mark.parametrize(
    ("written", "answer", "reason"),
    [
        ({"n": "integer"}, '{"n": "3"}', "`n` must be an integer, not the string `3`"),
        ({"n": "integer"}, '{"n": true}', "`n` must be an integer, not `true`"),
        ({"n": "integer"}, "{}", "the value has no field `n`, which is required"),
        ({"n": "integer"}, '{"n": 1, "m": 2}', "the value has the unknown field `m`"),
        ({"n": {"type": "integer", "minimum": 0}}, '{"n": -1}', "`n` must be at least 0, not -1"),
        ({"a": [{"b": "one|two"}]}, '{"a": [{"b": "six"}]}', "`a[0].b` must be one of `one`, `two`"),
        ({"d": "date"}, '{"d": "1 May"}', '`d` must have the format `date`, not "1 May"'),
        ({"d": {"type": "array", "contains": {"const": 1}}}, '{"d": []}', "`d` is wrong"),
        ({"n": "number"}, '{"n": NaN}', "the answer is not JSON"),
        ({"n": "number"}, "The number is 3.", "the answer is not JSON, but: The number is 3."),
        ({"n": "number"}, "", "the answer is not JSON, but nothing"),
    ],
)
def test_an_answer_of_another_form_is_refused_with_the_reason(written: Any, answer: str, reason: str) -> None:
    with pytest.raises(ModelAnswerInvalid) as caught:
        accepted(structure_of(written), said(answer))
    assert reason in caught.value.message
    assert caught.value.reply.text == answer


def test_an_answer_that_is_cut_off_is_refused_even_where_it_reads_like_a_whole_one() -> None:
    with pytest.raises(ModelAnswerInvalid, match="cut off"):
        accepted(structure_of({"n": "integer"}), said('{"n": 3}', finish="length"))
    with pytest.raises(ModelRefused):
        accepted(structure_of({"n": "integer"}), said("", finish="refused"))


# --- properties

NAMES = st.text("abcdefgh", min_size=1, max_size=4)
WORDS = st.sampled_from(["string", "number", "integer", "boolean", "string?", "integer?", "red|green", "red|green?"])
FORMS = st.recursive(
    WORDS,
    lambda inner: st.one_of(inner.map(lambda item: [item]), st.dictionaries(NAMES, inner, min_size=1, max_size=4)),
    max_leaves=8,
)


OBJECTS = st.dictionaries(NAMES, FORMS, min_size=1, max_size=4)


@st.composite
def forms_and_values(draw: st.DrawFn, forms: st.SearchStrategy[Any] = FORMS) -> tuple[Any, Any]:
    form = draw(forms)
    return form, draw(values_of(form))


def values_of(form: Any) -> st.SearchStrategy[Any]:
    if isinstance(form, list):
        return st.lists(values_of(form[0]), max_size=3)
    if isinstance(form, dict):
        return st.fixed_dictionaries({name: values_of(part) for name, part in form.items()})
    if form.endswith("?"):
        return st.none() | values_of(form[:-1])
    return {
        "string": st.text(max_size=5),
        "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
        "integer": st.integers(),
        "boolean": st.booleans(),
        "red|green": st.sampled_from(["red", "green"]),
    }[form]


@settings(max_examples=150)
@given(forms_and_values())
def test_whatever_has_the_form_is_accepted_and_fits_its_type(case: tuple[Any, Any]) -> None:
    form, value = case
    structure = structure_of(form)
    Draft202012Validator.check_schema(structure.schema)
    assert misfits(structure, value) == []
    assert type_mismatches(value, structure.type) == []


class Stranger:
    """What no form of these has: an object with a field that none of them names."""

    value: Any = {"zzz": [None, {}]}  # noqa: RUF012


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(item, (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], put: Any) -> Any:
    if not path:
        return put
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], put)
    return copy


@settings(max_examples=150)
@given(forms_and_values(), st.data())
def test_whatever_is_changed_to_something_else_is_refused_with_a_reason(case: tuple[Any, Any], data: Any) -> None:
    form, value = case
    path = data.draw(st.sampled_from(places(value)))
    reasons = misfits(structure_of(form), changed(value, path, Stranger.value))
    assert reasons
    assert all("must be" in reason or "field" in reason for reason in reasons), reasons


@settings(max_examples=60)
@given(forms_and_values(OBJECTS), st.data())
def test_a_field_too_many_or_too_few_is_refused(case: tuple[Any, Any], data: Any) -> None:
    form, value = case
    assert misfits(structure_of(form), {**value, "zzz": 1})
    name = data.draw(st.sampled_from(sorted(value)))
    assert misfits(structure_of(form), {key: item for key, item in value.items() if key != name})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from(["string", "object", "array", "", "x", "#", "a|b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "$ref", "enum", "anyOf", "a", "b?", "pattern", "required"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=300)
@given(JSON)
def test_anything_at_all_is_either_a_form_or_refused_with_places_that_are_there(written: Any) -> None:
    problems = problems_of(written)
    for problem in problems:
        node = written
        for key in problem.path:
            node = node[key]
        assert problem.message
        assert problem.help
    if not problems:
        structure = structure_of(written)
        misfits(structure, {"a": 1})


@pytest.mark.parametrize(
    "written",
    [
        '{"n": 1}',
        '```json\n{"n": 1}\n```',
        '```JSON\n{"n": 1}\n```',
        '```\n{"n": 1}\n```',
        '```json {"n": 1}```',
        '```{"n": 1}```',
        'Here it is:\n```json\n{"n": 1}\n```',
        '```json\n{"n": 1}\n```\nI hope that helps.',
        'First:\n```Json\r\n{"n": 1}\r\n```\r\nand once more\n```json\n{"n": 1}\n```\n',
        '```json\n{"n": 1}',
        'The answer is {"n": 1}.',
        'As [1] says, it is {"n": 1} [2].',
        '{"n": 1}\n\nExplanation: `{` begins an object.',
        '~~ {not this} but {"n": 1}',
    ],
)
def test_json_is_found_in_fences_and_in_prose(written: str) -> None:
    assert accepted(structure_of({"n": "integer"}), said(written)) == {"n": 1}


@pytest.mark.parametrize(
    "written",
    ['{"n": 1} or {"n": 2}', '```\n{"n": 1}\n```\n```\n{"n": 2}\n```', "n is 1", '{"n": ', "```\nn\n```"],
)
def test_json_that_is_not_one_answer_is_refused(written: str) -> None:
    with pytest.raises(ModelAnswerInvalid, match="the answer is not JSON, but: "):
        accepted(structure_of({"n": "integer"}), said(written))


def test_fences_within_an_answer_are_text() -> None:
    value = {"code": "```py\nx = {}\n```"}
    for written in (json.dumps(value), f"```json\n{json.dumps(value)}\n```", f"Here: {json.dumps(value)}"):
        assert accepted(structure_of({"code": "string"}), said(written)) == value


@pytest.mark.parametrize(
    ("written", "answer", "value"),
    [
        ({"n": "integer"}, '{"n": 2.0}', {"n": 2}),
        ({"n": "integer?"}, '{"n": -2.0}', {"n": -2}),
        ({"n": ["integer"]}, '{"n": [1.0, 2, 3e2]}', {"n": [1, 2, 300]}),
        ({"a": [{"n": "integer"}]}, '{"a": [{"n": 2.0}]}', {"a": [{"n": 2}]}),
        ({"n": {"type": ["integer", "null"]}}, '{"n": 2.0}', {"n": 2}),
        ({"n": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}, '{"n": 2.0}', {"n": 2}),
        (
            {"type": "object", "properties": {"n": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": {"type": "integer"}}},
            '{"n": 2.0}',
            {"n": 2},
        ),
        ({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "number"}}, "[2.0, 2.0]", [2, 2.0]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"x": 2.0}', {"x": 2}),
        ({"n": "number"}, '{"n": 2.0}', {"n": 2.0}),
        ({"n": "any"}, '{"n": 2.0}', {"n": 2.0}),
    ],
)
def test_an_integer_that_is_written_with_a_point_is_an_integer(written: Any, answer: str, value: Any) -> None:
    found = accepted(structure_of(written), said(answer))
    assert repr(found) == repr(value)


def test_a_schema_whose_references_multiply_takes_no_time() -> None:
    levels = {f"l{n}": {"allOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(60)}
    schema = {"$ref": "#/$defs/l0", "$defs": {**levels, "l60": {"type": "integer"}}}
    value = {"a": [2.0]}
    assert with_integers(value, schema) == value
    assert with_integers(2.0, {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}) == 2.0
