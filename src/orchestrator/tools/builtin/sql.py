"""Read and write the databases configured under `[databases]` in `orchestrator.toml`."""

import asyncio
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, TypeVar

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.tools.builtin.access import checks_paths, file_errors, permitted_location
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.sandbox.trees import replacing
from orchestrator.tools.tables.results import Row, RowTable

if TYPE_CHECKING:
    from orchestrator.tools.databases.session import DatabaseSession, RowStream

T = TypeVar("T")
DatabaseName = Annotated[str, "The database: the NAME of a table `[databases.NAME]` in orchestrator.toml."]
Inputs = Annotated[
    dict[str, Any] | None,
    "Values that the SQL reads as `:name`: texts, numbers, booleans and null; a list stands for the values of `IN`.",
]
Timeout = Annotated[float, "The timeout of the whole call, in seconds."]

_GRACE = 1.0  # seconds in which the database itself may end a statement that takes too long
_PROGRESS = 10_000  # rows between two reports


class ChangedRows(TypedDict):
    """The number of changed rows, and the rows that the last statement returned."""

    count: Annotated[int, "The number of rows that were changed, by all statements."]
    rows: Annotated[list[Row], "The rows that the last statement returned, for example with `RETURNING`."]


class ExportedRows(TypedDict):
    """The file that was written, and the number of rows."""

    path: Annotated[str, "The path of the written file, as given."]
    columns: Annotated[list[str], "The column names, in order."]
    count: Annotated[int, "The number of rows."]


