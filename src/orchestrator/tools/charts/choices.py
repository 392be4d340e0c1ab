"""Which columns suit a kind of chart: numbers, times, and labels that are few enough to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.tools.charts.columns import Row, chart_error, read_column
from orchestrator.tools.charts.points import MOST_GROUPS, Chart, ChartKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_READABLE: Final = 40
OVERVIEW: Final[Sequence[ChartKind]] = ("line", "bar", "histogram", "scatter", "box", "heatmap")
"""The kinds of an overview, of which those are drawn that suit the rows."""


class _Columns(Struct, frozen=True):
    """The names of columns by what they can show, in the order of the rows; `few` are labels with few values."""

    numbers: list[str]
    times: list[str]
    labels: list[str]
    few: list[str]


def chosen_charts(
    rows: Sequence[Row],
    kinds: Sequence[str],
    *,
    x: str | None = None,
    y: str | None = None,
    color: str | None = None,
    title: str | None = None,
) -> list[Chart]:
    """Return a chart of each kind, with the given columns, or else the first that suit it. `auto` is all that suit.

    Raises:
        StepError: A kind that is asked for has no suitable columns.
    """
    columns = _by_use(rows)
    found: dict[ChartKind, Chart] = {}
    for kind in kinds:
        wanted: Sequence[Any] = OVERVIEW if kind == "auto" else (kind,)
        for each in wanted:
            if kind == "auto" and each == "line" and x is None and not columns.times:
                continue  # lines along other numbers rarely mean anything
            chosen = _channels(each, columns, x, y, color)
            if chosen is not None:
                found.setdefault(each, Chart(kind=each, title=title, **chosen))
            elif kind != "auto":
                raise chart_error(
                    f"no columns of the rows suit `kind: {each}`", "draw it with `chart.draw`, and name its columns"
                )
    if not found:
        raise chart_error("no columns of the rows suit a chart", "draw one with `chart.draw`, and name its columns")
    return list(found.values())


def _by_use(rows: Sequence[Row]) -> _Columns:
    found = _Columns([], [], [], [])
    for name in dict.fromkeys(name for row in rows for name in row):
        if any(isinstance(row.get(name), list | dict) for row in rows):
            continue
        column = read_column(rows, "rows", name)
        if column.kind == "number":
            found.numbers.append(name)
        elif column.kind == "time":
            found.times.append(name)
        else:
            values = len(column.distinct)
            found.labels.extend([name] if values <= _READABLE else [])
            found.few.extend([name] if values <= MOST_GROUPS else [])
    return found


def _channels(
    kind: ChartKind, columns: _Columns, x: str | None, y: str | None, color: str | None
) -> Mapping[str, Any] | None:
    """Return the channels of a chart and how values are combined; None if no columns suit it."""

    def first(given: str | None, names: Sequence[str], *used: str | None) -> str | None:
        return given if given is not None else next((name for name in names if name not in used), None)

    number = first(y, columns.numbers, x)
    label = first(x, columns.labels)
    match kind:
        case "line" | "area":
            along = first(x, columns.times) or first(None, columns.numbers[:1] if len(columns.numbers) > 1 else ())
            number = first(y, columns.numbers, along)
            return _given(x=along, y=number, color=color, aggregate="mean")
        case "bar":
            bars = _given(x=label, y=number, color=color, aggregate="sum")
            return bars or (_given(x=label, color=color) if label is not None else None)
        case "pie":
            return _given(x=first(x, columns.few), y=number, aggregate="sum")
        case "scatter":
            across = first(x, columns.numbers, number if y is not None else None)
            return _given(x=across, y=first(y, columns.numbers, across), color=color)
        case "histogram":
            return _given(x=y if y is not None else x if x in columns.numbers else first(None, columns.numbers))
        case "box":
            return _given(x=label, y=number)
        case "heatmap":
            down = first(None, columns.labels, label)
            return _given(x=label, y=down, color=number, aggregate="sum")


def _given(*, color: str | None = None, aggregate: str | None = None, **needed: str | None) -> dict[str, Any] | None:
    if None in needed.values():
        return None
    tupled = {name: (column,) if name == "y" else column for name, column in needed.items()}
    return {**tupled, "color": color, "aggregate": aggregate}
