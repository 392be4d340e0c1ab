"""The tool sql, with files of SQLite and with a PostgreSQL server."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

import orchestrator as orc
from orchestrator.errors import ConfigurationError, PermissionDenied, StepError, StepTimeout
from tests.tools.support import Workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server

_names = itertools.count(1)

SETTINGS = """
[databases.shop]
url = "{url}"
[databases.books]
url = "{url}"
read_only = false
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Workplace:
    """A project with a database, once read-only as `shop`, once to be written as `books`."""
    url = "sqlite:///shop.db"
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        name = f"shop_{next(_names)}"
        with create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        url = server.url.replace("postgresql+psycopg", "postgresql").replace("/postgres?", f"/{name}?")
    (tmp_path / "orchestrator.toml").write_text(SETTINGS.format(url=url))
    shop = Workplace(tmp_path)
    shop(
        "sql.execute",
        database="books",
        statement=["CREATE TABLE orders (id INTEGER PRIMARY KEY, who TEXT, total NUMERIC(12, 2))"],
    )
    rows = [
        {"id": 1, "who": "Ada", "total": 9.5},
        {"id": 2, "who": "Béla", "total": 20},
        {"id": 3, "who": None, "total": 1},
    ]
    shop("sql.execute", database="books", statement="INSERT INTO orders VALUES (:id, :who, :total)", inputs=rows)
    return shop


def count(shop: Workplace) -> int:
    return int(shop("sql.query", database="shop", query="SELECT count(*) AS n FROM orders")["rows"][0]["n"])


def test_a_query_returns_rows_and_binds_values(shop: Workplace):
    found = shop(
        "sql.query",
        database="shop",
        query="SELECT id, who, total FROM orders WHERE id IN :ids AND total > :least ORDER BY id",
        inputs={"ids": [1, 2, 9], "least": 0},
    )
    assert found["rows"] == [{"id": 1, "who": "Ada", "total": 9.5}, {"id": 2, "who": "Béla", "total": 20}]
    assert (found["columns"], found["count"]) == (["id", "who", "total"], 2)
    assert json.dumps(found)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders",
        "DELETE FROM orders RETURNING id",
        "UPDATE orders SET total = 0 RETURNING id",
        "INSERT INTO orders VALUES (9, 'x', 1) RETURNING id",
        "CREATE TABLE more (id INTEGER)",
        "SELECT 1 AS one; DELETE FROM orders",
        "SELECT 1 AS one; COMMIT; DELETE FROM orders; SELECT 1",
        "COMMIT",
        "ROLLBACK; DELETE FROM orders",
        "  commit and chain",
        "WITH gone AS (DELETE FROM orders RETURNING id) SELECT * FROM gone",
        "PRAGMA query_only = 0",
        "/**/ COMMIT",
        "-- SELECT\nDELETE FROM orders",
        "COPY orders TO STDOUT",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SET TRANSACTION READ WRITE",
        "DROP TABLE orders",
    ],
)
@pytest.mark.parametrize("action", ["query", "export"])
def test_a_query_writes_nothing(shop: Workplace, query: str, action: str):
    more = {"path": "out.jsonl"} if action == "export" else {}
    for database in ("shop", "books"):
        with pytest.raises(StepError) as caught:
            shop(f"sql.{action}", database=database, query=query, **more)
        assert caught.value.code == "ORC737"
    assert count(shop) == 3
    assert not (shop.directory / "out.jsonl").exists()


def test_a_read_only_database_is_not_written(shop: Workplace):
    with pytest.raises(PermissionDenied, match="the database `shop` is read-only"):
        shop("sql.execute", database="shop", statement="DELETE FROM orders")
    assert count(shop) == 3


