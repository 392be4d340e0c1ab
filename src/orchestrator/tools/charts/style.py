"""How charts look: a colour-blind safe palette, fonts, and lines that stay behind the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#555555", "#B8A800")
"""The colours of Okabe and Ito (2008), with grey for black, and their yellow darkened to be seen on white."""

_TEXT: Final = "#222222"
_MUTED: Final = "#444444"
_LINE: Final = "#888888"
_GRID: Final = "#E4E4E4"
_FONT: Final = "Liberation Sans, Arial, Helvetica, DejaVu Sans, sans-serif"

CONFIG: Final[Mapping[str, Any]] = {
    "background": "white",
    "padding": 12,
    "font": _FONT,
    "view": {"stroke": None},
    "title": {"anchor": "start", "fontSize": 17, "color": _TEXT, "offset": 14, "subtitleColor": _MUTED},
    "axis": {
        "labelColor": _MUTED,
        "labelFontSize": 12,
        "labelPadding": 5,
        "titleColor": _TEXT,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "titlePadding": 10,
        "gridColor": _GRID,
        "domainColor": _LINE,
        "tickColor": _LINE,
        "labelLimit": 160,
    },
    "legend": {
        "labelColor": _MUTED,
        "labelFontSize": 12,
        "labelLimit": 180,
        "titleColor": _TEXT,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "symbolStrokeWidth": 2,
        "symbolSize": 90,
    },
    "header": {"labelColor": _TEXT, "labelFontSize": 13, "labelLimit": 200, "title": None},
    "facet": {"spacing": 24},
    "line": {"strokeWidth": 2.2, "strokeCap": "round", "strokeJoin": "round"},
    "area": {"fillOpacity": 0.75, "line": True},
    "range": {"category": [*PALETTE]},
    "mark": {"color": PALETTE[0]},
    "boxplot": {"size": 36, "median": {"color": "white"}},
}
"""The configuration of Vega-Lite."""

SEQUENTIAL: Final[Mapping[str, Any]] = {"scheme": "blues"}
"""The colours of numbers: the darker, the greater."""

DIVERGING: Final[Mapping[str, Any]] = {"scheme": "blueorange", "domainMid": 0}
"""The colours of numbers on both sides of zero."""

TIMES: Final[Mapping[str, str]] = {
    "year": "%Y",
    "quarter": "%b",
    "month": "%b",
    "week": "%-d %b",
    "date": "%-d %b",
    "hours": "%H:%M",
    "minutes": "%H:%M",
    "seconds": "%H:%M:%S",
    "milliseconds": ".%L",
}
"""How the times of an axis are written, by the largest unit that begins at them."""
