"""The pictures in the documentation: taken of a real server with real runs by `UPDATE_SCREENSHOTS=1`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.support import Person
from tests.page.test_pipelines import PAID
from tests.page.test_runs import FAILING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.page.support import Site

IMAGES = Path(__file__).parents[2] / "docs" / "guide" / "images"
UPDATE = bool(os.environ.get("UPDATE_SCREENSHOTS"))

WEEKLY = """\
name: Weekly report
inputs: {week: {type: integer, default: 9}}
steps:
  - {id: collect, tool: log, parameters: {message: "week {{ week }}"}}
  - id: cities
    for_each: [Ulm, Rome, Oslo, Bern]
    on_item_failure: continue
    action: filesystem.read
    parameters: {path: "{{ item }}.txt"}
  - id: publish
    action: filesystem.read
    parameters: {path: "template.md"}
    dependencies: [collect, cities]
  - {id: archive, tool: log, parameters: {message: "{{ publish }}"}}
"""
"""A pipeline whose run fails: the files of two cities, and a template, are missing."""

PICTURES = {
    "run": "/runs/{weekly}",
    "runs": "/runs",
    "questions": "/questions",
    "pipeline": "/pipelines/hello",
    "source": "/pipelines/paid?tab=source",
    "start": "/start/paid",
}
SHOWN = {
    "run": "Not reached because of it",
    "runs": "asks: Send the letter?",
    "questions": "What is approved",
    "pipeline": "100% of 2 runs",
    "source": "No problems",
    "start": "about $",
}
"""A text of each page by which it is known to be complete."""


def seen(site: Site) -> str:
    """Fill the store with runs in several states, and return the id of one that has failed at a step in its middle."""
    for city in ("Ulm", "Oslo"):
        (site.directory / f"{city}.txt").write_text(f"# {city}\n")
    (site.directory / "weekly.yaml").write_text(WEEKLY)
    (site.directory / "paid.yaml").write_text(PAID)
    (site.directory / "failing.yaml").write_text(FAILING)
    for labels in (["nightly"], []):
        site.start("hello", labels=labels)
    site.start("failing")
    site.start("reports/ask", wait=0)
    return site.start("weekly")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_is_accessible_and_fits_in_light_and_dark_wide_and_narrow(
    site: Site, browser: Browser, scheme: str, width: int
):
    weekly = seen(site)
    size = {"width": width, "height": 720}
    with Person.of(browser, site.address, color_scheme=scheme, viewport=size) as person:
        page = person.page
        page.goto(site.server.link)
        for name, path in PICTURES.items():
            person.goes_to(path.format(weekly=weekly))
            expect(page.get_by_text(SHOWN[name]).first).to_be_visible()
            assert person.violations() == []
            assert overflow(page) == 0
            if UPDATE and scheme == "light" and width == 1280:
                IMAGES.mkdir(exist_ok=True)
                page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
