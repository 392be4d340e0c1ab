"""The data tool: tables in, tables out."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import PermissionDenied, StepError
from orchestrator.expressions import Constant, Scope
from orchestrator.plan.loop_items import FileItems
from orchestrator.plan.steps import Block, ForEach
from orchestrator.runtime.steps.item_sources import items_of
from orchestrator.text.csv_text import ColumnType
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


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2", ""], [1, -2, None]),
        (["1.5", "2", "-0.25", "1e-07", "1.5e+22"], [1.5, 2, -0.25, 1e-07, 1.5e22]),
        (["1.50", "10.00"], [1.5, 10.0]),
        (["1.9", "1.10"], ["1.9", "1.10"]),
        (["1.50", "2"], ["1.50", "2"]),
        (["007", "12"], ["007", "12"]),
        (["1E5", "2E10"], ["1E5", "2E10"]),
        (["+1"], ["+1"]),
        (["-0"], ["-0"]),
        (["1", " 2"], ["1", " 2"]),
        (["123456789012345678", "1"], [123456789012345678, 1]),
        (["12345678901234567890", "1"], ["12345678901234567890", "1"]),
        (["0.5", "9007199254740993"], [0.5, 9007199254740993]),
        (["0.5", "0.1234567890123456789"], ["0.5", "0.1234567890123456789"]),
        (["1.5", "1.5e400"], ["1.5", "1.5e400"]),
        (["true", "false"], [True, False]),
        (["true", "yes"], ["true", "yes"]),
        (["", ""], [None, None]),
        (["NaN", "inf"], ["NaN", "inf"]),
    ],
)
def test_a_cell_of_a_csv_file_keeps_all_that_is_written(
    cells: list[str], values: list[Any], workplace: Workplace
) -> None:
    (workplace.directory / "a.csv").write_text("".join(f"{cell},x\n" for cell in ["a", *cells]).replace("a,x", "a,b"))
    found = [row["a"] for row in workplace("data.read", path="a.csv")["rows"]]
    assert repr(found) == repr(values)


def test_the_types_of_columns_can_be_given(workplace: Workplace) -> None:
    (workplace.directory / "a.csv").write_text("v,n,i,b,t\n1.10,1e5,+7,TRUE,5\n1.20,.5,,no,\n")
    types = {"v": "string", "n": "number", "i": "integer", "t": "string"}
    assert workplace("data.read", path="a.csv", types=types)["rows"] == [
        {"v": "1.10", "n": 1e5, "i": 7, "b": "TRUE", "t": "5"},
        {"v": "1.20", "n": 0.5, "i": None, "b": "no", "t": None},
    ]
    for types, said in (({"b": "boolean"}, "the column `b`.*`no`"), ({"x": "string"}, "column `x`")):
        with pytest.raises(StepError, match=said):
            workplace("data.read", path="a.csv", types=types)


CSV_VALUES = st.sampled_from(["", "a", 'say "hi"', "a,b", "a;b\tc", "line\nline", "\r\n", " x ", "\u2028", "007"])
CSV_COLUMNS = st.one_of(
    st.lists(
        st.none() | (CSV_VALUES | st.text(st.characters(exclude_categories=["Cs"]))).map("t{}".format), min_size=3
    ),
    st.lists(st.none() | st.integers(-(10**17), 10**17), min_size=3),
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-99, 99), min_size=3),
    st.lists(st.none() | st.booleans(), min_size=3),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns=st.lists(CSV_COLUMNS, min_size=2, max_size=4), name=st.sampled_from(["a.csv", "a.tsv"]))
def test_rows_survive_a_csv_file(columns: list[list[Any]], name: str, workplace: Workplace) -> None:
    rows = [{f"c{number}": value for number, value in enumerate(values)} for values in zip(*columns, strict=False)]
    workplace("data.write", rows=rows, path=name)
    read = workplace("data.read", path=name)["rows"]
    assert read == rows
    assert json.dumps(read) == json.dumps(rows)


CSV_TEXTS = ["", '""', "a", "yes", '"1"', " 3", '"x\ny"', '"say ""hi"""', "é", "\u2028", "\ufeff"]
CSV_NUMBERS = ["1", "-2", "007", "1.50", "2.25", "1.5", "1e5", "1.5e+3", "-0", "12345678901234567890", "true", "false"]
CSV_CELLS = st.sampled_from([*CSV_TEXTS, *CSV_NUMBERS])
CSV_TYPES = st.dictionaries(st.sampled_from(["c0", "c1", "c9"]), st.sampled_from(get_args(ColumnType)), max_size=2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(CSV_CELLS, min_size=n, max_size=n), max_size=8)),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    types=CSV_TYPES,
    named=st.booleans(),
    name=st.sampled_from(["a.csv", "a.tsv"]),
    rest=st.sampled_from(["", "", "", "1,2,3,4", '"open']),
)
def test_a_loop_reads_a_csv_file_as_data_read_does(
    rows: list[list[str]],
    end: str,
    delimiter: str,
    encoding: str,
    types: dict[str, ColumnType],
    named: bool,
    name: str,
    rest: str,
    workplace: Workplace,
) -> None:
    names = [f"c{number}" for number in range(len(rows[0]) if rows else 2)]
    text = "".join(delimiter.join(cells) + end for cells in [names, *rows]) + rest
    (workplace.directory / name).write_bytes(text.encode(encoding))
    layout: dict[str, Any] = {"types": types or None, "delimiter": delimiter if named else None}
    items = FileItems(Constant(name), **layout)
    try:
        rows_read = workplace("data.read", path=name, **layout)["rows"]
    except StepError:
        with pytest.raises(StepError):
            looped(items, workplace)
        return
    assert repr(looped(items, workplace)) == repr(rows_read)


