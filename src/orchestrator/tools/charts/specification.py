"""The Vega-Lite specification of a chart.

It contains no name of a column and no value as code: points have the fields `x`, `y`, `color` and `facet`, and what the
rows contain appears only as data, and in titles, which Vega-Lite shows, or puts into expressions for tooltips and
descriptions: there without the characters that could end a string.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.tools.charts.columns import shown_text
from orchestrator.tools.charts.style import CONFIG, DIVERGING, PALETTE, SEQUENTIAL, TIMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.tools.charts.columns import ColumnKind
    from orchestrator.tools.charts.points import Channel, Chart, ChartPoints

Spec = dict[str, Any]

_TYPES: Final = {"number": "quantitative", "time": "temporal", "label": "nominal"}
_INERT: Final = str.maketrans({"\\": "\N{REVERSE SOLIDUS OPERATOR}", '"': "\N{RIGHT DOUBLE QUOTATION MARK}"})
_PANELS: Final = 3  # in a row
_LETTER: Final = 7  # pixels, about
_MANY_POINTS: Final = 500
_FEW_POINTS: Final = 60
_FEW_TIMES: Final = 12  # each has a label; the axis of more has labels at even distances
_SMALLEST_SHARE: Final = 3  # percent


def chart_specification(points: ChartPoints, chart: Chart) -> Spec:
    """Return the specification of a chart."""
    values = _with_ranks(points)
    found: Spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": {**CONFIG},
        "data": {"name": "points", "values": _with_shares(values) if chart.kind == "pie" else values},
    }
    if chart.title and (title := shown_text(chart.title)):
        found["title"] = {"text": title, "limit": chart.width}
        found["description"] = title
    if "facet" not in points.kinds:
        sized = {"width": chart.width, "height": chart.height, "autosize": {"type": "fit", "contains": "padding"}}
        return found | sized | _view(points, chart, chart.width, chart.height)
    panels = points.distinct("facet")
    columns = min(_PANELS, len(panels))
    width = max(60, (chart.width - (90 if "color" not in points.kinds else 190)) // columns - 24)
    height = max(60, chart.height // -(-len(panels) // columns) - 40)
    inner = {"width": width, "height": height} | _view(points, chart, width, height)
    return found | {"facet": {"field": "facet", "type": "nominal", "sort": panels}, "columns": columns, "spec": inner}


def _with_ranks(points: ChartPoints) -> list[Spec]:
    """Return the points with `rank`, the position of their color: parts are stacked in the order of the legend."""
    grouping: Channel = "color" if points.kinds.get("color") == "label" else "x"
    ranks = {value: rank for rank, value in enumerate(points.distinct(grouping))} if grouping in points.kinds else {}
    return [{**_fields(point), "rank": ranks.get(point.get(grouping), 0)} for point in points.values]


def _fields(point: Mapping[Channel, Any]) -> Spec:
    return {channel: value for channel, value in point.items()}  # noqa: C416 - dict() would keep the narrow type


def _with_shares(values: list[Spec]) -> list[Spec]:
    """Return the slices of a pie with `share`, the text next to each: `25 %`; none next to a very small one."""
    totals: dict[str, float] = {}
    for point in values:
        totals[point.get("facet", "")] = totals.get(point.get("facet", ""), 0) + point["y"]
    shares = [100 * point["y"] / (totals[point.get("facet", "")] or 1) for point in values]
    return [
        {**point, "share": f"{share:.0f} %" if share >= _SMALLEST_SHARE else ""}
        for point, share in zip(values, shares, strict=True)
    ]


def _view(points: ChartPoints, chart: Chart, width: int, height: int) -> Spec:
    """Return the mark and the encoding of one panel."""
    if chart.kind == "pie":
        return _pie(points, width, height)
    x, y = _position(points, "x", width), _position(points, "y", height)
    color = _color(points)
    encoding: Spec = {name: channel for name, channel in (("x", x), ("y", y), ("color", color)) if channel is not None}
    mark: Spec = {"tooltip": True}
    match chart.kind:
        case "line":
            encoding["x"]["axis"]["grid"] = False
            mark |= {"type": "line", "point": {"size": 45} if len(points.values) <= _FEW_POINTS else False}
        case "area":
            mark |= {"type": "area"}
            encoding["y"] |= {"stack": "zero" if chart.stack else None, "scale": {"zero": True}}
            mark["opacity"] = 0.85 if chart.stack else 0.5
        case "bar":
            mark |= {"type": "bar"}
            encoding["y"] |= {"stack": "zero" if chart.stack else None, "scale": {"zero": True}}
            if not chart.stack and color is not None:
                encoding["xOffset"] = {"field": "color", "type": "nominal", "sort": None}
        case "scatter":
            many = len(points.values) > _MANY_POINTS
            mark |= {"type": "point", "filled": True, "size": 22 if many else 65, "opacity": 0.45 if many else 0.8}
            if color is not None and points.kinds["color"] == "label":
                encoding["shape"] = color | {"scale": {"domain": color["scale"]["domain"]}}
        case "histogram":
            mark |= {"type": "bar", "binSpacing": 1}
            title = chart.y_label if chart.y_label is not None else "count"
            encoding["x"] |= {"bin": {"maxbins": chart.bins}}
            encoding["x"].pop("scale", None)
            axis = {"title": shown_text(title) or None, "tickMinStep": 1}
            encoding["y"] = {"aggregate": "count", "type": "quantitative", "title": "count", "axis": axis}
        case "heatmap":
            mark |= {"type": "rect"}
        case "box":
            mark = {"type": "boxplot", "size": _box_size(points, chart, width, height)}
            if "x" in encoding and color is not None:
                encoding["xOffset"] = {"field": "color", "type": "nominal", "sort": None}
    if chart.kind in ("bar", "area") and color is not None and chart.stack:
        encoding["order"] = {"field": "rank", "sort": "ascending" if chart.horizontal else "descending"}
    return {"mark": mark, "encoding": _turned(encoding, width, height) if chart.horizontal else encoding}


def _channel(points: ChartPoints, channel: Channel, kind: ColumnKind) -> Spec:
    """Return what a channel shows. Its own title is a part of expressions, which Vega-Lite does not escape."""
    return {"field": channel, "type": _TYPES[kind], "title": points.titles[channel].translate(_INERT) or None}


def _position(points: ChartPoints, channel: Channel, pixels: int) -> Spec | None:
    kind = points.kinds.get(channel)
    if kind is None:
        return None
    found = _channel(points, channel, kind)
    axis = found["axis"] = {"title": points.titles[channel] or None, "titleLimit": max(pixels, 120)}
    if kind == "label":
        found["sort"] = None
        axis |= {"grid": False, "ticks": False, **(_label_angle(points, pixels) if channel == "x" else {})}
    elif kind == "time":
        found["scale"] = {"type": "utc"}
        axis |= {
            "grid": channel == "y",
            "labelOverlap": True,
            "labelSeparation": 8,
            "formatType": "time",
            "format": {**TIMES},
        }
        if len(times := points.distinct(channel)) <= _FEW_TIMES:
            axis["values"] = times
    else:
        found["scale"] = {"zero": False}
        values = [point[channel] for point in points.values]
        if all(float(value).is_integer() for value in values):
            axis["tickMinStep"] = 1
            if channel == "x" and all(1000 <= value < 3000 for value in values):
                axis["format"] = "d"  # years
    return found


def _label_angle(points: ChartPoints, width: int) -> Spec:
    """Return how the labels below an axis are turned: level if they fit."""
    labels = points.distinct("x")
    longest = max(map(len, labels))
    if (longest + 1) * _LETTER * len(labels) <= width:
        return {"labelAngle": 0}
    return {"labelAngle": -40 if len(labels) * 18 <= width else -90, "labelOverlap": len(labels) * 13 > width}


def _color(points: ChartPoints) -> Spec | None:
    kind = points.kinds.get("color")
    if kind is None:
        return None
    found = _channel(points, "color", kind) | {"legend": {"title": points.titles["color"] or None}}
    if kind == "label":
        values = points.distinct("color")
        return found | {"sort": None, "scale": {"domain": values, "range": [*PALETTE[: len(values)]]}}
    if kind == "time":
        return found | {"scale": {**SEQUENTIAL}}
    numbers = points.distinct("color")
    return found | {"scale": {**DIVERGING} if min(numbers) < 0 < max(numbers) else {**SEQUENTIAL}}


def _box_size(points: ChartPoints, chart: Chart, width: int, height: int) -> int:
    boxes = len(points.distinct("x")) if "x" in points.kinds else 1
    boxes *= len(points.distinct("color")) if "color" in points.kinds and "x" in points.kinds else 1
    return max(3, min(48, (height if chart.horizontal else width) * 6 // (10 * boxes)))


def _turned(encoding: Spec, width: int, height: int) -> Spec:
    """Return an encoding with its axes exchanged."""
    names = {"x": "y", "y": "x", "xOffset": "yOffset"}
    turned = {names.get(name, name): channel for name, channel in encoding.items()}
    upright = {"titleLimit": max(height, 120), "labelLimit": max(160, width * 2 // 5)}
    for name in ("x", "y"):
        if "axis" in turned.get(name, {}):
            unwanted = ("labelAngle", "labelOverlap")
            axis = {key: value for key, value in turned[name]["axis"].items() if key not in unwanted}
            turned[name] = {**turned[name], "axis": axis | (upright if name == "y" else {})}
    return turned


def _pie(points: ChartPoints, width: int, height: int) -> Spec:
    """Return slices in the order of the rows, each with its share next to it."""
    labels = points.distinct("x")
    radius = max(20, min(width, height) // 2 - 36)
    color = _channel(points, "x", "label") | {
        "legend": {"title": points.titles["x"] or None},
        "sort": None,
        "scale": {"domain": labels, "range": [*PALETTE[: len(labels)]]},
    }
    theta = _channel(points, "y", "number") | {"stack": True}
    shared = {"theta": theta, "order": {"field": "rank", "type": "quantitative"}}
    slices = {"mark": {"type": "arc", "outerRadius": radius, "stroke": "white", "tooltip": True}}
    shares = {"mark": {"type": "text", "radius": radius + 18, "fontSize": 12, "fill": "#222222"}}
    return {
        "encoding": shared,
        "layer": [slices | {"encoding": {"color": color}}, shares | {"encoding": {"text": {"field": "share"}}}],
    }
