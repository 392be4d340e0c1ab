"""Charts: each kind as a picture, what they show of odd names and values, and what is refused."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.tools.charts import driver, pictures
from orchestrator.tools.charts.choices import chosen_charts
from orchestrator.tools.charts.columns import shown_text
from orchestrator.tools.charts.points import Chart, chart_points
from orchestrator.tools.charts.specification import chart_specification
from orchestrator.tools.charts.style import PALETTE
from tests.tools.support import Workplace

if TYPE_CHECKING:
    from pathlib import Path

SALES = [
    {"month": month, "region": region, "total": total, "returned": total % 7}
    for month, totals in {"2026-01": (12, 30), "2026-02": (18, 25), "2026-03": (9, 41)}.items()
    for region, total in zip(("North", "South"), totals, strict=True)
]
MARCH = SALES[4:]

KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    # the parameters of a chart, and texts that it shows
    "line": ({"x": "month", "y": "total", "color": "region"}, ["month", "total", "region", "North", "South", "Feb"]),
    "line, several columns": ({"rows": SALES[::2], "x": "month", "y": ["total", "returned"]}, ["total", "returned"]),
    "area": ({"x": "month", "y": "total", "color": "region", "title": "All sales"}, ["All sales", "North"]),
    "bar": ({"rows": MARCH, "x": "region", "y": "total", "y_label": "Sales (€)"}, ["North", "South", "Sales (€)"]),
    "bar, side by side": ({"x": "month", "y": "total", "color": "region", "stack": False}, ["2026-01", "North"]),
    "bar, horizontal": ({"rows": MARCH, "x": "region", "y": "total", "horizontal": True}, ["North", "total"]),
    "bar, counting": ({"x": "region"}, ["North", "count"]),
    "bar, sums": ({"x": "region", "y": "total", "aggregate": "sum"}, ["total (sum)"]),
    "bar, counting labels": ({"x": "region", "y": "month", "aggregate": "count"}, ["North", "count"]),
    "scatter": ({"x": "total", "y": "returned", "color": "region"}, ["total", "returned", "South"]),
    "scatter, numbers as colors": ({"x": "month", "y": "returned", "color": "total"}, ["returned", "total"]),
    "histogram": ({"x": "total", "color": "region"}, ["total", "count", "North"]),
    "heatmap": ({"x": "month", "y": "region", "color": "total"}, ["2026-01", "North", "total"]),
    "heatmap, counting": ({"x": "month", "y": "region"}, ["2026-01", "North", "count"]),
    "box": ({"x": "region", "y": "total"}, ["North", "South", "total"]),
    "box, one": ({"y": "total"}, ["total"]),
    "pie": ({"rows": MARCH, "x": "region", "y": "total"}, ["North", "South", "18 %", "82 %"]),
    "line, panels": ({"x": "month", "y": "total", "facet": "region"}, ["North", "South", "total"]),
    "pie, panels": ({"x": "region", "y": "total", "facet": "month"}, ["2026-01", "2026-03", "82 %"]),
}


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def drawn(rows: list[dict[str, Any]], **parameters: Any) -> str:
    """The picture as SVG, drawn in this process."""
    y = parameters.pop("y", ())
    chart = Chart(**parameters, y=(y,) if isinstance(y, str) else tuple(y))
    specification = chart_specification(chart_points(rows, chart), chart)
    return driver.draw({"format": "svg", "specification": specification}).decode()


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_shows_its_labels(name: str) -> None:
    parameters, shown = KINDS[name]
    found = texts(drawn(**{"rows": SALES, "kind": name.split(",")[0], **parameters}))
    assert set(shown) <= set(found)


def test_a_chart_is_written_as_svg_and_always_with_the_same_bytes(workplace: Workplace) -> None:
    parameters: dict[str, Any] = {"rows": SALES, "kind": "line", "x": "month", "y": "total", "color": "region"}
    assert workplace("chart.draw", path="a.svg", **parameters) == {
        "path": "a.svg",
        "format": "svg",
        "size": (workplace.directory / "a.svg").stat().st_size,
        "count": 6,
    }
    workplace("chart.draw", path="b.svg", **parameters)
    first, second = ((workplace.directory / name).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second
    assert {"North", "South"} <= set(texts(first.decode()))
    assert [path.name for path in workplace.context.written] == ["a.svg", "b.svg"]


def test_a_png_file_has_the_size_that_was_asked_for(workplace: Workplace) -> None:
    found = workplace("chart.draw", rows=MARCH, kind="pie", x="region", path="a.png", width=300, height=200, scale=1.5)
    picture = (workplace.directory / "a.png").read_bytes()
    assert found["format"] == "png"
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", picture[16:24]) == (450, 300)


def test_a_page_needs_no_network_and_runs_no_script_of_the_rows(workplace: Workplace) -> None:
    hostile = "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
    rows = [{"n": 1, hostile: hostile}, {"n": 2, hostile: "b"}]
    workplace("chart.draw", rows=rows, kind="bar", x=hostile, y="n", path="a.html", title=hostile)
    page = (workplace.directory / "a.html").read_text()
    head = page[: page.index("<style>")]
    assert "default-src 'none'" in head
    assert "'unsafe-eval'" not in head
    assert page.count("<script") == 3
    assert not re.search(r"<(?:script|link)[^>]+(?:src|href)=", page)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    shown = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom", "a.html"],
        cwd=workplace.directory,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "<svg" in shown
    assert "<title>run</title>" not in shown
    assert "document.title='run'" in re.sub(r"\s+", " ", shown).split("<svg")[1]  # as a label


NAMES = st.one_of(
    st.text(max_size=20), st.sampled_from(["a.b", "a[0]", "it's", 'say "x"', "\\", '\\": 1, "', "datum.x", "{{ x }}"])
)
LABELS = st.one_of(NAMES, st.none(), st.booleans(), st.integers(-5, 5))
EVALUATED = {"expr", "signal", "calculate", "filter", "test", "transform", "labelExpr", "url", "href"}


def keys_outside_of_data(value: Any) -> set[str]:
    """The keys of a specification, without those of its points."""
    if isinstance(value, list):
        return set().union(*map(keys_outside_of_data, value))
    if not isinstance(value, dict):
        return set()
    return value.keys() | set().union(*(keys_outside_of_data(each) for key, each in value.items() if key != "data"))


def channel_titles(value: Any) -> list[str]:
    """The titles that Vega-Lite makes a part of expressions."""
    if isinstance(value, list):
        return [title for each in value for title in channel_titles(each)]
    if not isinstance(value, dict):
        return []
    own = [value["title"]] if "type" in value and value.get("title") is not None else []
    return own + [title for key, each in value.items() if key != "data" for title in channel_titles(each)]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@example(("a.b[0]", "y", "c"), [("datum.y", 1), ("${1+1}", 2)], "{'signal': 'x'}", "bar")
@example(("\ud800", "\x00", "]"), [("\x00", 1), ("\ufffe", 2)], "\x1b", "bar")
@given(
    names=st.tuples(NAMES, NAMES, NAMES).filter(lambda names: len(set(names)) == 3),
    cells=st.lists(
        st.tuples(LABELS, st.one_of(st.integers(-(10**20), 10**20), st.floats(-1e300, 1e300))), min_size=1, max_size=6
    ),
    title=NAMES,
    kind=st.sampled_from(["bar", "line", "area", "scatter", "box", "heatmap", "histogram", "pie"]),
)
def test_odd_names_and_values_are_only_shown(
    names: tuple[str, str, str], cells: list[Any], title: str, kind: Any
) -> None:
    x, y, facet = names
    rows = [{x: label, y: abs(number) + 1, facet: index % 2} for index, (label, number) in enumerate(cells)]
    channels = {
        "histogram": {"x": y, "color": x},
        "heatmap": {"x": x, "y": (facet,), "color": y, "aggregate": "max"},
        "pie": {"x": x, "y": (y,), "aggregate": "max"},
        "box": {"x": x, "y": (y,)},
        "scatter": {"x": x, "y": (y,), "color": x},
    }.get(kind, {"x": x, "y": (y,), "color": x, "aggregate": "max"})
    chart = Chart(kind=kind, facet=facet, title=title, **channels)
    points = chart_points(rows, chart)
    specification = chart_specification(points, chart)
    assert not keys_outside_of_data(specification) & EVALUATED
    assert not any(character in title for title in channel_titles(specification) for character in '\\"')
    fields = {key for point in specification["data"]["values"] for key in point}
    assert fields <= {"x", "y", "color", "facet", "rank", "share"}
    found = texts(driver.draw({"format": "svg", "specification": specification}).decode())
    expected = {shown_text(title), *(points.distinct("color") if kind == "bar" else ()), *points.titles.values()}
    expected -= {points.titles["facet"], points.titles.get("color") if kind == "heatmap" else ""}
    assert expected - {""} <= {text.strip() for text in found} | ({points.titles["y"]} if kind == "pie" else set())


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.fixed_dictionaries({"x": st.sampled_from("abc"), "c": st.sampled_from("de"), "n": st.integers(-9, 9)}),
        min_size=1,
        max_size=30,
    ),
    aggregate=st.sampled_from(["sum", "min", "max", "mean", "count"]),
)
def test_equal_places_are_combined(rows: list[dict[str, Any]], aggregate: Any) -> None:
    groups: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        groups.setdefault((row["x"], row["c"]), []).append(row["n"])
    combine = {"sum": sum, "min": min, "max": max, "count": len, "mean": lambda found: sum(found) / len(found)}[
        aggregate
    ]
    found = chart_points(rows, Chart(kind="bar", x="x", y=("n",), color="c", aggregate=aggregate))
    assert [(point["x"], point["color"]) for point in found.values] == list(groups)
    assert [point["y"] for point in found.values] == pytest.approx([combine(group) for group in groups.values()])
    assert found.drawn == len(rows)


def test_colors_and_their_order_follow_the_rows() -> None:
    chart = Chart(kind="bar", x="month", y=("total",), color="region")
    color = chart_specification(chart_points(SALES[::-1], chart), chart)["encoding"]["color"]
    assert color["scale"] == {"domain": ["South", "North"], "range": list(PALETTE[:2])}


def test_rows_without_a_value_are_left_out_and_counted(workplace: Workplace) -> None:
    rows = [{"x": 1, "y": 2}, {"x": 2, "y": None}, {"x": 3}, {"x": 4, "y": 5}]
    assert workplace("chart.draw", rows=rows, kind="line", x="x", y="y", path="a.svg")["count"] == 2
    assert workplace.context.lines == [("info", "2 rows without a value that the chart needs left out")]


def test_times_are_shown_in_utc_wherever_the_chart_is_drawn() -> None:
    chart = Chart(kind="line", x="at", y=("n",))
    rows = [{"at": "2026-03-01T01:00:00+02:00", "n": 1}, {"at": "2026-02-28T23:30:00Z", "n": 2}]
    points = chart_points(rows, chart)
    assert points.kinds["x"] == "time"
    assert points.values[1]["x"] - points.values[0]["x"] == 30 * 60 * 1000
    wrong = chart_points([{"at": "2026-02-31", "n": 1}], chart)
    assert wrong.kinds["x"] == "label"


def test_rows_are_read_from_a_file(workplace: Workplace) -> None:
    (workplace.directory / "rows.csv").write_text("region,total\nNorth,9\nSouth,41\n")
    workplace("chart.draw", rows="rows.csv", kind="bar", x="region", y="total", path="a.svg")
    assert {"North", "South"} <= set(texts((workplace.directory / "a.svg").read_text()))


def test_an_overview_draws_the_kinds_that_suit_the_rows(workplace: Workplace) -> None:
    found = workplace("chart.overview", rows=SALES, directory="out", format="svg")
    kinds = ["line", "bar", "histogram", "scatter", "box"]
    assert found == {"charts": [f"out/{kind}.svg" for kind in kinds], "count": 5}
    shown = {kind: texts((workplace.directory / f"out/{kind}.svg").read_text()) for kind in kinds}
    assert {"month", "total (mean)"} <= set(shown["line"])
    assert {"region", "North", "total (sum)"} <= set(shown["bar"])
    assert {"total", "returned"} <= set(shown["scatter"])
    assert [message for _, message in workplace.context.reports] == found["charts"]


@pytest.mark.parametrize(
    ("kind", "given", "channels"),
    [
        ("line", {}, {"x": "month", "y": ("total",), "aggregate": "mean"}),
        ("line", {"x": "total"}, {"x": "total", "y": ("returned",)}),
        ("area", {"y": "returned", "color": "region"}, {"x": "month", "y": ("returned",), "color": "region"}),
        ("bar", {"x": "month"}, {"x": "month", "y": ("total",), "aggregate": "sum"}),
        ("pie", {}, {"x": "region", "y": ("total",), "aggregate": "sum"}),
        ("scatter", {"y": "total"}, {"x": "returned", "y": ("total",)}),
        ("histogram", {"x": "returned"}, {"x": "returned", "y": ()}),
        ("box", {"x": "month"}, {"x": "month", "y": ("total",)}),
        ("heatmap", {"x": "month"}, {"x": "month", "y": ("region",), "color": "total"}),
    ],
)
def test_a_chart_has_the_given_columns_or_the_first_that_suit(
    kind: str, given: dict[str, str], channels: dict[str, Any]
) -> None:
    (chart,) = chosen_charts(SALES, [kind], **given)
    assert {name: getattr(chart, name) for name in channels} == channels
    assert chart_points(SALES, chart).drawn == 6


def test_what_suits_no_column_is_refused_only_if_it_is_asked_for() -> None:
    rows = [{"n": 1, "all": [1]}, {"n": 2, "all": None}]
    assert [chart.kind for chart in chosen_charts(rows, ["auto", "histogram"])] == ["histogram"]
    assert [chart.kind for chart in chosen_charts([{"n": 1, "m": 2}], ["auto"])] == ["histogram", "scatter"]
    with pytest.raises(StepError, match="no columns of the rows suit `kind: bar`"):
        chosen_charts(rows, ["bar"])
    with pytest.raises(StepError, match="no columns of the rows suit a chart"):
        chosen_charts([], ["auto"])


LONG = [{"x": f"label {index}", "y": index} for index in range(201)]
REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    # parameters, a part of the message, and a part of the help
    ({"y": "totl"}, "`y` names the column `totl`", "did you mean `total`?"),
    ({"y": "weight"}, "`y` names the column `weight`", "the columns are `month`, `region`, `total`, `returned`"),
    ({"y": "region"}, "`y` needs numbers, but the column `region` has the string `North` in row 0", "data.select"),
    ({"x": None}, "`kind: line` needs `x`", None),
    ({"kind": "histogram", "x": "total", "y": "total"}, "`y` is not valid for `kind: histogram`", "remove `y`"),
    ({"kind": "scatter", "aggregate": "sum"}, "`aggregate` is not valid", "remove"),
    ({"color": None}, "2 rows have the same `x`: ", "aggregate: sum"),
    ({"y": ["total", "returned"]}, "several columns as `y` have a color each", "remove `color`"),
    ({"kind": "box", "y": ["total", "returned"]}, "`kind: box` has one column as `y`", None),
    ({"horizontal": True}, "`horizontal` is not valid for `kind: line`", "exchange"),
    ({"rows": []}, "there are no rows to draw", None),
    ({"rows": [{"month": "2026-01", "total": None, "region": "North"}]}, "no row has a value", None),
    ({"rows": [{"month": [1], "total": 1, "region": "N"}]}, "`x` needs single values", None),
    ({"rows": [{"month": "a" * 1001, "total": 1, "region": "N"}]}, "a text of 1,001 characters", "shorten"),
    ({"rows": [{"month": 1, "total": 10**400, "region": "N"}]}, "`y` needs numbers", None),
    ({"rows": [{"month": 1, "total": 1, "region": "N"}] * 50_001}, "50,001 rows are too many", "data.aggregate"),
    ({"rows": LONG, "kind": "bar", "x": "x", "y": "y", "color": None}, "`x` has 201 different values", "filter"),
    ({"rows": LONG[:9], "x": "y", "y": "y", "color": "x"}, "`color` has 9 different values", "facet"),
    ({"rows": [{"a": "b", "n": -1}], "kind": "pie", "x": "a", "y": "n", "color": None}, "negative numbers", "bar"),
    ({"path": "a.gif"}, "cannot derive the format of the picture from the name `a.gif`", "`.png`"),
    ({"width": 10}, "`width` is 10, and must be from 100 to 4,000", None),
    ({"bins": 0}, "`bins` is 0", None),
    ({"scale": 100}, "`scale` is 100", None),
    ({"path": "a.png", "width": 4000, "scale": 4}, "at most 8,000 pixels on a side", "`scale`"),
]


@pytest.mark.parametrize(("parameters", "message", "help"), REFUSED)
def test_what_cannot_be_drawn_is_refused(
    parameters: dict[str, Any], message: str, help: str | None, workplace: Workplace
) -> None:
    usual = {"rows": SALES, "kind": "line", "x": "month", "y": "total", "color": "region", "path": "a.svg"}
    with pytest.raises(StepError) as refused:
        workplace("chart.draw", **{key: value for key, value in {**usual, **parameters}.items() if value is not None})
    assert message in str(refused.value)
    assert (help or "") in (refused.value.help or "")
    assert not refused.value.retryable
    assert not (workplace.directory / "a.svg").exists()


def test_a_file_outside_of_the_project_is_not_written(workplace: Workplace) -> None:
    with pytest.raises(PermissionDenied):
        workplace("chart.draw", rows=MARCH, kind="pie", x="region", path="../a.svg")


def test_drawing_has_limits(workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "driver.py"
    monkeypatch.setattr(pictures.driver, "__file__", str(other))
    parameters: dict[str, Any] = {"rows": MARCH, "kind": "pie", "x": "region", "path": "a.svg"}
    other.write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(StepTimeout, match="took longer than 1 s"):
        workplace("chart.draw", **parameters, timeout=1)
    other.write_text("import os\nos.abort()\n")
    with pytest.raises(StepError, match="the process ended with status"):
        workplace("chart.draw", **parameters)
    other.write_text("def run_task(task):\n    return {'failure': 'no font'}\n")
    with pytest.raises(StepError, match="cannot be drawn: no font"):
        workplace("chart.draw", **parameters)
