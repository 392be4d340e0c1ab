"""The points of a chart: the values of its columns by the channel that shows them, combined where several meet."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from orchestrator.text.words import plural, quoted_list, word_list
from orchestrator.tools.charts.columns import (
    ChartColumn,
    ColumnKind,
    Row,
    chart_error,
    label_column,
    number_column,
    read_column,
    shown_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ChartKind = Literal["line", "area", "bar", "scatter", "histogram", "heatmap", "box", "pie"]
Aggregate = Literal["sum", "mean", "median", "min", "max", "count"]
Channel = Literal["x", "y", "color", "facet"]

MOST_ROWS: Final = 50_000
MOST_GROUPS: Final = 8
"""How many colours can be told apart, by everyone."""

_MOST_LABELS: Final = 200
_MOST_PANELS: Final = 24


class Chart(Struct, frozen=True):
    """What is drawn: columns by what shows them, and how it looks. Sizes are in pixels."""

    kind: ChartKind
    x: str | None = None
    y: tuple[str, ...] = ()
    color: str | None = None
    facet: str | None = None
    aggregate: Aggregate | None = None
    stack: bool = True
    horizontal: bool = False
    bins: int = 20
    title: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    color_label: str | None = None
    width: int = 640
    height: int = 400


class ChartPoints(Struct, frozen=True):
    """The points with their values by channel, the kinds and titles of the channels, and the numbers of rows."""

    values: list[dict[Channel, Any]]
    kinds: Mapping[Channel, ColumnKind]
    titles: Mapping[Channel, str]
    drawn: int
    left_out: int

    def distinct(self, channel: Channel) -> list[Any]:
        """Return the values of a channel, each once, in the order of the rows."""
        return list(dict.fromkeys(point[channel] for point in self.values))


class _Shape(Struct, frozen=True):
    """What a kind of chart needs and can have; `value` is the channel of the numbers that are combined where equal."""

    needs: tuple[Channel, ...]
    can: tuple[Channel, ...] = ("color", "facet")
    labels: tuple[Channel, ...] = ()
    numbers: tuple[Channel, ...] = ()
    value: Channel | None = None
    counts: bool = False
    series: bool = False


_SHAPES: Final[Mapping[ChartKind, _Shape]] = {
    "line": _Shape(("x", "y"), numbers=("y",), value="y", series=True),
    "area": _Shape(("x", "y"), numbers=("y",), value="y", series=True),
    "bar": _Shape(("x",), ("y", "color", "facet"), labels=("x",), numbers=("y",), value="y", counts=True, series=True),
    "scatter": _Shape(("x", "y"), series=True),
    "histogram": _Shape(("x",), numbers=("x",)),
    "heatmap": _Shape(("x", "y"), labels=("x", "y"), numbers=("color",), value="color", counts=True),
    "box": _Shape(("y",), ("x", "color", "facet"), labels=("x",), numbers=("y",)),
    "pie": _Shape(("x",), ("y", "facet"), labels=("x",), numbers=("y",), value="y", counts=True),
}


def chart_points(rows: Sequence[Row], chart: Chart) -> ChartPoints:
    """Return what a chart of rows shows. Rows without a number or a time that it needs are left out.

    Raises:
        StepError: The rows do not have what the chart needs, or have too much of it.
    """
    if not rows:
        raise chart_error("there are no rows to draw")
    if len(rows) > MOST_ROWS:
        raise chart_error(
            f"{len(rows):,} rows are too many for a chart, which shows at most {MOST_ROWS:,}",
            "combine them first with `data.aggregate`, or choose some with `data.filter`",
        )
    shape = _SHAPES[chart.kind]
    _check_channels(chart, shape)
    columns = _columns(rows, chart, shape)
    points, left_out = _complete(columns)
    if not points:
        names = quoted_list((column.name for column in columns.values()), last="and")
        raise chart_error(f"no row has a value for {names}")
    kinds: dict[Channel, ColumnKind] = {channel: column.kind for channel, column in columns.items()}
    titles: dict[Channel, str] = {channel: column.name for channel, column in columns.items()}
    drawn = len(points)
    if shape.value is not None:
        if shape.value not in columns or chart.aggregate == "count":
            kinds[shape.value], titles[shape.value] = "number", "count"
        points = _combined(points, chart, shape.value, [channel for channel in columns if channel != shape.value])
        if len(points) < drawn and chart.aggregate not in (None, "count"):
            titles[shape.value] = f"{titles[shape.value]} ({chart.aggregate})"
    for channel, given in (("x", chart.x_label), ("y", chart.y_label), ("color", chart.color_label)):
        if given is not None and channel in titles:
            titles[channel] = given
    shown: dict[Channel, str] = {channel: shown_text(title) for channel, title in titles.items()}
    found = ChartPoints(points, kinds, shown, drawn, left_out)
    _check_sizes(chart, found)
    return found


def _check_channels(chart: Chart, shape: _Shape) -> None:
    given: dict[Channel, object] = {"x": chart.x, "y": chart.y, "color": chart.color, "facet": chart.facet}
    for channel, value in given.items():
        if value not in (None, ()) and channel not in (*shape.needs, *shape.can):
            raise chart_error(f"`{channel}` is not valid for `kind: {chart.kind}`", f"remove `{channel}`")
        if value in (None, ()) and channel in shape.needs:
            raise chart_error(f"`kind: {chart.kind}` needs `{channel}`", f"set `{channel}` to the name of a column")
    if len(chart.y) > 1 and not shape.series:
        raise chart_error(f"`kind: {chart.kind}` has one column as `y`")
    if len(chart.y) > 1 and chart.color is not None:
        raise chart_error("several columns as `y` have a color each", "remove `color`, or give one column as `y`")
    if chart.aggregate is not None and shape.value is None:
        raise chart_error(f"`aggregate` is not valid for `kind: {chart.kind}`", "remove `aggregate`")


def _columns(rows: Sequence[Row], chart: Chart, shape: _Shape) -> dict[Channel, ChartColumn]:
    """Return the columns by channel; several columns as `y` become one, with their names as the colors."""

    def read(channel: Channel, name: str) -> ChartColumn:
        if channel in shape.numbers and not (channel == shape.value and chart.aggregate == "count"):
            return number_column(rows, channel, name)
        if channel in shape.labels or channel == "facet" or (channel == "color" and chart.kind != "scatter"):
            return label_column(rows, channel, name)
        return read_column(rows, channel, name)

    single: dict[Channel, str | None] = {"x": chart.x, "color": chart.color, "facet": chart.facet}
    found: dict[Channel, ChartColumn] = {
        name: read(name, column) for name, column in single.items() if column is not None
    }
    if not chart.y:
        return found
    series = [read("y", name) for name in chart.y]
    if len(series) == 1:
        return {**found, "y": series[0]}
    if len({column.kind for column in series}) > 1:
        raise chart_error("the columns of `y` have values of several kinds", "draw a chart for each kind")
    names = [label for name in chart.y for label in [shown_text(name)] * len(rows)]
    repeated: dict[Channel, ChartColumn] = {
        channel: ChartColumn(column.name, column.kind, [*column.values] * len(series))
        for channel, column in found.items()
    }
    values = [value for column in series for value in column.values]
    return {
        **repeated,
        "y": ChartColumn("", series[0].kind, values),
        "color": ChartColumn("", "label", names),
    }


def _complete(columns: Mapping[Channel, ChartColumn]) -> tuple[list[dict[Channel, Any]], int]:
    """Return the points that have all values, and how many have not."""
    whole = zip(*(column.values for column in columns.values()), strict=True)
    points = [dict(zip(columns, values, strict=True)) for values in whole]
    complete = [point for point in points if None not in point.values()]
    return complete, len(points) - len(complete)


_COMBINE: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "sum": math.fsum,
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "max": max,
}


def _combined(
    points: list[dict[Channel, Any]], chart: Chart, value: Channel, others: Sequence[Channel]
) -> list[dict[Channel, Any]]:
    """Return one point for each place of the chart. Several values of a place are combined by `aggregate`."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for point in points:
        groups.setdefault(tuple(point[channel] for channel in others), []).append(point.get(value))
    counted = chart.aggregate == "count" or value not in points[0]
    combine = _COMBINE.get(chart.aggregate or "")
    found: list[dict[Channel, Any]] = []
    for place, values in groups.items():
        if not counted and combine is None and len(values) > 1:
            where = word_list(f"`{channel}`: {given}" for channel, given in zip(others, place, strict=True))
            raise chart_error(
                f"{plural(len(values), 'row')} have the same {where}, so that their values would cover each other",
                "set `aggregate`, for example `aggregate: sum`, or tell them apart by `color` or `facet`",
            )
        number = len(values) if counted else combine(values) if combine is not None else values[0]
        found.append({**dict(zip(others, place, strict=True)), value: number})
    return found


def _check_sizes(chart: Chart, points: ChartPoints) -> None:
    """Refuse what no one could read."""
    limits: Sequence[tuple[Channel, int, str]] = (
        ("x", MOST_GROUPS if chart.kind == "pie" else _MOST_LABELS, "combine the rare ones, or filter the rows"),
        ("y", _MOST_LABELS, "filter the rows"),
        ("color", MOST_GROUPS, "combine the rare ones, filter the rows, or use the column as `facet`"),
        ("facet", _MOST_PANELS, "filter the rows"),
    )
    for channel, most, help in limits:
        if points.kinds.get(channel) == "label" and (count := len(points.distinct(channel))) > most:
            raise chart_error(
                f"`{channel}` has {count:,} different values; `kind: {chart.kind}` shows at most {most}", help
            )
    if chart.kind == "pie" and any(point["y"] < 0 for point in points.values):
        raise chart_error("a pie cannot show negative numbers", "draw bars: `kind: bar`")
    if chart.kind == "pie" and not any(point["y"] for point in points.values):
        raise chart_error("all values of the pie are zero")