def test_statements_are_one_transaction(shop: Workplace):
    insert = "INSERT INTO orders VALUES (:id, 'x', 1)"
    with pytest.raises(StepError, match=r"reported: .*(UNIQUE|duplicate key)") as caught:
        shop("sql.execute", database="books", statement=[insert, "UPDATE orders SET id = 2"], inputs={"id": 7})
    assert not caught.value.retryable
    with pytest.raises(StepError):
        shop("sql.execute", database="books", statement=insert, inputs=[{"id": 7}, {"id": 8}, {"id": 7}])
    with pytest.raises(StepError, match="controls the transaction"):
        shop("sql.execute", database="books", statement=["DELETE FROM orders", "COMMIT", "SELECT x"])
    assert count(shop) == 3
    done = shop(
        "sql.execute",
        database="books",
        statement=[insert, "DELETE FROM orders WHERE id < :least RETURNING id"],
        inputs={"id": 7, "least": 2},
    )
    assert done == {"count": 2, "rows": [{"id": 1}]}


@pytest.mark.parametrize("control", ["COMMIT", "/**/COMMIT", "-- x\nCOMMIT", "; COMMIT", "(COMMIT)", "ROLLBACK", "END"])
def test_no_statement_ends_the_transaction(shop: Workplace, control: str):
    insert = "INSERT INTO orders VALUES (7, 'x', 1)"
    with pytest.raises(StepError):
        shop("sql.execute", database="books", statement=[insert, control, "SELECT nothing"])
    assert count(shop) == 3


def test_values_are_read_by_the_code_and_not_by_its_texts(shop: Workplace):
    statement = "INSERT INTO orders VALUES (:id, 'see note :id, \"a\":1', 5) -- and :not this"
    shop("sql.execute", database="books", statement=statement, inputs=[{"id": 7}, {"id": 8}])
    found = shop("sql.query", database="shop", query="SELECT id, who FROM orders WHERE id > 3 ORDER BY id")["rows"]
    assert found == [{"id": number, "who": 'see note :id, "a":1'} for number in (7, 8)]
    assert shop("sql.execute", database="books", statement=statement, inputs=[]) == {"count": 0, "rows": []}


def test_rows_that_were_written_can_be_returned(shop: Workplace):
    statement = "INSERT INTO orders VALUES (:id, 'x', 5) RETURNING id"
    done = shop("sql.execute", database="books", statement=statement, inputs=[{"id": 7}, {"id": 8}])
    assert done == {"count": 2, "rows": [{"id": 7}, {"id": 8}]}


@pytest.mark.parametrize("shop", ["postgresql"], indirect=True)
def test_a_cast_follows_a_value(shop: Workplace):
    found = shop("sql.query", database="shop", query="SELECT :x::int + 1 AS y, '10:30'::text AS t", inputs={"x": 1})
    assert found["rows"] == [{"y": 2, "t": "10:30"}]
    with pytest.raises(StepTimeout):
        shop("sql.execute", database="books", statement=["SET statement_timeout = 0", "SELECT pg_sleep(60)"], timeout=1)


def test_many_steps_can_be_the_first_to_write_once(shop: Workplace):
    async def write(number: int) -> Any:
        place = Workplace(shop.directory)
        place.context.idempotency_key = f"step {number}"
        statement = "INSERT INTO orders VALUES (:id, 'x', 1)"
        return await place.acall("sql.execute", database="books", statement=statement, inputs={"id": number}, once=True)

    async def together() -> list[Any]:
        return await asyncio.gather(*(write(number) for number in range(10, 18)))

    assert asyncio.run(together()) == [{"count": 1, "rows": []}] * 8
    assert count(shop) == 11


def test_a_write_with_once_is_done_once(shop: Workplace):
    insert = "INSERT INTO orders VALUES (:id, 'x', 1)"
    first = shop("sql.execute", database="books", statement=insert, inputs={"id": 7}, once=True)
    assert shop("sql.execute", database="books", statement=insert, inputs={"id": 7}, once=True) == first
    shop.context.idempotency_key = "another step"
    with pytest.raises(StepError):
        shop("sql.execute", database="books", statement=insert, inputs={"id": 7}, once=True)
    assert shop("sql.execute", database="books", statement=insert, inputs={"id": 8}, once=True) == first
    assert count(shop) == 5


