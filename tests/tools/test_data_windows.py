"""Windows and samples of rows, and both directions of a pivot. SQLite says what window functions and joins mean."""

import math
import sqlite3
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import StepError
from tests.tools.support import Workplace

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "g": st.sampled_from(["a", "b", None]),
            "t": st.none() | st.integers(0, 4),
            "x": st.none() | st.integers(-50, 50),
        }
    ),
    min_size=1,
    max_size=12,
)
ALL = "BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
WINDOWS: dict[str, tuple[dict[str, Any], str]] = {
    "row_number": ({"function": "row_number"}, "ROW_NUMBER() OVER w"),
    "rank": ({"function": "rank"}, "RANK() OVER (PARTITION BY g ORDER BY t NULLS LAST)"),
    "dense_rank": ({"function": "dense_rank"}, "DENSE_RANK() OVER (PARTITION BY g ORDER BY t NULLS LAST)"),
    "percent_rank": ({"function": "percent_rank"}, "PERCENT_RANK() OVER (PARTITION BY g ORDER BY t NULLS LAST)"),
    "ntile": ({"function": "ntile", "buckets": 3}, "NTILE(3) OVER w"),
    "lag": ({"function": "lag", "column": "x", "offset": 2}, "LAG(x, 2) OVER w"),
    "lead": ({"function": "lead", "column": "x", "default": -99}, "LEAD(x, 1, -99) OVER w"),
    "difference": ({"function": "difference", "column": "x"}, "x - LAG(x) OVER w"),
    "change": ({"function": "change", "column": "x"}, "(x - LAG(x) OVER w) * 1.0 / NULLIF(LAG(x) OVER w, 0)"),
    "first": ({"function": "first", "column": "x"}, f"FIRST_VALUE(x) OVER (w ROWS {ALL})"),
    "last": ({"function": "last", "column": "x"}, f"LAST_VALUE(x) OVER (w ROWS {ALL})"),
    **{
        f"{function} {frame}": (
            {"function": function, "column": "x", "frame": frame},
            f"{sql}(x) OVER (w ROWS {rows})",
        )
        for function, sql in {"sum": "SUM", "mean": "AVG", "min": "MIN", "max": "MAX", "count": "COUNT"}.items()
        for frame, rows in (
            ("partition", ALL),
            ("running", "BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
            (3, "BETWEEN 2 PRECEDING AND CURRENT ROW"),
        )
    },
}  # fmt: skip


def sqlite_rows(query: str, **tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    for name, rows in tables.items():
        columns = list(rows[0])
        connection.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        connection.executemany(
            f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})",
            [tuple(row[column] for column in columns) for row in rows],
        )
    found = [dict(row) for row in connection.execute(query)]
    connection.close()
    return found


@MANY
@given(rows=ROWS)
def test_a_window_function_means_what_it_means_in_sql(rows: list[dict[str, Any]], workplace: Workplace) -> None:
    numbered = [{"i": index, **row} for index, row in enumerate(rows)]
    columns = {f"c{number}": given for number, (given, _) in enumerate(WINDOWS.values())}
    done = workplace("data.window", rows=numbered, by="g", order_by="t", columns=columns)
    asked = ", ".join(f"{sql} AS c{number}" for number, (_, sql) in enumerate(WINDOWS.values()))
    expected = sqlite_rows(
        f"SELECT i, g, t, x, {asked} FROM r WINDOW w AS (PARTITION BY g ORDER BY t NULLS LAST, i) ORDER BY i",
        r=numbered,
    )
    assert set(done["columns"]) == {"i", "g", "t", "x", *columns}
    for row, wanted in zip(done["rows"], expected, strict=True):
        for number, name in enumerate(WINDOWS):
            assert row.pop(f"c{number}") == pytest.approx(wanted.pop(f"c{number}"), abs=1e-9), name
        assert row == wanted


@MANY
@given(rows=ROWS)
def test_medians_and_deviations_are_those_of_the_frame(rows: list[dict[str, Any]], workplace: Workplace) -> None:
    columns = {
        f"{function}_{frame}": {"function": function, "column": "x", "frame": frame}
        for function in ("median", "std")
        for frame in ("partition", "running", 2)
    }
    done = workplace("data.window", rows=rows, columns=columns)["rows"]
    for index, row in enumerate(done):
        for frame, start, end in (("partition", 0, None), ("running", 0, index + 1), (2, max(0, index - 1), index + 1)):
            values = sorted(each["x"] for each in rows[start:end] if each["x"] is not None)
            middle = len(values) // 2
            median = None if not values else (values[middle] + values[-middle - 1]) / 2
            mean = sum(values) / len(values) if values else 0
            deviation = (
                math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)) if len(values) > 1 else None
            )
            assert row[f"median_{frame}"] == pytest.approx(median)
            assert row[f"std_{frame}"] == pytest.approx(deviation, abs=1e-6)


