"""Draws one chart with vl-convert. It does not import Orchestrator, and runs in a separate, limited process."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw(task: dict[str, Any]) -> bytes:
    """Return the picture; for HTML the libraries that draw it in a browser."""
    import vl_convert

    if task["format"] == "html":
        return vl_convert.javascript_bundle().encode()  # type: ignore[call-arg]  # it has a default
    specification = task["specification"]
    if task["format"] == "svg":
        return vl_convert.vegalite_to_svg(specification, allowed_base_urls=[]).encode()
    return vl_convert.vegalite_to_png(specification, scale=task["scale"], allowed_base_urls=[])


def run_task(task: dict[str, Any]) -> dict[str, Any]:
    """Write the picture into the file `target`; return why it cannot be drawn, in the words of the library."""
    try:
        Path(task["target"]).write_bytes(draw(task))
    except Exception as error:
        return {"failure": str(error)}
    return {}
