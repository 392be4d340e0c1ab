"""Draw charts of rows: lines, bars, points, distributions, as PNG, SVG or HTML."""

from collections.abc import Mapping
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import plural
from orchestrator.tools.builtin.access import Mode, checks_paths, file_errors, file_mode, permitted_location
from orchestrator.tools.builtin.filesystem import write_bytes
from orchestrator.tools.builtin.rows import Rows, load_rows
from orchestrator.tools.builtin.stored import checks_sources
from orchestrator.tools.contract import RefusalCheck, ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from orchestrator.tools.charts.pictures import PictureFormat
    from orchestrator.tools.charts.points import Chart, ChartPoints
    from orchestrator.tools.charts.specification import Spec

_SIDES = (100, 4_000)
_SCALES = (0.5, 4)
_BINS = (2, 200)
_LONGEST_SIDE = 8_000


def _between(name: str, least: float, most: float, value: float) -> None:
    if not least <= value <= most:
        raise StepError(
            f"`{name}` is {value:g}, and must be from {least:g} to {most:,}",
            code=codes.INVALID_TOOL_INPUT,
            retryable=False,
        )


def _check_width(width: int) -> None:
    _between("width", *_SIDES, width)


def _check_height(height: int) -> None:
    _between("height", *_SIDES, height)


def _check_scale(scale: float) -> None:
    _between("scale", *_SCALES, scale)


def _check_bins(bins: int) -> None:
    _between("bins", *_BINS, bins)


def _reads_rows(**written: Literal["write"]) -> RefusalCheck:
    def refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
        return checks_sources(rows="read")(known, permissions) or checks_paths(**written)(known, permissions)

    return refusal


class DrawnChart(TypedDict):
    """The file that was written, and the number of rows that it shows."""

    path: Annotated[str, "The path of the written file, as given."]
    format: Annotated[Literal["png", "svg", "html"], "The format of the file."]
    size: Annotated[int, "The size of the file in bytes."]
    count: Annotated[int, "The number of rows in the chart; rows without a value that it needs are left out."]


class DrawnCharts(TypedDict):
    """The files that were written."""

    charts: Annotated[list[str], "The paths of the written files."]
    count: Annotated[int, "The number of files."]


@tool(primary="path", requires=("charts",), refusal=_reads_rows(path="write"), reads=("rows",))
async def draw(
    rows: Rows,
    kind: Annotated[
        Literal["line", "area", "bar", "scatter", "histogram", "heatmap", "box", "pie"],
        "The kind of chart.",
    ],
    path: Annotated[str, "The path of the file to write: `.png`, `.svg`, or `.html` for a page with tooltips."],
    context: ToolContext,
    x: Annotated[str | None, "The column of the horizontal axis: numbers, times in ISO 8601, or labels."] = None,
    y: Annotated[str | list[str] | None, "The column of the vertical axis; several are drawn in a color each."] = None,
    color: Annotated[
        str | None, "The column that colors tell apart; in a heat map and a scatter plot also one of numbers."
    ] = None,
    facet: Annotated[str | None, "The column whose values have a panel each."] = None,
    aggregate: Annotated[
        Literal["sum", "mean", "median", "min", "max", "count"] | None,
        "How the values of several rows for the same place are combined; default: they are an error.",
    ] = None,
    title: Annotated[str | None, "The title of the chart."] = None,
    x_label: Annotated[str | None, "The title of the horizontal axis; default: the name of the column."] = None,
    y_label: Annotated[str | None, "The title of the vertical axis; default: the name of the column."] = None,
    color_label: Annotated[str | None, "The title of the legend; default: the name of the column."] = None,
    stack: Annotated[bool, "Stack bars and areas of several colors; otherwise they stand side by side."] = True,
    horizontal: Annotated[bool, "Exchange the axes: for bars and boxes with long labels."] = False,
    bins: Annotated[int, "The maximum number of bars of a histogram.", Checked(_check_bins)] = 20,
    width: Annotated[int, "The width of the picture in pixels.", Checked(_check_width)] = 640,
    height: Annotated[int, "The height of the picture in pixels.", Checked(_check_height)] = 400,
    scale: Annotated[float, "How many pixels of a PNG file are one of these.", Checked(_check_scale)] = 2,
    mode: Mode = None,
    timeout: Annotated[float, "The timeout in seconds."] = 60,  # noqa: ASYNC109 - the name that pipelines use
) -> DrawnChart:
    """Draw a chart of rows, in colors that color-blind people can tell apart.

    Without a column of numbers, a bar, a slice of a pie and a cell of a heat map show the number of rows. Labels and
    bars are in the order of the rows: sort them first. At most 50,000 rows, 8 colors and 24 panels are drawn.

    Values and column names are only shown, and never evaluated. A page needs no network, and runs no other script.

    Example:
        - id: picture
          tool: chart
          action: draw
          parameters:
            rows: "{{ totals }}"
            kind: bar
            x: region
            y: total
            title: Sales by region
            path: output/sales.svg
    """
    from orchestrator.tools.charts.columns import chart_error
    from orchestrator.tools.charts.pictures import draw_picture
    from orchestrator.tools.charts.points import Chart

    _check_width(width)
    _check_height(height)
    _check_scale(scale)
    _check_bins(bins)
    format = _picture_format(path)
    if format == "png" and max(width, height) * scale > _LONGEST_SIDE:
        raise chart_error(f"a PNG file has at most {_LONGEST_SIDE:,} pixels on a side", "set a smaller `scale`")
    place = permitted_location(context, path, "write")
    if horizontal and kind not in ("bar", "box", "heatmap"):
        raise chart_error(f"`horizontal` is not valid for `kind: {kind}`", "exchange `x` and `y`")
    chart = Chart(
        kind=kind,
        x=x,
        y=(y,) if isinstance(y, str) else tuple(y or ()),
        color=color,
        facet=facet,
        aggregate=aggregate,
        stack=stack,
        horizontal=horizontal,
        bins=bins,
        title=title,
        x_label=x_label,
        y_label=y_label,
        color_label=color_label,
        width=width,
        height=height,
    )
    table = await run_in_thread(lambda: load_rows(rows, context))
    points, specification = await run_in_thread(lambda: _specified(table, chart))
    if points.left_out:
        context.log(f"{plural(points.left_out, 'row')} without a value that the chart needs left out")
    picture = await draw_picture(specification, format, scale=scale, timeout=timeout)
    with file_errors("write", path):
        write_bytes(place, picture, mode=file_mode(mode))
    context.wrote(place.path)
    return {"path": path, "format": format, "size": len(picture), "count": points.drawn}


