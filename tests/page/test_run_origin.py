"""What a run was given, who did what with it, and what it wrote."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.page.pipelines import DRAWS, FAILS
from tests.page.support import row, state

if TYPE_CHECKING:
    from pathlib import Path

    from tests.page.support import Person, Site


def test_a_file_that_was_fixed_elsewhere_is_taken_and_not_overwritten(runs: Site, person: Person, tools: Path):
    run_id = runs.start("fails")
    elsewhere = FAILS.replace("tool: need, dependencies", "tool: echo, dependencies").replace(
        ", parameters: {file: \"{{ 'go' }}\"}", ""
    )
    (tools / "fails.yaml").write_text(elsewhere)
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    page.get_by_role("group", name="Actions").get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("The file has changed since this run read it.")).to_be_visible()
    page.get_by_role("button", name="See what is kept").click()
    expect(dialog.get_by_role("checkbox")).to_have_count(0)
    dialog.get_by_role("button", name="Use the file as it is now").click()
    page.get_by_role("button", name="See what is kept").click()
    page.get_by_role("button", name="Continue with it").click()
    state(page, "succeeded")
    assert (tools / "fails.yaml").read_text() == elsewhere


def test_a_run_shows_what_it_was_started_with_and_is_started_again(runs: Site, person: Person):
    run_id = runs.start("fails", inputs={"topic": "storms"}, labels=["nightly", "eu"], budget={"usd": 2})
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    head, overview = page.locator(".runhead"), page.get_by_role("complementary", name="Overview")
    expect(overview.locator(".given")).to_contain_text("storms")
    expect(head.get_by_role("link", name="nightly")).to_have_attribute("href", "/runs?label=nightly")
    expect(head.get_by_role("link", name="fails")).to_have_attribute("href", "/pipelines/fails")
    expect(head).to_contain_text("from 127.0.0.1")
    head.get_by_role("link", name="Start again").click()
    expect(page.get_by_label("topic")).to_have_value("storms")
    expect(page.get_by_label("Labels")).to_have_value("nightly, eu")
    expect(page.get_by_label("At most, US dollars")).to_have_value("2")
    page.get_by_role("button", name="Start the run").click()
    state(page, "failed")
    assert run_id not in page.url
    expect(overview.locator(".given")).to_contain_text("storms")


def test_a_failed_item_shows_the_value_that_it_worked_on(runs: Site, person: Person, tools: Path):
    (tools / "go").touch()
    person.goes_to(f"/runs/{runs.start('fails')}?step=each[7].verify")
    expect(person.page.get_by_role("tabpanel").locator(".loop-item")).to_contain_text("7")
    person.goes_to(f"/runs/{runs.start('fails')}?step=each[7]&tab=input")
    expect(person.page.get_by_role("tabpanel").locator(".loop-item")).to_contain_text("7")


def test_who_answered_paused_and_cancelled_is_said_beside_it(runs: Site, person: Person):
    run_id = runs.start("reports/ask", wait=0)
    person.goes_to(f"/runs/{run_id}?step=review")
    page = person.page
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".step-facts")).to_contain_text("approved")
    expect(page.locator(".step-facts")).to_contain_text("from 127.0.0.1")
    person.goes_to(f"/runs/{runs.start('waits', wait=0)}")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    expect(page.locator(".runhead-facts")).to_contain_text(re.compile("paused .+ by .+ from 127.0.0.1"))
    state(page, "paused")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
    state(page, "cancelled")
    expect(page.locator(".runhead-facts")).to_contain_text(re.compile("cancelled .+ by .+ from 127.0.0.1"))


def test_a_step_that_waits_for_a_time_says_so_and_asks_nobody(runs: Site, person: Person, tools: Path):
    (tools / "naps.yaml").write_text("steps:\n  - {id: nap, sleep: 1h}\n")
    person.goes_to(f"/runs/{runs.start('naps', wait=0)}")
    line = row(person.page, "nap")
    expect(line).to_contain_text("waiting for its time")
    expect(line.locator("svg.lucide-alarm-clock")).to_be_visible()
    expect(person.page.locator("svg.lucide-message-circle-question-mark")).to_have_count(1)  # of the link to questions


def test_a_question_is_listed_at_once_also_while_its_run_does_something_else(runs: Site, person: Person, tools: Path):
    (tools / "busy.yaml").write_text(
        "steps:\n  - {id: ready, approve: Ready?}\n  - {id: hold, tool: until, parameters: {file: open}}\n"
    )
    page = person.page
    person.goes_to("/questions")
    expect(page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()
    run_id = runs.start("busy", wait=0)
    expect(page.get_by_role("heading", name="Ready?")).to_be_visible()
    assert runs.run(run_id)["state"] == "running"
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="No run waits for an answer")).to_be_visible()
    (tools / "open").touch()


def test_images_of_the_run_are_shown_and_those_of_other_hosts_are_links(runs: Site, person: Person, tools: Path):
    (tools / "draws.yaml").write_text(DRAWS)
    person.goes_to(f"/runs/{runs.start('draws')}")
    markdown = person.page.locator(".markdown")
    expect(markdown.get_by_role("img", name="the chart")).to_have_js_property("naturalWidth", 1)
    expect(markdown.get_by_role("link", name="a spy")).to_have_attribute("href", "https://example.com/spy.png")
    expect(markdown.get_by_role("img")).to_have_count(1)
    files = person.page.locator(".files")
    expect(files.get_by_role("link", name="chart.png")).to_be_visible()
    assert person.violations() == []
