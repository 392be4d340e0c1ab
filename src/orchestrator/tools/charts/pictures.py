"""The picture of a Vega-Lite specification: PNG and SVG drawn in a process with limits, or a page that draws itself."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal

from orchestrator.tools.charts import driver
from orchestrator.tools.charts.columns import chart_error
from orchestrator.tools.sandbox.isolated_task import run_isolated

if TYPE_CHECKING:
    from collections.abc import Mapping

PictureFormat = Literal["png", "svg", "html"]

_MEMORY: Final = 2_000_000_000
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src {hashes}">
<title>{title}</title>
<style>body {{ margin: 1rem; background: white; overflow-x: auto; }}</style>
</head>
<body>
<div id="chart"></div>
<noscript>This chart is drawn by a script.</noscript>
<script type="application/json" id="specification">{specification}</script>
<script>{libraries}</script>
<script>{start}</script>
</body>
</html>
"""
_START: Final = (
    'vegaEmbed("#chart", JSON.parse(document.getElementById("specification").textContent), '
    '{ast: true, actions: false, renderer: "svg"});'
)
"""`ast`: expressions are interpreted, never compiled to code, so that the page needs no `unsafe-eval`."""


async def draw_picture(
    specification: Mapping[str, Any],
    format: PictureFormat,
    *,
    scale: float = 1.0,
    timeout: float = 60.0,  # noqa: ASYNC109 - the process must have ended before this returns
) -> bytes:
    """Return the picture of a specification as the bytes of a file.

    Raises:
        StepTimeout: It took longer than `timeout` seconds; the process was ended.
        StepError: It cannot be drawn, or needs too much memory.
    """
    task = {"format": format, "specification": specification if format != "html" else None, "scale": scale}
    done = await run_isolated(
        driver,
        task,
        doing="drawing the chart",
        timeout=timeout,
        memory=_MEMORY,
        counted="data",  # V8 reserves far more addresses than it uses
        environment={"TZ": "UTC"},
    )
    if done.content is None:
        raise chart_error(f"the chart cannot be drawn: {done.failure}", "draw fewer rows, or a smaller picture")
    return done.content if format != "html" else _page(specification, done.content.decode())


def _page(specification: Mapping[str, Any], libraries: str) -> bytes:
    """Return a page with the libraries and the specification in it. Only these two scripts can run."""
    if "</script" in libraries:
        raise RuntimeError("the libraries of Vega cannot be part of a page")
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in (libraries, _START))
    data = json.dumps(specification, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    title = escape(specification.get("description", "Chart"))
    return _PAGE.format(hashes=hashes, title=title, specification=data, libraries=libraries, start=_START).encode()


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
