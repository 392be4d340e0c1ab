"""What a run has undone, and what it could not undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.support import row, state

if TYPE_CHECKING:
    from pathlib import Path

    from tests.page.support import Person, Site

TRIP = """\
name: Trip
steps:
  - {id: car, tool: echo, parameters: {value: a car}, undo: {tool: until, parameters: {file: "{{ 'open' }}"}}}
  - id: hotel
    tool: echo
    parameters: {value: a hotel}
    dependencies: [car]
    undo: {tool: echo, parameters: {value: "no {{ output }}"}}
  - {id: flight, tool: need, dependencies: [hotel], parameters: {file: "{{ 'seat' }}"}}
"""


@pytest.fixture
def trip(tools: Path, runs: Site) -> Site:
    """A server with a trip, whose steps are undone if no seat is left."""
    (tools / "trip.yaml").write_text(TRIP)
    return runs


def test_a_run_says_that_it_undoes_and_what_it_has_undone(trip: Site, person: Person, tools: Path):
    run_id = trip.start("trip", wait=0)
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    expect(page.locator(".runhead")).to_contain_text("undoing")
    expect(page.get_by_role("complementary")).to_contain_text("The run is undoing what its steps did")
    expect(row(page, "hotel")).to_contain_text("undone")
    assert person.violations() == []
    (tools / "open").touch()
    state(page, "failed")
    expect(row(page, "car")).to_contain_text("undone")
    expect(row(page, "flight")).to_contain_text("failed")
    for view in ("graph", "timeline"):
        person.goes_to(f"/runs/{run_id}?view={view}")
        expect(page.locator('[data-path="car"]').first).to_be_visible()
        assert person.violations() == []
    person.goes_to(f"/runs/{run_id}?view=graph")
    page.get_by_role("button", name="Unfold hotel").click()
    expect(page.locator('.step-node[data-path="hotel.undo.revert"].succeeded')).to_be_visible()
    expect(page.locator('.step-node[data-path="flight"].failed')).to_be_visible()
    person.goes_to(f"/runs/{run_id}?step=flight")
    expect(page.get_by_role("tabpanel")).to_contain_text("503")
    person.goes_to(f"/runs/{run_id}?step=hotel&tab=attempts")
    expect(page.get_by_role("tabpanel")).to_contain_text("undone later")
    assert person.violations() == []
    person.goes_to(f"/runs/{run_id}?step=hotel")
    expect(page.get_by_role("tabpanel")).to_contain_text("It had succeeded and was undone")
    person.goes_to(f"/runs/{run_id}?step=hotel.undo.revert")
    expect(page.get_by_role("tabpanel")).to_contain_text("no a hotel")
    (tools / "seat").touch()
    person.goes_to(f"/runs/{run_id}")
    page.get_by_role("group", name="Actions").get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    state(page, "succeeded")
    expect(row(page, "car")).to_contain_text("succeeded")


def test_an_undo_that_failed_says_what_is_left_and_continues(trip: Site, person: Person, tools: Path):
    (tools / "trip.yaml").write_text(TRIP.replace("tool: until", "tool: need"))
    run_id = trip.start("trip")
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    state(page, "failed")
    expect(page.get_by_role("alert")).to_contain_text("ORC720")
    assert person.violations() == []
    (tools / "open").touch()
    page.get_by_role("alert").get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("alert")).to_contain_text("503")
    expect(row(page, "car")).to_contain_text("undone")
