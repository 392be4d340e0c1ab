"""Pipelines on the page: what they are and did, their source with its problems, editing and starting them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.page.support import Person, Site

FORM = """\
inputs:
  topic: {type: string, description: What it is about}
  style: {type: string, enum: [short, long], default: short}
  count: {type: integer, minimum: 1, maximum: 9, default: 3}
  draft: {type: boolean, default: false}
  words: {type: array, items: {type: string}, default: [sun]}
  place: {type: object, properties: {city: {type: string, required: false}}, default: {city: Ulm}}
  extra: {required: false}
  pin: {type: string, secret: true}
steps:
  - {id: one, tool: log, parameters: {message: "{{ topic }} {{ pin }}"}}
outputs:
  all:
    value: ["{{ topic }}", "{{ style }}", "{{ count }}", "{{ draft }}", "{{ words }}", "{{ place }}", "{{ extra }}"]
"""
PAID = """\
budget: {usd: 0.5}
inputs: {topic: solar cells}
steps:
  - {id: draft, prompt: "Write about {{ topic }}.", model: "openai:gpt-5-mini", max_tokens: 500}
outputs: {text: "{{ draft }}"}
"""
LONE_ERROR = "steps:\n  - {id: one, tool: log, parametrs: {message: hi}}\n"


def test_pipelines_are_listed_with_their_problems_and_last_runs(site: Site, person: Person):
    (site.directory / "broken.yaml").write_text(LONE_ERROR)
    run_id = site.start("hello")
    person.goes_to("/pipelines")
    page = person.page
    row = page.get_by_role("row").filter(has_text="Greeting")
    expect(row).to_contain_text("Greets somebody.")
    expect(row.get_by_role("link", name=re.compile("succeeded"))).to_have_attribute("href", f"/runs/{run_id}")
    expect(page.get_by_role("row").filter(has_text="broken")).to_contain_text("1 error")
    expect(page.get_by_role("link", name="Start broken")).to_have_count(0)
    assert person.violations() == []
    page.get_by_label("Search pipelines").fill("greet")
    expect(page.get_by_role("row")).to_have_count(2)


def test_a_pipeline_shows_its_inputs_and_how_its_runs_went(site: Site, person: Person):
    site.start("hello")
    person.goes_to("/pipelines/hello")
    page = person.page
    expect(page.get_by_text("Whom to greet")).to_be_visible()
    expect(page.get_by_text("100% of 1 run")).to_be_visible()
    picture = page.get_by_role("img", name="The steps of Greeting and their dependencies")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 100
    assert person.violations() == []


def test_errors_are_shown_at_their_places_and_fixed_by_a_click_and_saved(site: Site, person: Person):
    path = site.directory / "broken.yaml"
    path.write_text(LONE_ERROR)
    person.goes_to("/pipelines/broken")
    page = person.page
    problem = page.get_by_role("listitem").filter(has_text="ORC")
    expect(problem).to_contain_text("2:")
    expect(page.get_by_text("1 error").first).to_be_visible()
    assert person.violations() == []
    problem.get_by_role("button", name="Fix").click()
    expect(page.get_by_text("No problems")).to_be_visible()
    with page.expect_response(lambda response: response.request.method == "PUT"):
        page.get_by_role("button", name="Save", exact=True).click()
    assert path.read_text() == LONE_ERROR.replace("parametrs", "parameters")


def test_a_pipeline_is_checked_while_it_is_typed(site: Site, person: Person):
    person.goes_to("/pipelines/hello?tab=source")
    page = person.page
    expect(page.get_by_text("No problems")).to_be_visible()
    page.get_by_label("Source").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("  more: {{ nothing }}")
    expect(page.get_by_role("list", name="Problems")).to_contain_text("ORC")
    expect(page.get_by_role("button", name="Save and start")).to_be_disabled()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("No problems")).to_be_visible()


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(site: Site, person: Person):
    person.expected = ["409"]
    path = site.directory / "hello.yaml"
    person.goes_to("/pipelines/hello?tab=source")
    page = person.page
    page.get_by_label("Source").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("# mine\n")
    theirs = "# theirs\n" + path.read_text()
    path.write_text(theirs)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("was changed since it was read")
    assert path.read_text() == theirs


def test_a_new_pipeline_is_made_with_comments_to_start_from(site: Site, person: Person):
    person.goes_to("/pipelines")
    page = person.page
    page.get_by_role("button", name="New").click()
    page.get_by_label("Name").fill("weekly/summary")
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(r"/pipelines/weekly/summary\?tab=source"))
    assert (site.directory / "weekly" / "summary.yaml").exists()


def test_a_form_is_made_from_the_inputs_and_starts_a_run_with_them(site: Site, person: Person):
    (site.directory / "form.yaml").write_text(FORM)
    person.goes_to("/start/form")
    page = person.page
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_text("Required.")).to_have_count(2)
    assert person.violations() == []
    page.get_by_label("topic").fill("solar cells")
    page.get_by_label("style").select_option("long")
    page.get_by_label("count").fill("4")
    page.get_by_label("draft").check()
    page.get_by_role("button", name="Add").click()
    page.get_by_role("textbox", name="words 2").fill("wind")
    page.get_by_label("city").fill("Bern")
    page.get_by_label("extra").fill('{"a": 1}')
    page.get_by_label("pin").fill("4711-secret")
    page.get_by_text("Budget, labels and time").click()
    page.get_by_label("Labels").fill("nightly, tests")
    page.get_by_role("button", name="Start the run").click()
    expect(page).to_have_url(re.compile(r"/runs/[0-9a-z]{20}"))
    run_id = page.url.rpartition("/")[2].partition("?")[0]
    client = site.server.client
    result = client.json("GET", f"/v1/runs/{run_id}/events?limit=500")
    while result["events"][-1]["type"] != "run.succeeded":
        result = client.json("GET", f"/v1/runs/{run_id}/events?limit=500")
    outputs = client.json("GET", f"/v1/runs/{run_id}/result")["outputs"]
    assert outputs["all"] == ["solar cells", "long", 4, True, ["sun", "wind"], {"city": "Bern"}, {"a": 1}]
    assert {"nightly", "tests"} <= set(client.json("GET", "/v1/runs")["labels"][run_id])
    assert "4711-secret" not in str(result)


def test_what_the_server_refuses_is_shown_at_its_field(site: Site, person: Person):
    person.expected = ["422"]
    person.goes_to("/start/hello")
    page = person.page
    page.get_by_label("times").fill("9")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_role("alert")).to_contain_text("times")
    expect(page.get_by_label("times")).to_have_attribute("aria-invalid", "true")


def test_the_forecast_tells_the_cost_before_anything_runs(site: Site, person: Person):
    (site.directory / "paid.yaml").write_text(PAID)
    person.goes_to("/start/paid")
    page = person.page
    forecast = page.get_by_role("region", name="Forecast")
    expect(forecast).to_contain_text("about $0.00")
    expect(forecast).to_contain_text("openai:gpt-5-mini")
    expect(forecast).to_contain_text("$0.50")
    assert person.violations() == []
    person.goes_to("/start/hello")
    expect(forecast).to_contain_text("No model is called")
    assert site.server.client.json("GET", "/v1/runs")["runs"] == []


def test_edits_are_not_lost_by_a_link_or_the_back_button_without_asking(site: Site, person: Person):
    path = site.directory / "hello.yaml"
    before = path.read_text()
    person.goes_to("/pipelines")
    page = person.page
    page.get_by_role("link", name="Greeting").first.click()
    page.get_by_role("link", name="Source").click()
    page.get_by_label("Source").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("# mine\n")
    question = page.get_by_role("dialog", name="Discard your changes?")
    for leave in (
        lambda: page.get_by_role("link", name="Overview").click(),
        lambda: page.get_by_role("link", name="Runs", exact=True).first.click(),
        lambda: page.get_by_role("link", name="Start").first.click(),
        page.go_back,
    ):
        leave()
        expect(question).to_be_visible()
        assert person.violations() == []
        question.get_by_role("button", name="Back").click()
        expect(page).to_have_url(re.compile(r"/pipelines/hello\?tab=source"))
        expect(page.get_by_label("Source")).to_contain_text("# mine")
    page.get_by_role("link", name="Overview").click()
    question.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("Whom to greet")).to_be_visible()
    page.get_by_role("link", name="Source").click()
    expect(page.get_by_label("Source")).not_to_contain_text("# mine")
    assert path.read_text() == before


def test_edits_that_are_saved_and_started_ask_for_nothing(site: Site, person: Person):
    person.goes_to("/pipelines/hello?tab=source")
    page = person.page
    page.get_by_label("Source").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("# mine\n")
    page.get_by_role("button", name="Save and start").click()
    expect(page.get_by_role("button", name="Start the run")).to_be_visible()
    assert (site.directory / "hello.yaml").read_text().startswith("# mine\n")


def test_primary_buttons_stay_readable_under_the_pointer(site: Site, person: Person):
    page = person.page
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        person.goes_to("/pipelines/hello")
        start = page.get_by_role("link", name="Start")
        colour = "element => getComputedStyle(element).backgroundColor"
        before = start.evaluate(colour)
        start.hover()
        expect(start).to_have_css("background-color", before)
        assert person.violations() == []


def test_a_choice_with_a_default_offers_its_choices_alone(site: Site, person: Person):
    (site.directory / "form.yaml").write_text(FORM)
    person.goes_to("/start/form")
    expect(person.page.get_by_label("style").get_by_role("option")).to_have_text(["short", "long"])


def test_a_run_is_scheduled_for_a_time_and_says_so(site: Site, person: Person):
    person.goes_to("/start/hello")
    page = person.page
    page.get_by_text("Budget, labels and time").click()
    page.get_by_label("Not before").fill("2199-01-01T03:00")
    assert person.violations() == []
    page.get_by_role("button", name="Schedule the run").click()
    expect(page.locator(".runhead")).to_contain_text("scheduled")
    expect(page.get_by_role("complementary", name="Overview")).to_contain_text("It starts")
    assert person.violations() == []
    person.goes_to("/runs")
    expect(page.get_by_role("row").nth(1)).to_contain_text("scheduled")
    expect(page.get_by_role("row").nth(1)).to_contain_text("starts in")