def test_windows_leave_other_columns_alone_and_do_not_overflow(workplace: Workplace) -> None:
    rows = [{"n": 2**62, "mixed": 1, "tags": ["a"]}, {"n": 2**62, "mixed": "x"}]
    done = workplace("data.window", rows=rows, columns={"total": {"function": "sum", "column": "n"}})["rows"]
    assert done == [{**rows[0], "total": 2**63}, {**rows[1], "total": 2**63}]
    assert workplace("data.window", rows=[], columns={"n": {"function": "count"}})["rows"] == []
    counted = workplace("data.window", rows=rows, columns={"n_rows": {"function": "count"}})["rows"]
    assert [row["n_rows"] for row in counted] == [2, 2]
    moving = {"m": {"function": "mean", "column": "v", "frame": 2, "min_rows": 2}}
    done = workplace("data.window", rows=[{"v": 1}, {"v": 3}], columns=moving)["rows"]
    assert [row["m"] for row in done] == [None, 2]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"r": {"function": "rank"}}, "needs `order_by`"),
        ({"r": {"function": "sum"}}, "`sum` of `r` needs a `column`"),
        ({"r": {"function": "sum", "column": "g"}}, "needs numbers, which `g` does not have"),
        ({"r": {"function": "sum", "column": "nope"}}, "unknown column `nope`"),
        ({"x": {"function": "count"}}, "already have a column `x`"),
        ({"r": {"function": "lag", "column": "x", "frame": 3}}, "`frame` of `r` has no meaning for `lag`"),
        ({"r": {"function": "mean", "column": "x", "frame": 0}}, "must be at least 1"),
        ({"r": {"function": "mean", "column": "x", "min_rows": 2}}, "`min_rows` of `r` needs a `frame`"),
        ({"r": {"function": "first", "column": "x", "buckets": 2}}, "no meaning for `first`"),
        ({"r": {"function": "ntile", "buckets": 0}}, "needs `order_by`"),
        (
            {"r": {"function": "lag", "column": "x", "default": "none"}},
            "the `default` of `r` is not like the values of `x`",
        ),
    ],
)
def test_a_window_that_has_no_meaning_is_refused(columns: dict[str, Any], said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError) as caught:
        workplace("data.window", rows=[{"g": "a", "x": 1}], columns=columns)
    assert said in caught.value.message
    assert caught.value.code == "ORC710"


@MANY
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    n=st.integers(0, 40),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 3),
)
def test_a_sample_is_a_part_of_the_rows_in_their_order_and_in_proportion(
    sizes: list[int], n: int, fraction: float, seed: int, workplace: Workplace
) -> None:
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    rows = [{"i": index, "group": group} for index, group in enumerate(groups)]
    some = workplace("data.sample", rows=rows, n=n, by="group", seed=seed)["rows"]
    assert some == workplace("data.sample", rows=rows, n=n, by="group", seed=seed)["rows"]
    chosen = [row["i"] for row in some]
    assert chosen == sorted(set(chosen))
    assert len(some) == min(n, len(rows))
    counts = Counter(row["group"] for row in some)
    assert all(abs(counts[group] - len(some) * size / len(rows)) < 1 for group, size in enumerate(sizes))
    share = Counter(row["group"] for row in workplace("data.sample", rows=rows, fraction=fraction, by="group")["rows"])
    assert all(abs(share[group] - fraction * size) <= 0.5 for group, size in enumerate(sizes))
    again = workplace("data.sample", rows=rows, n=n, replace=True)["rows"]
    assert len(again) == n


def test_seeds_draw_different_samples_and_these_on_every_machine(workplace: Workplace) -> None:
    rows = [{"i": index} for index in range(1_000)]
    drawn = [[row["i"] for row in workplace("data.sample", rows=rows, n=5, seed=seed)["rows"]] for seed in (0, 1)]
    assert drawn == [[394, 430, 776, 864, 911], [137, 582, 782, 821, 867]]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "either `n` or `fraction`"),
        ({"n": 1, "fraction": 0.5}, "either `n` or `fraction`"),
        ({"n": -1}, "must be at least 0"),
        ({"fraction": 1.5}, "from 0 to 1"),
        ({"n": 1, "by": "nope"}, "unknown column `nope`"),
        ({"n": 10**9, "replace": True}, "too large"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_refused(parameters: dict[str, Any], said: str, workplace: Workplace) -> None:
    with pytest.raises(StepError, match=said):
        workplace("data.sample", rows=[{"a": 1}], **parameters)


@MANY
@given(
    cells=st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), st.integers(-9, 9), min_size=1, max_size=9
    )
)
def test_a_pivot_is_undone_by_an_unpivot(cells: dict[tuple[str, str], int], workplace: Workplace) -> None:
    rows = [{"row": row, "column": column, "value": value} for (row, column), value in cells.items()]
    wide = workplace("data.pivot", rows=rows, index="row", columns="column", values="value", aggregate="first")["rows"]
    long = workplace("data.unpivot", rows=wide, index="row", name="column", drop_nulls=True)
    assert long["columns"] == ["row", "column", "value"]
    assert sorted(map(repr, long["rows"])) == sorted(map(repr, rows))