@tool(primary="charts", requires=("charts",), refusal=_reads_rows(directory="write"), reads=("rows",))
async def overview(
    rows: Rows,
    context: ToolContext,
    kinds: Annotated[
        list[Literal["auto", "line", "area", "bar", "scatter", "histogram", "heatmap", "box", "pie"]] | None,
        "The kinds of charts; default, and `auto`: those for which the rows have columns.",
    ] = None,
    directory: Annotated[str, "The directory for the files, which are named after the kinds."] = "charts",
    x: Annotated[str | None, "The column of the horizontal axis; default: the first that suits."] = None,
    y: Annotated[str | None, "The column of numbers; default: the first."] = None,
    color: Annotated[str | None, "The column that colors tell apart in lines, areas, bars and scatter plots."] = None,
    title: Annotated[str | None, "The title of every chart."] = None,
    format: Annotated[Literal["png", "svg", "html"], "The format of the files."] = "png",
    timeout: Annotated[float, "The timeout of each chart, in seconds."] = 60,  # noqa: ASYNC109 - as above
) -> DrawnCharts:
    """Draw several charts of rows that are not known yet, with columns that suit each kind.

    Values for the same place are added up in bars, pies and heat maps, and averaged in lines and areas.

    Example:
        - id: pictures
          tool: chart
          action: overview
          parameters:
            rows: "{{ sales }}"
            directory: output/charts
    """
    from orchestrator.tools.charts.choices import chosen_charts
    from orchestrator.tools.charts.pictures import draw_picture

    table = await run_in_thread(lambda: load_rows(rows, context))
    charts = await run_in_thread(
        lambda: chosen_charts(table, kinds or ["auto"], x=x, y=y, color=color, title=title),
    )
    written: list[str] = []
    for number, chart in enumerate(charts):
        path = str(PurePath(directory) / f"{chart.kind}.{format}")
        place = permitted_location(context, path, "write")
        context.progress(number / len(charts), path)
        _, specification = await run_in_thread(partial(_specified, table, chart))
        picture = await draw_picture(specification, format, scale=2, timeout=timeout)
        with file_errors("write", path):
            write_bytes(place, picture)
        context.wrote(place.path)
        written.append(path)
    return {"charts": written, "count": len(written)}


def _specified(table: "list[dict[str, object]]", chart: "Chart") -> "tuple[ChartPoints, Spec]":
    from orchestrator.tools.charts.points import chart_points
    from orchestrator.tools.charts.specification import chart_specification

    points = chart_points(table, chart)
    return points, chart_specification(points, chart)


def _picture_format(path: str) -> "PictureFormat":
    suffixes: dict[str, PictureFormat] = {".png": "png", ".svg": "svg", ".html": "html", ".htm": "html"}
    found = suffixes.get(PurePath(path).suffix.lower())
    if found is None:
        raise StepError(
            f"cannot derive the format of the picture from the name `{path}`",
            code=codes.INVALID_TOOL_INPUT,
            help="end it with `.png`, `.svg` or `.html`",
            retryable=False,
        )
    return found
