"""The list of runs: filters, bulk commands, batches, live changes, and the first start."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.page.support import Person

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.page.support import Site

FAILING = "steps: [{id: read, tool: filesystem, action: read, parameters: {path: there.txt}}]\n"


def test_the_first_start_makes_and_runs_a_pipeline_on_a_click(empty_site: Site, person: Person):
    page = person.page
    expect(page.get_by_role("heading", name="Nothing has run yet")).to_be_visible()
    expect(page.get_by_text("orchestrator init")).to_be_visible()
    assert person.violations() == []
    page.get_by_role("button", name="Make and run a first pipeline").click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-z]{20}"))
    assert (empty_site.directory / "pipeline.yaml").exists()
    run_id = page.url.rpartition("/")[2].partition("?")[0]
    assert empty_site.server.client.json("GET", f"/v1/runs/{run_id}")["pipeline"] == "pipeline"


def test_with_pipelines_and_no_runs_the_list_offers_to_start_them(site: Site, person: Person):
    expect(person.page.get_by_role("link", name="Greeting")).to_have_attribute("href", "/start/hello")


def test_runs_are_listed_newest_first_with_what_matters(site: Site, person: Person):
    (site.directory / "failing.yaml").write_text(FAILING)
    site.start("hello", labels=["nightly"])
    site.start("failing")
    site.start("reports/ask", wait=0)
    page = person.page
    page.reload()
    rows = page.get_by_role("table", name="Runs").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("asks: Send the letter?")
    expect(rows.nth(2)).to_contain_text("failed")
    expect(rows.nth(3)).to_contain_text("nightly")
    expect(rows.nth(3)).to_contain_text("succeeded")
    assert person.violations() == []


def test_filters_are_in_the_address_and_survive_a_reload(site: Site, person: Person):
    site.start("hello")
    site.start("reports/ask", wait=0)
    page = person.page
    page.reload()
    page.get_by_label("State").select_option("waiting")
    expect(page).to_have_url(f"{site.address}/runs?state=waiting")
    expect(page.get_by_role("row")).to_have_count(2)
    page.reload()
    expect(page.get_by_role("row")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("nothing like this")
    expect(page.get_by_role("heading", name="No run matches")).to_be_visible()
    page.get_by_role("button", name="Show all runs").click()
    expect(page.get_by_role("row")).to_have_count(3)


def test_a_view_is_saved_under_a_name(site: Site, person: Person):
    site.start("reports/ask", wait=0)
    person.goes_to("/runs?state=waiting")
    page = person.page
    page.get_by_role("button", name="Save view").click()
    page.get_by_label("Name").fill("My questions")
    page.get_by_role("button", name="Save", exact=True).click()
    person.goes_to("/runs")
    page.get_by_role("link", name="My questions").click()
    expect(page).to_have_url(f"{site.address}/runs?state=waiting")


def test_new_runs_are_counted_and_do_not_move_the_list(site: Site, person: Person):
    first = site.start("hello")
    page = person.page
    page.reload()
    rows = page.get_by_role("row")
    expect(rows).to_have_count(2)
    site.start("hello")
    site.start("hello")
    fresh = page.get_by_role("button", name="2 new")
    expect(fresh).to_be_visible()
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text(first)
    fresh.click()
    expect(rows).to_have_count(4)


def test_a_row_changes_in_place_while_it_is_shown(site: Site, person: Person):
    run_id = site.start("reports/ask", wait=0)
    page = person.page
    page.reload()
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text("waiting")
    site.server.client.json("POST", f"/v1/runs/{run_id}/answer", {"step": "review", "value": True})
    expect(row).to_contain_text("succeeded")


def test_selected_runs_are_cancelled_together_after_one_question(site: Site, person: Person):
    ids = [site.start("reports/ask", wait=0) for _ in range(3)]
    page = person.page
    page.reload()
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_label("Select all listed runs").check()
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog", name="Cancel 3 runs?")
    expect(dialog).to_be_visible()
    assert person.violations() == []
    dialog.get_by_role("button", name="Cancel them").click()
    expect(page.get_by_role("table").get_by_text("cancelled")).to_have_count(3)
    assert [site.run(run_id)["state"] for run_id in ids] == ["cancelled"] * 3


def test_failed_runs_are_retried_together(site: Site, person: Person):
    (site.directory / "failing.yaml").write_text(FAILING)
    site.start("failing")
    site.start("failing")
    (site.directory / "there.txt").write_text("now")
    page = person.page
    page.reload()
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_label("Select all listed runs").check()
    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("button", name="Retry them").click()
    expect(page.get_by_role("table").get_by_text("succeeded")).to_have_count(2)


def test_the_keyboard_moves_through_the_rows_selects_and_opens_them(site: Site, person: Person):
    older, newer = site.start("hello"), site.start("hello")
    page = person.page
    page.reload()
    expect(page.get_by_role("row")).to_have_count(3)
    for key in "jjx":
        page.keyboard.press(key)
    expect(page.get_by_text("1 run selected")).to_be_visible()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.address}/runs/{newer}")
    assert older != newer


def test_a_long_list_is_read_page_by_page_as_it_is_scrolled(site: Site, person: Person):
    for _ in range(120):
        site.start("hello", wait=0)
    page = person.page
    page.reload()
    expect(page.get_by_role("row").nth(1)).to_be_visible()
    assert page.get_by_role("row").count() < 60
    scroller = page.locator(".run-scroller")
    for _ in range(2):
        with page.expect_response(lambda response: "before=" in response.url):
            scroller.evaluate("element => element.scrollTo(0, element.scrollHeight)")
        expect(page.get_by_text("Loading more…")).to_have_count(0)
    scroller.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    expect(page.get_by_text("120 rows")).to_be_visible()
    assert page.get_by_role("row").count() < 60


def test_somebody_who_may_only_read_is_offered_no_commands(site: Site, browser: Browser):
    site.start("hello")
    with Person.of(browser, site.address) as reader:
        reader.logs_in(site.token("read"))
        page = reader.page
        expect(page.get_by_role("row")).to_have_count(2)
        expect(page.get_by_role("checkbox")).to_have_count(0)
        reader.goes_to("/start/hello")
        expect(page.get_by_role("button", name="Start the run")).to_be_disabled()
        reader.goes_to("/pipelines/hello?tab=source")
        expect(page.get_by_text("To edit it, use a token with the scope admin.")).to_be_visible()
        expect(page.get_by_role("button", name="Save")).to_have_count(0)


def test_a_batch_is_one_row_with_the_states_of_its_rows_and_leads_to_them(site: Site, person: Person):
    (site.directory / "rows.jsonl").write_text("".join(f'{{"name": "n{number}"}}\n' for number in range(12)))
    command = [sys.executable, "-m", "orchestrator", "map", "hello.yaml", "rows.jsonl"]
    subprocess.run(command, cwd=site.directory, capture_output=True, check=True)
    run_id = site.start("hello")
    page = person.page
    page.reload()
    rows = page.get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text(run_id)
    expect(rows.nth(2)).to_contain_text("batch of 12")
    expect(rows.nth(2).get_by_role("img", name="12 succeeded")).to_be_visible()
    assert person.violations() == []
    rows.nth(2).get_by_role("link", name="hello").click()
    expect(rows).to_have_count(13)
    for number in range(1, 13):
        expect(page.get_by_text(f"row {number}", exact=True)).to_have_count(1)


def test_invalid_rows_of_a_batch_are_listed_with_what_is_wrong(site: Site, person: Person):
    rows = ['{"name": "ada"}', '{"nmae": "bob"}', '{"name": "cy", "times": 9}']
    (site.directory / "rows.jsonl").write_text("\n".join(rows))
    command = [sys.executable, "-m", "orchestrator", "map", "hello.yaml", "rows.jsonl"]
    subprocess.run(command, cwd=site.directory, capture_output=True, check=False)
    page = person.page
    page.reload()
    expect(page.get_by_role("row").nth(1)).to_contain_text("2 invalid")
    page.get_by_role("row").nth(1).get_by_role("link", name="hello").click()
    head = page.get_by_role("region", name="Batch")
    expect(head).to_contain_text("2 rows not started, as the inputs are invalid")
    expect(head.get_by_role("listitem").nth(0)).to_contain_text("row 2")
    expect(head.get_by_role("listitem").nth(0)).to_contain_text("nmae")
    expect(head.get_by_role("listitem").nth(1)).to_contain_text("times")
    assert person.violations() == []
