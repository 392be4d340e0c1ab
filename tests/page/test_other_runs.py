"""A run that has to do with others: it has started them, or waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.page.support import row

if TYPE_CHECKING:
    from tests.page.support import Person, Site

PARENT = """
steps:
  - {id: started, pipeline: hello.yaml, detach: true}
  - {id: told, value: "started {{ started }}"}
outputs: {told: "{{ told }}"}
"""
LIMITED = """
concurrency: {key: deploy}
steps:
  - {id: nap, sleep: 1h}
"""


def test_a_step_that_started_a_run_leads_to_it(site: Site, person: Person):
    (site.directory / "parent.yaml").write_text(PARENT)
    run_id = site.start("parent")
    child = started_run(site, run_id)
    person.goes_to(f"/runs/{run_id}?view=graph&step=started")
    page = person.page
    link = page.locator(".step-facts").get_by_role("link", name=child)
    expect(link).to_have_attribute("href", f"/runs/{child}")
    expect(page.locator(".step-node[data-path=started]").get_by_role("link", name=child)).to_be_visible()
    assert not person.violations()
    link.click()
    expect(page.locator(".runhead")).to_contain_text(child)
    expect(page.locator(".runhead")).to_contain_text("hello")


def started_run(site: Site, run_id: str) -> str:
    """Return the id of the run that the step has started, as the API has it."""
    found = site.server.client.json("GET", f"/v1/runs/{run_id}/tree")
    return str(next(each["run"] for each in found["rows"] if each["path"] == "started"))


def test_a_run_that_waits_for_its_turn_leads_to_the_run_that_it_waits_for(site: Site, person: Person):
    (site.directory / "limited.yaml").write_text(LIMITED)
    first, second = (site.start("limited", wait=0) for _ in range(2))
    person.goes_to(f"/runs/{second}")
    page = person.page
    head = page.locator(".runhead")
    expect(head).to_contain_text("queued")
    expect(head).to_contain_text("waits for its turn: at most 1 run with the key deploy at a time, after")
    link = head.get_by_role("link", name=first)
    expect(link).to_have_attribute("href", f"/runs/{first}")
    assert not person.violations()
    site.server.client.json("POST", f"/v1/runs/{first}/cancel", {"reason": "enough"})
    expect(head).not_to_contain_text("waits for its turn")
    expect(row(page, "nap")).to_be_visible()