def test_unpivoted_values_stay_what_they_are(workplace: Workplace) -> None:
    rows = [{"id": 1, "n": 2, "s": "x"}, {"id": 2, "n": None, "s": [1]}]
    assert workplace("data.unpivot", rows=rows, index="id", name="key")["rows"] == [
        {"id": 1, "key": "n", "value": 2},
        {"id": 1, "key": "s", "value": "x"},
        {"id": 2, "key": "n", "value": None},
        {"id": 2, "key": "s", "value": [1]},
    ]
    assert workplace("data.unpivot", rows=rows, columns=["n"], drop_nulls=True)["rows"] == [
        {"id": 1, "s": "x", "name": "n", "value": 2}
    ]
    for parameters, said in (
        ({}, "either `columns` or `index`"),
        ({"index": "nope"}, "unknown column `nope`"),
        ({"index": "id", "name": "id"}, "several columns"),
    ):
        with pytest.raises(StepError, match=said):
            workplace("data.unpivot", rows=rows, **parameters)


TABLE = st.lists(st.fixed_dictionaries({"k": st.none() | st.integers(0, 3), "v": st.integers(0, 9)}), max_size=6)


@MANY
@given(left=TABLE, right=TABLE)
def test_joins_mean_what_they_mean_in_sql(
    left: list[dict[str, Any]], right: list[dict[str, Any]], workplace: Workplace
) -> None:
    other = [{"id": row["k"], "w": row["v"]} for row in right]
    tables = {"l": left or [{"k": 0, "v": 0}], "r": other or [{"id": 0, "w": 0}]}
    empty = [f"DELETE FROM {name}" for name, rows in (("l", left), ("r", other)) if not rows]
    columns = {"inner": "k, v, w", "left": "k, v, w", "right": "id AS k, v, w", "full": "COALESCE(k, id) AS k, v, w"}
    for how, names in columns.items():
        query = f"SELECT {names} FROM l {how.upper()} JOIN r ON k = id"
        done = workplace("data.join", left=left, right=other, on={"k": "id"}, how=how)["rows"]
        wanted = sqlite_rows(query, **tables) if not empty else _with_empty(how, left, other)
        assert _bag(done) == _bag(wanted), how
    exists = "EXISTS (SELECT 1 FROM r WHERE id = k)"
    for how, condition in (("semi", exists), ("anti", f"NOT {exists}")):
        done = workplace("data.join", left=left, right=other, on={"k": "id"}, how=how)["rows"]
        if not empty:
            assert done == sqlite_rows(f"SELECT * FROM l WHERE {condition}", **tables)


def _with_empty(how: str, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> list[dict[str, Any]]:
    renamed = [{"k": row["id"], "w": row["w"]} for row in right]
    return {"inner": [], "left": left, "right": renamed, "full": left or renamed}[how]


def _bag(rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter((row.get("k"), row.get("v"), row.get("w")) for row in rows)


def test_a_join_keeps_names_apart_and_says_which_key_is_not_unique(workplace: Workplace) -> None:
    left, right = [{"k": 1, "v": 1}], [{"id": 1, "k": "own", "v": 2}]
    joined = workplace("data.join", left=left, right=right, on={"k": "id"}, how="right")
    assert joined["rows"] == [{"k": 1, "v": 1, "k_right": "own", "v_right": 2}]
    twice = [{"id": 1, "n": 1}, {"id": 2, "n": 1}, {"id": 2, "n": 2}]
    many = workplace("data.join", left=[{"id": 2}], right=twice, on="id", relation="one_to_many")
    assert many["count"] == 2
    for relation in ("many_to_one", "one_to_one"):
        with pytest.raises(StepError, match=r"the right table has 2 rows with `id: 2`"):
            workplace("data.join", left=[{"id": 9}], right=twice, on="id", relation=relation)
    with pytest.raises(StepError, match="too large"):
        workplace("data.join", left=[{"a": 1}] * 5_000, right=[{"b": 1}] * 5_000, how="cross")
