"""Profiles of tables, and their validation against rules."""

import json
import statistics
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import StepError
from tests.tools.support import Workplace

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
NUMBERS = st.lists(st.none() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6), min_size=1, max_size=30)


def column_of(workplace: Workplace, values: list[Any], **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = workplace("data.profile", rows=[{"a": value} for value in values], **parameters)["profile"][
        0
    ]
    return found


@MANY
@given(values=NUMBERS)
def test_statistics_are_those_of_the_numbers_that_are_there(values: list[float | None], workplace: Workplace) -> None:
    numbers = [value for value in values if value is not None]
    found = column_of(workplace, values)
    assert (found["count"], found["nulls"]) == (len(numbers), len(values) - len(numbers))
    assert found["distinct"] == len(set(numbers))
    if numbers:
        assert (found["minimum"], found["maximum"]) == (min(numbers), max(numbers))
        assert found["mean"] == pytest.approx(statistics.fmean(numbers), abs=1e-6)
        assert found["quantiles"]["p50"] == pytest.approx(statistics.median(numbers), abs=1e-6)
    if len(numbers) > 1:
        assert found["standard_deviation"] == pytest.approx(statistics.stdev(numbers), abs=1e-4)


@MANY
@given(rows=st.lists(st.dictionaries(st.sampled_from("abc"), CELLS | st.lists(CELLS, max_size=2)), max_size=8))
def test_any_table_has_a_profile_and_it_is_json(rows: list[dict[str, Any]], workplace: Workplace) -> None:
    found = workplace("data.profile", rows=rows)
    assert json.loads(json.dumps(found)) == found
    assert found["count"] == len(rows)
    assert sum(each["count"] + each["nulls"] for each in found["profile"]) == len(rows) * len(found["columns"])
    assert all(sum(each["types"].values()) == each["count"] for each in found["profile"])
    different = {json.dumps([row.get(name) for name in found["columns"]]) for row in rows}
    assert found["duplicates"] == len(rows) - len(different)
    assert len(found["text"].splitlines()) == 2 + len(found["columns"])


@pytest.mark.parametrize(
    ("values", "type_", "least", "most"),
    [
        ([1, 2.5], "number", 1, 2.5),
        ([1, True], "mixed", None, None),
        ([1, "x"], "mixed", None, None),
        ([True, False], "boolean", None, None),
        ([None], "null", None, None),
        ([[1], [1, 2]], "array", None, None),
        (["b", "a"], "string", "a", "b"),
        (["2026-02-01", "2026-01-31"], "date", "2026-01-31", "2026-02-01"),
        (["2026-02-30"], "string", "2026-02-30", "2026-02-30"),
        (["2026-01-01T10:00Z", "2026-01-01T09:00-05:00"], "datetime", "2026-01-01T10:00Z", "2026-01-01T09:00-05:00"),
        (["2026-01-01T10:00Z", "2026-01-01T09:00"], "string", "2026-01-01T09:00", "2026-01-01T10:00Z"),
        ([10**299, 1], "integer", 1, 10**299),
    ],
)
def test_the_type_of_a_column_is_found_out(
    values: list[Any], type_: str, least: Any, most: Any, workplace: Workplace
) -> None:
    found = column_of(workplace, values)
    assert (found["type"], found["minimum"], found["maximum"]) == (type_, least, most)


def test_a_profile_lists_frequent_values_and_can_be_read_in_a_report(workplace: Workplace) -> None:
    found = column_of(workplace, ["a|b", "x", "a|b", None, "y" * 500], most_frequent=2)
    assert found["most_frequent"] == [{"value": "a|b", "count": 2}, {"value": "x", "count": 1}]
    assert (found["min_length"], found["max_length"], len(found["maximum"])) == (1, 500, 100)
    rows = [{"name": "a|b *x*", "n": 1234}, {"name": "a|b *x*", "n": 2}]
    done = workplace("data.profile", rows=rows, columns=["n", "name"], quantiles=[0.999])
    assert done["profile"][0]["quantiles"] == {"p99.9": pytest.approx(1232.768)}
    assert done["text"].splitlines()[2:] == [
        "| n | integer | 2 | 0 | 2 | 2 | 1234 | 618 | 1234 (1), 2 (1) |",
        r"| name | string | 2 | 0 | 1 | a\|b \*x\* | a\|b \*x\* |  | a\|b \*x\* (2) |",
    ]
    page = workplace("report.html", markdown=done["text"])["html"]
    assert "a|b *x*" in page
    assert "<table" in page


RULES: dict[str, Any] = {
    "id": {"type": "integer", "required": True, "unique": True},
    "state": {"enum": ["open", "paid"]},
    "amount": {"type": "number", "minimum": 0, "maximum": 100},
    "email": {"type": "string", "pattern": "^[^@ ]+@[^@ ]+$", "max_length": 12},
    "day": {"type": "date", "minimum": "2026-01-01"},
    "customer": {"references": {"rows": [{"id": 7}], "column": "id"}},
}
GOOD = {"id": 1, "state": "open", "amount": 1.5, "email": "a@b", "day": "2026-01-01", "customer": 7}


@pytest.mark.parametrize(
    ("column", "value", "rule", "message"),
    [
        ("id", None, "required", "row 1: `id` has no value"),
        ("id", 1, "unique", "row 1: `id` has the value of row 0"),
        ("id", "2", "type", "row 1: `id` is a string, not an integer"),
        ("id", True, "type", "row 1: `id` is a boolean, not an integer"),
        ("id", 2.5, "type", "row 1: `id` is a number, not an integer"),
        ("state", "sent", "enum", "row 1: `state` is not one of `open`, `paid`"),
        ("amount", -1, "minimum", "row 1: `amount` is less than 0"),
        ("amount", 101, "maximum", "row 1: `amount` is greater than 100"),
        ("email", "a@b c", "pattern", "row 1: `email` does not match `^[^@ ]+@[^@ ]+$`"),
        ("email", "a@" + "b" * 20, "max_length", "row 1: `email` has the length 22, more than 12"),
        ("day", "2026-02-30", "type", "row 1: `day` is not a date in ISO 8601"),
        ("day", "2025-12-31", "minimum", "row 1: `day` is before 2026-01-01"),
        ("customer", 8, "references", "row 1: `customer` is not in the referenced column"),
        ("customer", 7.0, None, None),
        ("amount", None, None, None),
        ("id", 3.0, None, None),
    ],
)
def test_each_rule_reports_the_value_that_breaks_it(
    column: str, value: Any, rule: str | None, message: str | None, workplace: Workplace
) -> None:
    rows = [GOOD, {**GOOD, "id": 2, column: value}]
    done = workplace("data.validate", rows=rows, columns=RULES, check=False)
    expected = [{"row": 1, "column": column, "rule": rule, "value": value, "message": message}] if rule else []
    assert done["violations"] == expected
    assert (done["valid"], done["violation_count"], done["invalid_count"]) == (not rule, len(expected), len(expected))
    assert done["totals"] == [{"column": column, "rule": rule, "count": 1} for _ in expected]


@MANY
@given(
    rows=st.lists(st.fixed_dictionaries({"a": st.none() | st.integers(-3, 3), "b": st.integers(0, 2)}), max_size=20),
    most=st.integers(0, 5),
)
def test_all_violations_are_counted_and_the_first_are_listed(
    rows: list[dict[str, Any]], most: int, workplace: Workplace
) -> None:
    columns = {"a": {"required": True, "minimum": 0}, "b": {"maximum": 1}}
    done = workplace(
        "data.validate", rows=rows, columns=columns, unique=[["a", "b"]], check=False, max_violations=most, keep="valid"
    )
    expected: list[tuple[int, str]] = []
    seen = set()
    for index, row in enumerate(rows):
        if row["a"] is None:
            expected.append((index, "required"))
        elif row["a"] < 0:
            expected.append((index, "minimum"))
        if row["b"] > 1:
            expected.append((index, "maximum"))
        key = (row["a"], row["b"])
        if row["a"] is not None and key in seen:
            expected.append((index, "unique"))
        seen.add(key)
    assert [(each["row"], each["rule"]) for each in done["violations"]] == expected[:most]
    assert done["violation_count"] == len(expected) == sum(each["count"] for each in done["totals"])
    invalid = {index for index, _ in expected}
    assert done["invalid_count"] == len(invalid)
    assert done["rows"] == [row for index, row in enumerate(rows) if index not in invalid]


def test_cells_of_a_csv_file_are_read_as_the_types_of_their_rules(workplace: Workplace) -> None:
    text = "zip,n,flag,day\n01234,1,true,2026-01-01\n12345,+2,no,2026-01-02\n,x,,\n"
    (workplace.directory / "a.csv").write_text(text)
    (workplace.directory / "zips.csv").write_text("zip,n\n01234,1\n12345,2\n")
    references = {"references": {"rows": "zips.csv", "column": "zip"}}
    columns = {"zip": {"type": "string", **references}, "n": {"type": "integer"}, "flag": {"type": "boolean"}}
    done = workplace("data.validate", rows="a.csv", columns=columns, check=False, keep="valid")
    assert [each["message"] for each in done["violations"]] == [
        "row 1: `flag` is a string, not a boolean",
        "row 2: `n` is a string, not an integer",
    ]
    assert done["rows"] == [{"zip": "01234", "n": 1, "flag": True, "day": "2026-01-01"}]
    numbers = {"n": {"type": "integer", "references": {"rows": "zips.csv", "column": "n"}}}
    assert workplace("data.validate", rows="a.csv", columns=numbers, check=False)["violation_count"] == 1


def test_a_table_that_breaks_a_rule_fails_the_step_unless_it_is_only_checked(workplace: Workplace) -> None:
    rows = [{"a": -index} for index in range(1, 21)]
    with pytest.raises(StepError) as caught:
        workplace("data.validate", rows=rows, columns={"a": {"minimum": 0}})
    assert caught.value.message.splitlines()[:2] == [
        "the table has 20 violations of its rules:",
        "  row 0: `a` is less than 0",
    ]
    assert caught.value.message.endswith("\n  and 10 more")
    assert "`check: false`" in (caught.value.help or "")
    done = workplace(
        "data.validate", rows=rows, columns={"b": {"required": True}}, other_columns=False, max_rows=9, check=False
    )
    assert [each["message"] for each in done["violations"]] == [
        "the table has 20 rows, more than 9",
        "the column `b` is missing",
        "the column `a` is not among the rules",
    ]
    assert done["invalid_count"] == 20
    empty = workplace("data.validate", rows=[], columns=RULES, min_rows=1, check=False)
    assert [each["rule"] for each in empty["violations"]] == ["min_rows"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"pattern": "("}, "the `pattern` of `a` is invalid"),
        ({"pattern": "x", "type": "integer"}, "`pattern` has no meaning"),
        ({"minimum": "2026-01-01"}, "which bounds only dates and times"),
        ({"minimum": "soon", "type": "date"}, "is not a date: `soon`"),
        ({"minimum": 3, "maximum": 2}, "the `minimum` of `a` is greater than its `maximum`"),
        ({"minimum": 3, "type": "string"}, "its values are of type `string`"),
        ({"min_length": 3, "type": "integer"}, "`min_length` has no meaning"),
        ({"max": 3}, "max"),
        ({"type": "int"}, "type"),
    ],
)
def test_rules_without_a_meaning_are_refused(rules: dict[str, Any], said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError) as caught:
        workplace("data.validate", rows=[{"a": 1}], columns={"a": rules})
    assert said in caught.value.message


def test_a_referenced_file_needs_the_permission_to_read_it(workplace: Workplace) -> None:
    columns = {"a": {"references": {"rows": "/etc/other.csv", "column": "id"}}}
    with pytest.raises(StepError, match=r"other\.csv"):
        workplace("data.validate", rows=[{"a": 1}], columns=columns)