def looped(items: FileItems, workplace: Workplace) -> list[Any]:
    loop = ForEach(items, Block(()), "item")
    found = items_of(
        loop, Scope({}, datetime.now(UTC)), directory=workplace.directory, permissions=workplace.permissions
    )
    assert found.scan is not None
    asyncio.run(found.scan())
    return list(found.rows)


def test_blank_lines_are_no_rows_and_the_sign_of_line_ends_within_text_is_text(workplace: Workplace) -> None:
    (workplace.directory / "a.csv").write_bytes(b'a,b\r\n1,z\r\n\r\n"x\r\n\r\ny",""\r\n,\r\n\n')
    assert workplace("data.read", path="a.csv")["rows"] == [
        {"a": "1", "b": "z"},
        {"a": "x\r\n\r\ny", "b": ""},
        {"a": None, "b": None},
    ]
    rows = [{"text": "one\u2028two\x85three\x0bfour"}, {"text": "five"}]
    workplace("data.write", rows=rows, path="a.jsonl")
    assert workplace("data.read", path="a.jsonl")["rows"] == rows


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_found_out_with_a_hint_or_given(delimiter: str, workplace: Workplace) -> None:
    rows = [{"name": "A", "price": "1,50"}, {"name": 'B "x"; |\t', "price": "2,00"}]
    workplace("data.write", rows=rows, path="a.csv", delimiter=delimiter)
    assert workplace("data.read", path="a.csv")["rows"] == rows
    assert f"`delimiter: {json.dumps(delimiter)}`" in workplace.context.lines[-1][1]
    said = len(workplace.context.lines)
    assert workplace("data.read", path="a.csv", delimiter=delimiter)["rows"] == rows
    assert len(workplace.context.lines) == said
    with pytest.raises(StepError, match="a delimiter is one character"):
        workplace("data.read", path="a.csv", delimiter="::")


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl"])
def test_text_is_decoded_by_its_mark_or_by_its_encoding_and_never_replaced(name: str, workplace: Workplace) -> None:
    rows = [{"a": "café", "b": "naïve"}]
    workplace("data.write", rows=rows, path=name)
    text = (workplace.directory / name).read_text("utf-8")
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        (workplace.directory / name).write_bytes(text.encode(encoding))
        assert workplace("data.read", path=name)["rows"] == rows
    (workplace.directory / name).write_bytes(text.encode("windows-1252"))
    assert workplace("data.read", path=name, encoding="windows-1252")["rows"] == rows
    with pytest.raises(StepError, match=r"it is not UTF-8 text \(byte 0xE9 in line") as caught:
        workplace("data.read", path=name)
    assert "`windows-1252`" in (caught.value.help or "")
    with pytest.raises(StepError, match="unknown encoding `klingon`"):
        workplace("data.read", path=name, encoding="klingon")


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("a.json", {"delimiter": ";"}),
        ("a.jsonl", {"types": {"a": "string"}}),
        ("a.parquet", {"delimiter": ";"}),
        ("a.parquet", {"encoding": "latin-1"}),
    ],
)
def test_a_layout_that_has_no_meaning_for_the_format_is_refused(
    name: str, layout: dict[str, Any], workplace: Workplace
) -> None:
    workplace("data.write", rows=[{"a": 1}], path=name)
    with pytest.raises(StepError, match="is not valid for"):
        workplace("data.read", path=name, **layout)
    if "delimiter" in layout:
        with pytest.raises(StepError, match="is not valid for"):
            workplace("data.write", rows=[{"a": 1}], path=name, **layout)