def test_a_file_gets_all_rows(shop: Workplace):
    more = [{"id": number, "who": f'n, "{number}"', "total": number} for number in range(10, 5_010)]
    shop("sql.execute", database="books", statement="INSERT INTO orders VALUES (:id, :who, :total)", inputs=more)
    written = shop("sql.export", database="shop", query="SELECT * FROM orders ORDER BY id", path="out/a.jsonl")
    assert written == {"path": "out/a.jsonl", "columns": ["id", "who", "total"], "count": 5_003}
    lines = (shop.directory / "out/a.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1, 2, 3, *range(10, 5_010)]
    assert shop("sql.export", database="shop", query="SELECT * FROM orders", path="a.csv")["count"] == 5_003
    assert (shop.directory / "a.csv").read_text().startswith("id,who,total\n1,Ada,9.5\n2,Béla,20\n3,,1\n")
    with pytest.raises(StepError, match="more than 100 rows"):
        shop("sql.query", database="shop", query="SELECT * FROM orders", max_rows=100)
    with pytest.raises(PermissionDenied):
        shop("sql.export", database="shop", query="SELECT 1 AS a", path="/etc/passwd")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"query": "SELECT 1 AS a, 2 AS a"}, "returns several columns `a`"),
        ({"query": "SELECT :x AS a"}, "reads `:x`, which `inputs` does not have"),
        ({"query": "SELECT 1 AS a", "inputs": {"x": 1}}, "does not read `:x`"),
        ({"query": "SELECT :x AS a", "inputs": {"x": {"y": 1}}}, "`:x` is an object"),
        ({"query": "SELECT who FROM nowhere"}, "reported: "),
        ({"query": "SELEC 1"}, "`selec` is not a query"),
        ({"query": "SELECT 1 1"}, "reported: "),
        ({"query": " -- SELECT"}, "the query is empty"),
        ({"query": "SELECT 1; SELECT 2"}, "is not one statement"),
        ({"query": "SELECT 1.234567890123456789012 * 1 AS a FROM orders WHERE CAST(total AS TEXT) = '?'"}, ""),
    ],
)
def test_what_is_wrong_is_said(shop: Workplace, parameters: dict[str, Any], said: str):
    if not said:
        assert shop("sql.query", database="shop", **parameters)["rows"] == []
        return
    with pytest.raises(StepError) as caught:
        shop("sql.query", database="shop", **parameters)
    assert (caught.value.code, caught.value.retryable) == ("ORC737", False)
    assert said in caught.value.message


def test_a_slow_query_ends_with_its_timeout_and_when_it_is_cancelled(shop: Workplace):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n"
    with pytest.raises(StepTimeout, match=r"longer than 0.5 s"):
        shop("sql.query", database="shop", query=endless, timeout=0.5)

    async def cancelled() -> None:
        query = asyncio.create_task(shop.acall("sql.query", database="shop", query=endless))
        await asyncio.sleep(0.3)
        query.cancel()
        with pytest.raises(asyncio.CancelledError):
            await query

    asyncio.run(cancelled())
    shop("sql.execute", database="books", statement="DROP TABLE orders", timeout=20)  # nothing reads it any more


