"""Validates the rows of a table against rules: every violation is counted, and the first ones are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from orchestrator.tools.tables.cell_values import shown_value, value_key
from orchestrator.tools.tables.column_rules import ColumnRules
from orchestrator.tools.tables.rule_checks import read_cell, type_problem, value_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.tools.tables.results import Row, RowViolation, RuleCount


class TableRules(Struct, frozen=True):
    """What a table must be. `allowed` are the values of columns that reference another table, by column."""

    columns: Mapping[str, ColumnRules]
    unique: Sequence[Sequence[str]] = ()
    other_columns: bool = True
    min_rows: int | None = None
    max_rows: int | None = None
    allowed: Mapping[str, frozenset[Any]] = field(default_factory=dict)


class Violations:
    """The violations of a table: all are counted, `most` of each rule's column are kept."""

    def __init__(self, rows: int, most: int) -> None:
        self._most = most
        self._kept: list[list[RowViolation]] = [[]]
        self.totals: Counter[tuple[str | None, str]] = Counter()
        self.invalid = bytearray(rows)

    def start_column(self) -> None:
        """Begin with the violations of the next column: their rows are in order again."""
        self._kept.append([])

    def add(self, row: int | None, column: str | None, rule: str, value: Any, message: str) -> None:
        """Add a violation."""
        self.totals[column, rule] += 1
        if row is not None:
            self.invalid[row] = 1
        if len(self._kept[-1]) < self._most:
            shown = shown_value(value)
            self._kept[-1].append({"row": row, "column": column, "rule": rule, "value": shown, "message": message})

    def first(self) -> list[RowViolation]:
        """Return the first violations: those of the table, then those of rows in their order."""
        return list(islice(merge(*self._kept, key=_row_of), self._most))

    def counts(self) -> list[RuleCount]:
        """Return how often each rule was broken, the most frequent first."""
        return [{"column": column, "rule": rule, "count": count} for (column, rule), count in self.totals.most_common()]


def _row_of(violation: RowViolation) -> int:
    return -1 if violation["row"] is None else violation["row"]


def validate_table(
    rows: list[Row], rules: TableRules, *, cells: bool, most: int, progress: Callable[[float, str], None]
) -> Violations:
    """Return the violations of a table, in time linear in its cells.

    With `cells` the values are those of a CSV file, where all is text: each is converted to the type of its column in
    place, if it is of that type.
    """
    found = Violations(len(rows), most)
    known = _check_table(rows, rules, found)
    for number, (name, column) in enumerate(rules.columns.items()):
        progress(number / len(rules.columns), name)
        found.start_column()
        if name in known:
            _check_column(rows, name, column, rules.allowed.get(name), found, cells=cells)
    for names in rules.unique:
        found.start_column()
        label = ", ".join(f"`{name}`" for name in names)
        values = ([row.get(name) for name in names] for row in rows)
        for index, value, first in _repeated(values, missing=lambda value: None in value):
            message = f"row {index}: {label} have the values of row {first}"
            found.add(index, None, "unique", value, message)
    return found


def _check_table(rows: list[Row], rules: TableRules, found: Violations) -> dict[str, None]:
    """Check what is not about single values, and return the columns of the table."""
    count = len(rows)
    if rules.min_rows is not None and count < rules.min_rows:
        found.add(None, None, "min_rows", count, f"the table has {count:,} rows, fewer than {rules.min_rows:,}")
    if rules.max_rows is not None and count > rules.max_rows:
        found.add(None, None, "max_rows", count, f"the table has {count:,} rows, more than {rules.max_rows:,}")
    known = {name: None for row in rows for name in row}
    for name, column in rules.columns.items():
        if rows and column.get("required") and name not in known:
            found.add(None, name, "required", None, f"the column `{name}` is missing")
            found.invalid[:] = b"\1" * count
    if not rules.other_columns:
        for name in known:
            if name not in rules.columns:
                found.add(None, name, "other_columns", None, f"the column `{name}` is not among the rules")
    return known


def _check_column(
    rows: list[Row],
    name: str,
    rules: ColumnRules,
    allowed: frozenset[Any] | None,
    found: Violations,
    *,
    cells: bool,
) -> None:
    type_, required = rules.get("type"), rules.get("required", False)
    checks = value_checks(rules)
    seen: dict[Any, int] | None = {} if rules.get("unique") else None
    for index, row in enumerate(rows):
        value = row.get(name)
        if cells and value is not None:
            value = row[name] = read_cell(value, type_)
        if value is None:
            if required:
                found.add(index, name, "required", None, f"row {index}: `{name}` has no value")
            continue
        problem = type_problem(value, type_) if type_ is not None else None
        if problem is not None:
            found.add(index, name, "type", value, f"row {index}: `{name}` {problem}")
            continue
        for rule, check in checks:
            if (problem := check(value)) is not None:
                found.add(index, name, rule, value, f"row {index}: `{name}` {problem}")
        key = value_key(value) if seen is not None or allowed is not None else None
        if seen is not None and (first := seen.setdefault(key, index)) != index:
            found.add(index, name, "unique", value, f"row {index}: `{name}` has the value of row {first}")
        if allowed is not None and key not in allowed:
            found.add(index, name, "references", value, f"row {index}: `{name}` is not in the referenced column")


def _repeated(
    values: Iterator[list[Any]], missing: Callable[[list[Any]], bool]
) -> Iterator[tuple[int, list[Any], int]]:
    """Yield each value that an earlier row has: its row, the value, and that row."""
    seen: dict[Any, int] = {}
    for index, value in enumerate(values):
        if missing(value):
            continue
        first = seen.setdefault(tuple(map(value_key, value)), index)
        if first != index:
            yield index, value, first