def test_a_cell_may_be_large(workplace: Workplace) -> None:
    rows = [{"a": "x" * 1_000_000, "b": "y,\n" * 300_000}]
    workplace("data.write", rows=rows, path="a.csv")
    assert workplace("data.read", path="a.csv")["rows"] == rows


def test_an_integer_that_would_lose_digits_among_decimal_numbers_is_refused(workplace: Workplace) -> None:
    rows = [{"a": 0.5}, {"a": 2**53 + 1}]
    with pytest.raises(StepError, match="in row 1 the integer 9007199254740993"):
        workplace("data.filter", rows=rows, where="a > 0")
    assert workplace("data.filter", rows=[{"a": 0.5}, {"a": 2**60}], where="a > 1")["rows"] == [{"a": 2**60}]


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


def test_sums_and_products_of_large_integers_do_not_overflow(workplace: Workplace) -> None:
    rows = [{"g": "x", "a": 2**62, "b": 2**40}] * 3
    total = workplace("data.aggregate", rows=rows, by="g", values={"s": "SUM(a)", "p": "SUM(b * b)"})["rows"]
    assert total == [{"g": "x", "s": 3 * 2**62, "p": 3 * 2**80}]
    assert workplace("data.select", rows=rows[:1], columns={"x": "a * 4", "y": "b + 1"})["rows"] == [
        {"x": 2**64, "y": 2**40 + 1}
    ]
    assert workplace("data.filter", rows=rows, where="a * 4 > 1")["count"] == 3
    assert workplace("data.pivot", rows=rows, index="b", columns="g", values="a")["rows"] == [
        {"b": 2**40, "x": 3 * 2**62}
    ]
    done = workplace("data.sql", query="SELECT SUM(a) AS s, AVG(a) AS m FROM t", tables={"t": rows})
    assert done["rows"] == [{"s": 3 * 2**62, "m": 2.0**62}]


def test_a_number_that_is_computed_is_a_number_and_as_exact_as_can_be(workplace: Workplace) -> None:
    columns = {"net": "a * 0.9", "third": "a / 3", "seconds": "t / 1000", "text": "CAST(a AS VARCHAR)", "half": "0.5"}
    rows = [{"a": 10, "t": 1_700_000_000_123}, {"a": 2**53 + 1, "t": None}]
    assert workplace("data.select", rows=rows[:1], columns=columns)["rows"] == [
        {"net": 9.0, "third": 10 / 3, "seconds": 1_700_000_000.123, "text": "10", "half": 0.5}
    ]
    exact = workplace("data.select", rows=rows, columns={"x": "a * 1.0"})["rows"]
    assert exact == [{"x": 10.0}, {"x": 2**53 + 1}]


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


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"]))
)
def test_a_value_reaches_sql_as_it_is(value: Any, workplace: Workplace) -> None:
    done = workplace(
        "data.select", rows=[{"a": 1}], columns={"b": ":value", "c": "'::value' /* :value */"}, inputs={"value": value}
    )
    assert done["rows"] == [{"b": value, "c": "::value"}]