@pytest.mark.parametrize("shop", ["sqlite"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.one_of(
        st.none(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    )
)
def test_values_go_through_unchanged_and_are_never_sql(shop: Workplace, value: Any):
    found = shop("sql.query", database="shop", query="SELECT :value AS value", inputs={"value": value})["rows"]
    assert found == [{"value": value}]
    assert type(found[0]["value"]) is type(value)


def test_other_files_cannot_be_attached_and_the_store_cannot_be_opened(tmp_path: Path):
    for name in ("a.db", "other.db"):
        sqlite3.connect(tmp_path / name).close()
        (tmp_path / name).touch()
    (tmp_path / ".orchestrator").mkdir()
    (tmp_path / "orchestrator.toml").write_text(
        '[databases.a]\nurl = "sqlite:///a.db"\nread_only = false\n'
        '[databases.runs]\nurl = "sqlite:///.orchestrator/runs.db"\n[databases.gone]\nurl = "sqlite:///gone.db"\n'
    )
    shop = Workplace(tmp_path)
    for pragma in ("hard_heap_limit = 1", "soft_heap_limit = 1", "query_only = 0", "journal_mode = off"):
        with pytest.raises(StepError, match="not authorized"):
            shop("sql.query", database="a", query=f"PRAGMA {pragma}")
        with pytest.raises(StepError, match="not authorized"):
            shop("sql.execute", database="a", statement=f"PRAGMA {pragma}")
    assert shop("sql.query", database="a", query="PRAGMA table_info(t)")["rows"] == []
    with pytest.raises(StepError, match="not authorized"):
        shop("sql.execute", database="a", statement="ATTACH DATABASE 'other.db' AS other")
    with pytest.raises(PermissionDenied):
        shop("sql.query", database="runs", query="SELECT 1 AS a")
    with pytest.raises(StepError, match="does not exist"):
        shop("sql.query", database="gone", query="SELECT 1 AS a")


def test_passwords_are_in_variables_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "orchestrator.toml"
    file.write_text('[databases.a]\nurl = "postgresql://me:hunter2@localhost/a"\n')
    with pytest.raises(ConfigurationError, match="contains a password") as refused:
        Workplace(tmp_path)("sql.query", database="a", query="SELECT 1 AS a")
    assert "hunter2" not in str(refused.value)
    file.write_text('[databases.a]\nurl_env = "A_URL"\npassword_env = "A_PASSWORD"\n')
    for address, said in (("not one: hunter2", "is not one"), ("postgresql://me@127.0.0.1:1/a", "reported")):
        monkeypatch.setenv("A_URL", address)
        monkeypatch.setenv("A_PASSWORD", "hunter2")
        with pytest.raises(StepError, match=said) as caught:
            Workplace(tmp_path)("sql.query", database="a", query="SELECT 1 AS a", timeout=5)
        assert "hunter2" not in f"{caught.value}{caught.value.help}{caught.value.__cause__}"
        assert caught.value.retryable == (said == "reported")
    monkeypatch.delenv("A_PASSWORD")
    with pytest.raises(StepError, match="`A_PASSWORD`, which the database `a` needs, is not set"):
        Workplace(tmp_path)("sql.query", database="a", query="SELECT 1 AS a")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('{tool: sql, action: query, parameters: {database: shopp, query: "SELECT 1"}}', "no database `shopp`"),
        ('{tool: sql, action: execute, parameters: {database: shop, statement: "DELETE FROM t"}}', "is read-only"),
        (
            '{tool: sql, action: query, parameters: {database: shop, query: "SELECT {{ who }}"}}',
            "`who` comes from outside the file, and its content would run as SQL",
        ),
        (
            '{tool: sql, action: execute, parameters: {database: books, statement: ["DELETE FROM {{ who }}"]}}',
            "`who` comes from outside the file, and its content would run as SQL",
        ),
    ],
)
def test_the_checker_knows_the_databases(tmp_path: Path, step: str, said: str):
    (tmp_path / "orchestrator.toml").write_text(SETTINGS.format(url="sqlite:///a.db"))
    (tmp_path / "p.yaml").write_text(f"inputs: {{who: string}}\nsteps:\n  - {{id: a, {step[1:]}\n")
    with orc.Orchestrator(directory=tmp_path) as client:
        errors = [each for each in client.check(tmp_path / "p.yaml").diagnostics if each.severity == "error"]
    assert len(errors) == 1
    assert said in errors[0].message


def test_a_driver_that_is_not_installed_is_named(tmp_path: Path):
    (tmp_path / "orchestrator.toml").write_text('[databases.a]\nurl = "mysql://me@localhost/a"\nread_only = false\n')
    with pytest.raises(StepError, match="no driver for `mysql` is installed"):
        Workplace(tmp_path)("sql.query", database="a", query="SELECT 1 AS a")
    (tmp_path / "orchestrator.toml").write_text('[databases.a]\nurl = "mysql://me@localhost/a"\n')
    with pytest.raises(StepError, match="read-only, which is not enforced for `mysql`"):
        Workplace(tmp_path)("sql.query", database="a", query="SELECT 1 AS a")
