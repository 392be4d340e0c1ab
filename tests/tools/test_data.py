"""The data tool: tables in, tables out."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import PermissionDenied, StepError
from tests.tools.support import Workplace

SALES = [
    {"region": "west", "month": "jan", "amount": 10},
    {"region": "east", "month": "jan", "amount": 5},
    {"region": "west", "month": "feb", "amount": None},
    {"region": "east", "month": "feb", "amount": 7},
]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(-(2**60), 2**60),
            "name": st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
        }
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet"])
def test_every_format_gives_back_what_was_written(name: str, workplace: Workplace) -> None:
    written = workplace("data.write", rows=SALES, path=f"out/{name}")
    assert written["count"] == 4
    assert written["size"] == (workplace.directory / "out" / name).stat().st_size
    assert workplace("data.read", path=f"out/{name}") == {
        "rows": SALES,
        "columns": ["region", "month", "amount"],
        "count": 4,
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, name=st.sampled_from(["a.json", "a.jsonl", "a.parquet"]))
def test_rows_survive_a_file(rows: list[dict[str, Any]], name: str, workplace: Workplace) -> None:
    workplace("data.write", rows=rows, path=name)
    assert workplace("data.read", path=name)["rows"] == rows


def test_csv_becomes_numbers_only_where_that_loses_nothing(workplace: Workplace) -> None:
    text = "zip,n,x,flag,day,mixed,none\n01234,1,1.5,true,2026-01-02,1,\n99999,-2,2,false,2026-01-03,a,\n"
    (workplace.directory / "a.csv").write_text(text)
    assert workplace("data.read", path="a.csv")["rows"] == [
        {"zip": "01234", "n": 1, "x": 1.5, "flag": True, "day": "2026-01-02", "mixed": "1", "none": None},
        {"zip": "99999", "n": -2, "x": 2.0, "flag": False, "day": "2026-01-03", "mixed": "a", "none": None},
    ]
    assert workplace("data.read", path="a.csv", columns=["n"])["rows"] == [{"n": 1}, {"n": -2}]


def test_rows_can_be_the_path_of_a_file(workplace: Workplace) -> None:
    workplace("data.write", rows=SALES, path="sales.csv")
    assert workplace("data.filter", rows="sales.csv", where="amount > 5 AND region = 'east'")["rows"] == [SALES[3]]


def test_filtering_sorting_and_deduplicating_leave_rows_as_they_are(workplace: Workplace) -> None:
    rows = [{"n": 2, "tags": ["a"]}, {"n": 1.5, "note": {"x": 1}}, {"n": None}, {"n": 2, "tags": ["a"]}]
    assert workplace("data.filter", rows=rows, where="n >= 1.5")["rows"] == [rows[0], rows[1], rows[3]]
    assert workplace("data.sort", rows=rows, by="n")["rows"] == [rows[1], rows[0], rows[3], rows[2]]
    assert workplace("data.sort", rows=rows, by=["n"], descending=True)["rows"][0] == rows[0]
    assert workplace("data.deduplicate", rows=rows)["rows"] == rows[:3]
    assert workplace("data.deduplicate", rows=SALES, by="region", keep="last")["rows"] == SALES[2:]


def test_columns_are_chosen_and_computed(workplace: Workplace) -> None:
    assert workplace("data.select", rows=SALES, columns=["amount"])["rows"][0] == {"amount": 10}
    done = workplace("data.select", rows=SALES, columns={"where": "UPPER(region)", "twice": "amount * 2"})
    assert done["rows"][0] == {"where": "WEST", "twice": 20}
    assert done["columns"] == ["where", "twice"]


def test_groups_are_aggregated_in_the_order_of_their_first_row(workplace: Workplace) -> None:
    values = {"total": "SUM(amount)", "orders": "COUNT(*)", "known": "COUNT(amount)"}
    assert workplace("data.aggregate", rows=SALES, by="region", values=values)["rows"] == [
        {"region": "west", "total": 10, "orders": 2, "known": 1},
        {"region": "east", "total": 12, "orders": 2, "known": 2},
    ]
    assert workplace("data.aggregate", rows=SALES, values={"total": "SUM(amount)"})["rows"] == [{"total": 22}]


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ("inner", ["a"]),
        ("left", ["a", None]),
        ("full", ["a", None, "c"]),
        ("semi", []),
        ("anti", []),
        ("cross", ["a", "c"]),
    ],
)
def test_tables_are_joined(how: str, names: list[str | None], workplace: Workplace) -> None:
    left, right = [{"id": 1}, {"id": 2}], [{"id": 1, "name": "a"}, {"id": 3, "name": "c"}]
    on = {} if how == "cross" else {"on": "id"}
    rows = workplace("data.join", left=left, right=right, how=how, **on)["rows"]
    if how in ("semi", "anti"):
        assert rows == [{"id": 1 if how == "semi" else 2}]
    else:
        assert [row["name"] for row in rows] == names * (2 if how == "cross" else 1)


def test_values_become_columns(workplace: Workplace) -> None:
    done = workplace("data.pivot", rows=SALES, index="region", columns="month", values="amount", aggregate="first")
    assert done["rows"] == [{"region": "west", "jan": 10, "feb": None}, {"region": "east", "jan": 5, "feb": 7}]


def test_sql_asks_several_tables(workplace: Workplace) -> None:
    workplace("data.write", rows=[{"region": "west", "boss": "Ada"}], path="bosses.csv")
    done = workplace(
        "data.sql",
        query="SELECT boss, SUM(amount) AS total FROM sales JOIN bosses USING (region) GROUP BY boss",
        tables={"sales": SALES, "bosses": "bosses.csv"},
    )
    assert done["rows"] == [{"boss": "Ada", "total": 10}]


@pytest.mark.parametrize("action", ["filter", "sort", "deduplicate", "aggregate", "select", "pivot"])
def test_a_table_without_rows_stays_without_rows(action: str, workplace: Workplace) -> None:
    parameters: dict[str, Any] = {
        "filter": {"where": "a > 1"},
        "sort": {"by": "a"},
        "deduplicate": {"by": "a"},
        "aggregate": {"by": "a", "values": {"n": "COUNT(*)"}},
        "select": {"columns": {"b": "a + 1"}},
        "pivot": {"index": "a", "columns": "b", "values": "c"},
    }[action]
    assert workplace(f"data.{action}", rows=[], **parameters)["rows"] == []


@pytest.mark.parametrize(
    ("action", "parameters", "said"),
    [
        ("filter", {"where": "amont > 1"}, "there is no column `amont`"),
        ("filter", {"where": "amount >"}, "cannot read `where`"),
        ("sort", {"by": "nope"}, "there is no column `nope`"),
        ("sort", {"by": "amount", "descending": [True, False]}, "2 values for 1 columns"),
        ("select", {"columns": ["nope"]}, "there is no column `nope`"),
        ("aggregate", {"values": {"x": "SUM(nope)"}}, "there is no column `nope`"),
        ("deduplicate", {"by": "nope"}, "there is no column `nope`"),
        ("write", {"path": "a.xlsx"}, "does not tell its format"),
    ],
)
def test_a_mistake_is_named(action: str, parameters: dict[str, Any], said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError) as caught:
        workplace(f"data.{action}", rows=SALES, **parameters)
    assert said in caught.value.message
    assert caught.value.code == "ORC710"
    assert "row" not in (caught.value.help or "").replace("rows", "")


def test_a_column_of_several_kinds_is_refused_and_not_turned_into_text(workplace: Workplace) -> None:
    with pytest.raises(StepError, match="`a` of `rows` holds a number in row 0 and text in row 2"):
        workplace("data.filter", rows=[{"a": 1}, {}, {"a": "x"}], where="a = 1")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "`a.json` is no valid JSON"),
        ("a.json", "{}", "holds no list of objects"),
        ("a.json", "[1]", "row 0 of `a.json` is no object"),
        ("a.jsonl", '{"a": 1}\nnope', "line 2 of `a.jsonl` is no valid JSON"),
        ("a.csv", "a,b\n1,2,3,4\n", "cannot read `a.csv`"),
        ("a.parquet", "nope", "cannot read `a.parquet`"),
    ],
)
def test_a_broken_file_is_named(name: str, text: str, said: str, workplace: Workplace) -> None:
    (workplace.directory / name).write_text(text)
    with pytest.raises(StepError, match=said):
        workplace("data.read", path=name)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('{path}')",
        "SELECT * FROM \"read_csv\"('{path}')",
        "SELECT * FROM READ_CSV /* x */ ('{path}')",
        "SELECT * FROM read_csv -- x\n('{path}')",
        "SELECT * FROM read_parquet('{path}')",
        "WITH x AS (SELECT * FROM read_ndjson('{path}')) SELECT * FROM x",
        "CREATE TABLE x AS SELECT * FROM t",
        "DROP TABLE t",
        "SELECT 1 FROM t; SELECT 2 FROM t",
    ],
)
def test_sql_reads_no_files_and_changes_nothing(query: str, workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\nsecret\n")
    with pytest.raises(StepError) as caught:
        workplace("data.sql", query=query.format(path=tmp_path / "secret.csv"), tables={"t": SALES})
    assert caught.value.code == "ORC710"
    assert "secret\n" not in caught.value.message


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("read", {"path": "../a.csv"}),
        ("write", {"rows": SALES, "path": "../a.csv"}),
        ("filter", {"rows": "../a.csv", "where": "true"}),
        ("join", {"left": SALES, "right": "../a.csv", "on": "a"}),
        ("sql", {"query": "SELECT * FROM t", "tables": {"t": "../a.csv"}}),
    ],
)
def test_files_outside_are_refused(action: str, parameters: dict[str, Any], workplace: Workplace) -> None:
    with pytest.raises(PermissionDenied):
        workplace(f"data.{action}", **parameters)