def test_every_action_with_sql_reads_values(workplace: Workplace) -> None:
    query = "SELECT amount::TEXT AS n FROM t WHERE region = :region AND amount >-:least"
    asked = workplace("data.sql", query=query, tables={"t": SALES}, inputs={"region": "west", "least": -5})
    assert asked["rows"] == [{"n": "10"}]
    kept = workplace("data.filter", rows=SALES, where="region = :region", inputs={"region": "' OR 'a' = 'a"})
    assert kept["rows"] == []
    total = workplace("data.aggregate", rows=SALES, values={"total": "SUM(amount * :factor)"}, inputs={"factor": 2})
    assert total["rows"] == [{"total": 44}]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [({"b": 1}, "`where` reads `:a`, which is not in `inputs`"), ({"a": [1]}, "`inputs.a` is a list; SQL accepts")],
)
def test_a_value_that_sql_cannot_read_is_refused(inputs: dict[str, Any], said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError, match=said):
        workplace("data.filter", rows=SALES, where="amount > :a", inputs=inputs)


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
        ("filter", {"where": "amont > 1"}, "unknown column `amont`"),
        ("filter", {"where": "amount >"}, "cannot read `where`"),
        ("sort", {"by": "nope"}, "unknown column `nope`"),
        ("sort", {"by": "amount", "descending": [True, False]}, "2 values for 1 columns"),
        ("select", {"columns": ["nope"]}, "unknown column `nope`"),
        ("aggregate", {"values": {"x": "SUM(nope)"}}, "unknown column `nope`"),
        ("deduplicate", {"by": "nope"}, "unknown column `nope`"),
        ("write", {"path": "a.xlsx"}, "cannot derive the format"),
    ],
)
def test_a_mistake_is_named(action: str, parameters: dict[str, Any], said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError) as caught:
        workplace(f"data.{action}", rows=SALES, **parameters)
    assert said in caught.value.message
    assert caught.value.code == "ORC710"
    assert "row" not in (caught.value.help or "").replace("rows", "")


def test_a_column_of_several_kinds_is_refused_and_not_turned_into_text(workplace: Workplace) -> None:
    with pytest.raises(StepError, match="`a` of `rows` has a number in row 0 and a string in row 2"):
        workplace("data.filter", rows=[{"a": 1}, {}, {"a": "x"}], where="a = 1")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "`a.json` is not valid JSON"),
        ("a.json", "{}", "does not contain a list of objects"),
        ("a.json", "[1]", "row 0 of `a.json` is not an object"),
        ("a.jsonl", '{"a": 1}\nnope', "line 2 of `a.jsonl` is not valid JSON"),
        ("a.csv", "a,b\n1,2,3,4\n", "line 2 of `a.csv` has 4 cells"),
        ("a.csv", "a,a\n1,2\n", "line 1 of `a.csv` names the column `a` twice"),
        ("a.csv", 'a\n"b\nc\n', "line 2 of `a.csv` opens a quote that is not closed"),
        ("a.json", '[{"a": 1e400}]', "the number 1e400 is too large"),
        ("a.jsonl", '{"a": NaN}', "NaN is not JSON"),
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


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT x" + " + 1" * 20_000 + " FROM t", "20,000 operators"),
        ("SELECT x FROM t WHERE " + " AND ".join(["x > 0"] * 20_000), "39,999 operators"),
        (
            "SELECT a.x FROM t a CROSS JOIN t b CROSS JOIN t c CROSS JOIN t d CROSS JOIN t e CROSS JOIN t f",
            "memory|rows",
        ),
    ],
)
def test_sql_without_bounds_is_refused_or_ended(query: str, said: str, workplace: Workplace) -> None:
    pytest.importorskip("resource", reason="the memory of a process is known on Unix")
    with pytest.raises(StepError, match=said) as caught:
        workplace("data.sql", tables={"t": [{"x": index} for index in range(1_000)]}, query=query)
    assert caught.value.code == "ORC710"
    assert caught.value.help


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("filter", {"where": "x" + " + 1" * 20_000 + " > 0"}),
        ("select", {"columns": {"y": "x" + " + 1" * 20_000}}),
        ("aggregate", {"values": {"y": "SUM(x" + " + 1" * 20_000 + ")"}}),
    ],
)
def test_a_long_expression_is_refused(action: str, parameters: dict[str, Any], workplace: Workplace) -> None:
    with pytest.raises(StepError, match=r"20,00\d operators"):
        workplace(f"data.{action}", rows=[{"x": 1}], **parameters)