def _reads(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return _refusal(known, permissions, writes=False)


def _writes(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return _refusal(known, permissions, writes=True)


def _exports(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return checks_paths(path="write")(known, permissions) or _reads(known, permissions)


def _refusal(known: Mapping[str, Any], permissions: Permissions, *, writes: bool) -> Refusal | None:
    name = known.get("database")
    if not isinstance(name, str):
        return None
    from orchestrator.tools.databases.settings import load_databases, unknown_database

    databases = load_databases(permissions.directory)
    if name not in databases:
        message, help = unknown_database(name, databases)
        return Refusal("database", message, advice=help)
    if writes and databases[name].read_only:
        advice = f"set `read_only = false` in `[databases.{name}]` of orchestrator.toml"
        return Refusal("database", f"the database `{name}` is read-only", advice=advice)
    return None


@tool(primary="rows", refusal=_reads)
async def query(
    database: DatabaseName,
    query: Annotated[str, "One SQL query, such as `SELECT id, total FROM orders WHERE customer = :customer`."],
    context: ToolContext,
    inputs: Inputs = None,
    max_rows: Annotated[int, "The maximum number of rows; more are an error."] = 10_000,
    timeout: Timeout = 60,  # noqa: ASYNC109 - the name that pipelines use
) -> RowTable:
    """Return the rows of a query, which cannot change anything.

    Values are bound and never part of the SQL. Dates and times become ISO 8601 text; a number that JSON would change is
    an error, as is a value that is not JSON: cast it to text in the query. Use `export` for many rows.

    Example:
        - id: open_orders
          tool: sql
          action: query
          parameters:
            database: orders
            query: SELECT id, total FROM orders WHERE state = 'open' AND customer = :customer
            inputs: {customer: "{{ customer }}"}
    """

    def read(session: "DatabaseSession") -> RowTable:
        with session.query(query, inputs or {}) as rows:
            found: list[Row] = []
            for row in rows:
                if len(found) == max_rows:
                    raise StepError(
                        f"the query returns more than {max_rows:,} rows",
                        code=codes.DATABASE_FAILED,
                        help="limit it with `LIMIT`, raise `max_rows`, or write the rows to a file with `export`",
                        retryable=False,
                    )
                found.append(row)
            return {"rows": found, "columns": list(rows.columns), "count": len(found)}

    return await _in_session(context, database, timeout, read)


@tool(primary="path", refusal=_exports)
async def export(
    database: DatabaseName,
    query: Annotated[str, "One SQL query."],
    path: Annotated[str, "The path of the file to write."],
    context: ToolContext,
    inputs: Inputs = None,
    format: Annotated[Literal["csv", "jsonl"] | None, "The format; default: by the file name."] = None,
    timeout: Timeout = 600,  # noqa: ASYNC109 - the name that pipelines use
) -> ExportedRows:
    """Write the rows of a query to a file, however many there are, replacing it atomically.

    A loop reads them one by one: `for_each: {file: orders.jsonl}`.

    Example:
        - id: orders
          tool: sql
          action: export
          parameters:
            database: orders
            query: SELECT * FROM orders ORDER BY id
            path: output/orders.jsonl
    """
    chosen = format or ("csv" if path.endswith(".csv") else "jsonl")
    place = permitted_location(context, path, "write")

    def write(session: "DatabaseSession") -> ExportedRows:
        with session.query(query, inputs or {}) as rows, file_errors("write", path), replacing(place) as file:
            count = 0
            for line in _lines(rows, chosen):
                file.write(line.encode())
                count += 1
                if count % _PROGRESS == 0:
                    context.progress(None, f"{count:,} rows")
            return {"path": path, "columns": list(rows.columns), "count": count - (chosen == "csv")}

    written = await _in_session(context, database, timeout, write)
    context.wrote(place.path)
    return written


@tool(primary="count", refusal=_writes)
async def execute(
    database: DatabaseName,
    statement: Annotated[str | list[str], "One SQL statement, or several that are one transaction."],
    context: ToolContext,
    inputs: Annotated[
        dict[str, Any] | list[dict[str, Any]] | None,
        "Values that the SQL reads as `:name`; a list of objects carries the statement out for each.",
    ] = None,
    once: Annotated[
        bool, "Remember in the table `orchestrator_writes` of the database that this step has written, and write once."
    ] = False,
    timeout: Timeout = 60,  # noqa: ASYNC109 - the name that pipelines use
) -> ChangedRows:
    """Carry out statements that write, in one transaction: all of them, or none.

    The database must have `read_only = false`. After a crash between the commit and its record in the journal, the step
    runs again; with `once` it then finds that it has written, and returns what it did.

    Example:
        - id: booked
          tool: sql
          action: execute
          parameters:
            database: orders
            statement: INSERT INTO bookings (order_id, total) VALUES (:id, :total)
            inputs: "{{ orders }}"
            once: true
    """
    statements = [statement] if isinstance(statement, str) else statement
    rows = {} if inputs is None else inputs
    if not statements:
        raise _misused("no statement was given", None)
    if isinstance(rows, list) and len(statements) > 1:
        raise _misused("several statements cannot each be carried out for many rows", "give one statement")
    key = context.idempotency_key if once else ""
    found = await _in_session(context, database, timeout, lambda session: session.execute(statements, rows, once=key))
    return {"count": found["count"], "rows": found["rows"]}


def _misused(message: str, help: str | None) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)


async def _in_session(context: ToolContext, name: str, seconds: float, work: "Callable[[DatabaseSession], T]") -> T:
    """Do work with a database in a thread; when it is cancelled, the statement is stopped."""
    from orchestrator.tools.databases.session import DatabaseSession
    from orchestrator.tools.databases.settings import load_databases, unknown_database

    databases = load_databases(context.permissions.directory)
    if name not in databases:
        message, help = unknown_database(name, databases)
        raise StepError(message, code=codes.DATABASE_FAILED, help=help, retryable=False)
    session = DatabaseSession(databases[name], context.permissions, seconds)
    try:
        async with asyncio.timeout(seconds + _GRACE):
            found: T = await run_in_thread(lambda: work(session))
            return found
    except TimeoutError:
        message = f"the database `{name}` took longer than {seconds:g} s"
        raise StepTimeout(message, seconds=seconds, help="raise `timeout`") from None
    finally:
        session.interrupt()


def _lines(rows: "RowStream", format: str) -> Iterator[str]:
    if format == "jsonl":
        yield from (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for values in _cells(rows):
        writer.writerow(values)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cells(rows: "RowStream") -> Iterator[list[Any]]:
    yield list(rows.columns)
    for row in rows:
        yield [json.dumps(each, ensure_ascii=False) if isinstance(each, list | dict) else each for each in row.values()]
