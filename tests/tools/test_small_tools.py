"""The tools json, text, log and sleep."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import StepError
from orchestrator.tools.builtin.text import split
from orchestrator.tools.json_path import MAX_PATH, PathError, parse_path
from tests.tools.support import Workplace

DATA = {
    "items": [{"name": "a", "tags": ["x", "y"]}, {"name": "b", "tags": []}],
    "odd key": {"n": 1},
    "none": None,
    "first-name": {"0": "c"},
}


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("items[0].name", "a"),
        ("$.items[-1].name", "b"),
        ("items[*].name", ["a", "b"]),
        ("items[*].tags[*]", ["x", "y"]),
        ("items[0:1].name", ["a"]),
        ("items[5:].name", []),
        ('["odd key"].n', 1),
        ("$['odd key']['n']", 1),
        ("['odd key'].*", [1]),
        ("none", None),
        ("$", DATA),
        ("", DATA),
        ("items.[0].name", "a"),
        ("items[?@.name == 'b'].name", ["b"]),
        ("items[?(@.tags[0])].name", ["a"]),
        ("items[?match(@.name, '[b-z]')].name", ["b"]),
        ("$.items[?search(@.tags[1], 'y')].name", ["a"]),
        ("items..name", ["a", "b"]),
        ("$..n", [1]),
        ("items[1, 0].name", ["b", "a"]),
        ("items[::-1].name", ["b", "a"]),
        ("first-name.0", "c"),
    ],
)
def test_a_path_leads_to_values(path: str, result: Any, workplace: Workplace) -> None:
    assert workplace("json.query", data=DATA, path=path)["result"] == result


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("items[0].nme", "the object has no key `nme`, only `name`, `tags`"),
        ("items[7]", "`7` is not an index of a list of 2 items"),
        ("items[0].name.x", "`x` is read from the string `a`, which is not an object or a list"),
        ("items[?(@.n]", "invalid path `items[?(@.n]`: unbalanced"),
        ("$.first-name", "invalid path `$.first-name`: expected"),
        ("items[", "invalid path `items[`: unbalanced brackets"),
        ("x" * (MAX_PATH + 1), "more than the maximum of 1,000"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(path: str, said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError) as caught:
        workplace("json.query", data=DATA, path=path)
    assert said in caught.value.message
    if "selects no value" in caught.value.message:
        assert workplace("json.query", data=DATA, path=path, required=False) == {"result": None, "found": 0}


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_is_refused(text: str) -> None:
    with suppress(PathError):
        parse_path(text).find(DATA)


@pytest.mark.parametrize("path", ["$..a..a..a", "$..[?@..[?@..a]]"])
def test_a_query_that_multiplies_its_work_is_stopped(
    path: str, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.tools.json_path.MAX_VISITS", 10_000)
    deep: Any = 1
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(StepError, match="visits more than 10,000 values"):
        workplace("json.query", data=deep, path=path)


def test_data_of_any_depth_can_be_searched() -> None:
    deep: Any = {"end": 1}
    for _ in range(5_000):
        deep = [deep]
    assert parse_path("$..end").find(deep) == [1]


def test_a_pattern_takes_linear_time() -> None:
    path = parse_path("$[?match(@, '(a+)+b')]")
    assert path.find(["a" * 10_000, "aab"]) == ["aab"]


def test_objects_are_merged(workplace: Workplace) -> None:
    values = [{"a": {"x": 1, "l": [1]}, "b": 1}, {"a": {"y": 2, "l": [2]}}]
    assert workplace("json.merge", values=values) == {"a": {"x": 1, "y": 2, "l": [2]}, "b": 1}
    assert workplace("json.merge", values=values, lists="append")["a"]["l"] == [1, 2]
    assert workplace("json.merge", values=values, deep=False)["a"] == {"y": 2, "l": [2]}


SCHEMA = {"type": "object", "required": ["title"], "properties": {"n": {"type": "integer"}}}


def test_data_are_checked_against_a_schema(workplace: Workplace) -> None:
    assert workplace("json.validate", data={"title": ""}, schema=SCHEMA) == {"valid": True, "errors": []}
    with pytest.raises(StepError) as caught:
        workplace("json.validate", data={"n": "x"}, schema=SCHEMA)
    assert "'title' is a required property" in caught.value.message
    assert "$.n: 'x' is not of type 'integer'" in caught.value.message
    done = workplace("json.validate", data={"n": "x"}, schema=SCHEMA, check=False)
    assert not done["valid"]
    assert [error["path"] for error in done["errors"]] == ["$", "$.n"]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "invalid schema at `type`"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "refers to `http://127.0.0.1:1/schema`, which is not in it"),
        ({"$ref": "#/$defs/x"}, "refers to"),
    ],
)
def test_a_wrong_schema_is_said_and_nothing_is_fetched(schema: dict[str, Any], said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError, match="schema") as caught:
        workplace("json.validate", data={}, schema=schema)
    assert said in caught.value.message


def test_a_template_is_filled_in(workplace: Workplace) -> None:
    template = "Dear {{ name }}, {% for n in list %}{{ n }};{% endfor %}"
    assert workplace("text.template", template=template, values={"name": "Ada", "list": [1, 2]}) == "Dear Ada, 1;2;"
    assert workplace("text.template", template="{{ list }}", values={"list": [1, 2]}) == "[1, 2]"
    with pytest.raises(StepError, match="line 2"):
        workplace("text.template", template="a\n{{ name | nope }}", values={"name": ""})
    with pytest.raises(StepError, match="name"):
        workplace("text.template", template="{{ name }}", values={})


def test_data_is_never_read_as_a_template(workplace: Workplace) -> None:
    assert workplace("text.template", template="{{ name }} {% if %}") == "{{ name }} {% if %}"


def test_a_text_is_split_where_asked(workplace: Workplace) -> None:
    text = "One. Two?\nStill two!\n\nThree"
    for by, parts in {
        "lines": ["One. Two?", "Still two!", "", "Three"],
        "paragraphs": ["One. Two?\nStill two!", "Three"],
        "sentences": ["One.", "Two?", "Still two!", "Three"],
        "words": ["One.", "Two?", "Still", "two!", "Three"],
    }.items():
        assert workplace("text.split", text=text, by=by) == {"parts": parts, "count": len(parts)}
    assert workplace("text.split", text="a, b, c", separator=", ")["parts"] == ["a", "b", "c"]
    assert workplace("text.split", text="")["parts"] == []
    with pytest.raises(StepError, match="`overlap` must be"):
        workplace("text.split", text="a", size=5, overlap=5)


@given(
    text=st.text(st.sampled_from("ab .\n"), max_size=80),
    by=st.sampled_from(["lines", "paragraphs", "sentences", "words"]),
    size=st.integers(1, 20),
)
def test_parts_of_a_size_hold_every_letter_in_order(text: str, by: Any, size: int) -> None:
    parts = split(text, by, size=size)["parts"]
    assert all(0 < len(part) <= size for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    overlapping = split(text, by, size=size, overlap=size // 2)["parts"]
    assert all(0 < len(part) <= size for part in overlapping)


@pytest.mark.parametrize("text", ["a1 b22", "a1 b22" + " " * 6000])
def test_matches_are_found_and_replaced(text: str, workplace: Workplace) -> None:
    found = workplace("text.regex", text=text, pattern="(?P<letter>[a-z])([0-9]+)", flags="i")
    assert found["count"] == 2
    assert found["matches"][1] == {
        "text": "b22", "start": 3, "end": 6, "groups": ["b", "22"], "named": {"letter": "b"},
    }  # fmt: skip
    replaced = workplace("text.replace", text=text, pattern="([a-z])([0-9]+)", replacement=r"\2\1", count=1)
    assert (replaced["text"].strip(), replaced["count"]) == ("1a b22", 1)


@pytest.mark.parametrize(
    ("action", "parameters", "said"),
    [
        ("regex", {"pattern": "("}, "not a valid regular expression"),
        ("regex", {"pattern": "a", "flags": "iq"}, "unknown flag `q`"),
        ("replace", {"pattern": "a", "replacement": r"\2"}, "invalid replacement"),
    ],
)
def test_a_wrong_pattern_is_said(action: str, parameters: dict[str, Any], said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError, match=said):
        workplace(f"text.{action}", text="aaa", **parameters)


@pytest.mark.parametrize(
    ("pattern", "count"), [("(a+)+$", 0), ("a?" * 60 + "a" * 60, 0), ("(a|a)*$", 1), ("([a-z0-9]+-?)+$", 0)]
)
def test_a_pattern_that_a_backtracking_engine_never_ends_with_is_searched(
    pattern: str, count: int, workplace: Workplace
) -> None:
    text = "a" * 59 + "!"
    assert workplace("text.regex", text=text, pattern=pattern)["count"] == count
    assert workplace("text.replace", text=text, pattern=pattern, replacement="")["count"] == count


def test_the_matches_of_a_long_text_are_found(workplace: Workplace) -> None:
    assert workplace("text.regex", text="ü1 " * 500_000, pattern=r"\b\w(\d)\b")["count"] == 500_000


def test_a_message_goes_to_the_journal(workplace: Workplace) -> None:
    assert workplace("log", message="half way", level="warning") == "half way"
    assert workplace.context.lines == [("warning", "half way")]


def test_sleeping_takes_the_time_and_reports_it(workplace: Workplace) -> None:
    assert workplace("sleep", seconds=0.01) == 0.01
    assert workplace("sleep", seconds=1.05) == 1.05
    assert workplace.context.reports[0][0] is not None
    with pytest.raises(StepError, match="`seconds` cannot be -1"):
        workplace("sleep", seconds=-1)