def test_an_expression_that_makes_texts_grow_is_evaluated_in_its_own_process(workplace: Workplace) -> None:
    rows = [{"x": "ab"}, {"x": "c"}]
    assert workplace("data.select", rows=rows, columns={"y": "x || x"})["rows"] == [{"y": "abab"}, {"y": "cc"}]
    assert workplace("data.filter", rows=rows, where="REPLACE(x, 'a', '') = 'b'")["rows"] == [{"x": "ab"}]
    assert workplace("data.aggregate", rows=rows, values={"n": "MAX(x || '!')"})["rows"] == [{"n": "c!"}]
    with pytest.raises(StepError, match="cannot filter: unknown column `z`"):
        workplace("data.filter", rows=rows, where="z || 'a' = 'b'")
    with pytest.raises(StepError, match="cannot read `where`"):
        workplace("data.filter", rows=rows, where="x || = 'b'")


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("join", {"left": [{"a": 1}] * 6_000, "right": [{"b": 1}] * 6_000, "how": "cross"}),
        ("join", {"left": [{"a": 1}] * 6_000, "right": [{"a": 1}] * 6_000, "on": "a"}),
        (
            "pivot",
            {"rows": [{"a": n, "b": n, "c": n} for n in range(6_000)], "index": "a", "columns": "b", "values": "c"},
        ),
    ],
)
def test_a_result_that_would_be_too_large_is_refused_before_it_is_made(
    action: str, parameters: dict[str, Any], workplace: Workplace
) -> None:
    with pytest.raises(StepError, match="which is too large"):
        workplace(f"data.{action}", **parameters)


@pytest.mark.parametrize(
    ("data", "given", "text"),
    [
        (
            "n,name\n1,a\n2,\n",
            {},
            '[\n  {\n    "n": 1,\n    "name": "a"\n  },\n  {\n    "n": 2,\n    "name": null\n  }\n]\n',
        ),
        ('\n[{"n": 1}]', {"to": "csv"}, "n\n1\n"),
        ('{"n": 1}\n{"n": 2}\n', {"to": "tsv"}, "n\n1\n2\n"),
        ("n;m\n1;2\n", {"to": "jsonl", "delimiter": ";"}, '{"n": 1, "m": 2}\n'),
        ("007\n", {"format": "csv", "to": "jsonl"}, ""),
        ([{"n": 1}], {"to": "csv"}, "n\n1\n"),
    ],
)
def test_a_text_of_rows_is_converted(data: Any, given: dict[str, Any], text: str, tmp_path: Path) -> None:
    found = Workplace(tmp_path)("data.convert", data=data, **given)
    assert found["text"] == text
    assert found["count"] == len(found["rows"])


def test_a_text_in_another_format_is_not_converted(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="`data` is not valid JSON"):
        Workplace(tmp_path)("data.convert", data="[1,", to="csv")
