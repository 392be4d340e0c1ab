"""One run: why it failed, what it asks, how its steps stand, and what a person can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.page.pipelines import FAILS
from tests.page.support import Person, row, state
from tests.server.support import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.page.support import Site

BY_COMMAND = "Applying inline style violates"
"""What a browser says when a test fills the editor: its own command for that sets styles, which the policy refuses."""


def test_a_failed_run_says_without_a_click_what_failed_why_and_what_to_press(runs: Site, person: Person):
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    state(page, "failed")
    overview = page.get_by_role("complementary", name="Overview")
    expect(overview.get_by_role("alert")).to_contain_text("the mail server answered 503")
    expect(overview.get_by_role("heading", name="Failed at send")).to_be_visible()
    expect(overview).to_contain_text("Not reached because of it: archive")
    expect(overview.get_by_role("button", name="Resume")).to_be_visible()
    expect(overview.get_by_role("button", name="Retry this step")).to_be_visible()
    expect(row(page, "send")).to_contain_text("failed")
    expect(row(page, "each")).to_contain_text("1 failed, 19 done")
    assert person.violations() == []


def test_a_failed_run_is_resumed_and_shows_its_outputs_and_its_history(runs: Site, person: Person, tools: Path):
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    state(page, "failed")
    (tools / "go").touch()
    page.get_by_role("complementary").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("dialog")).to_contain_text("not run again")
    assert person.violations() == []
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    state(page, "succeeded")
    expect(page.locator(".markdown strong")).to_have_text("sent")
    chapters = page.locator(".chapters > li")
    expect(chapters).to_have_count(2)
    expect(chapters.nth(1)).to_contain_text("Resumed by")
    expect(chapters.nth(0)).to_contain_text("failed")


def test_a_step_is_retried_after_saying_what_runs_again(runs: Site, person: Person, tools: Path):
    (tools / "go").touch()
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}?step=collect")
    page = person.page
    state(page, "succeeded")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("send, archive")
    page.get_by_role("dialog").get_by_role("button", name="Run it again").click()
    page.get_by_role("button", name="Close the step").click()
    expect(page.locator(".chapters > li").nth(1)).to_contain_text("Retried collect")
    state(page, "succeeded")


def test_the_retry_of_an_item_says_what_runs_again_after_its_loop(runs: Site, person: Person, tools: Path):
    (tools / "go").touch()
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}?step=each[3]")
    page = person.page
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(dialog).to_contain_text("each[3] runs again, and then what depends on it: send, archive.")
    dialog.get_by_role("button", name="Back").click()
    person.goes_to(f"/runs/{run_id}?step=each[3].measure")
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(dialog).to_contain_text("then what depends on it: each[3].verify, send, archive.")


def test_an_edit_of_a_run_is_not_discarded_without_asking(runs: Site, person: Person):
    person.goes_to(f"/runs/{runs.start('fails')}")
    page = person.page
    page.get_by_role("group", name="Actions").get_by_role("button", name="Edit").click()
    edit = page.get_by_role("dialog", name="Continue with an edited pipeline")
    question = page.get_by_role("dialog", name="Discard your changes?")
    person.expected.append(BY_COMMAND)
    edit.get_by_role("textbox").fill("# mine")
    for leave in (lambda: page.keyboard.press("Escape"), edit.get_by_role("button", name="Back").click):
        leave()
        expect(question).to_be_visible()
        page.keyboard.press("Escape")
        expect(question).to_have_count(0)
        expect(edit.get_by_role("textbox")).to_have_text("# mine")
    page.keyboard.press("Escape")
    question.get_by_role("button", name="Discard").click()
    expect(edit).to_have_count(0)


def test_a_run_is_forked_with_edited_inputs(runs: Site, person: Person, tools: Path):
    (tools / "go").touch()
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    state(page, "succeeded")
    page.get_by_role("group", name="Actions").get_by_role("button", name="Fork").click()
    page.get_by_label("First step that runs again").select_option("collect")
    page.get_by_label("topic").fill("storms")
    assert person.violations() == []
    page.get_by_role("button", name="Start the fork").click()
    expect(page.get_by_text("as a fork of")).to_be_visible()
    state(page, "succeeded")
    row(page, "collect").get_by_role("button", name="collect").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("About storms")


def test_an_edited_pipeline_is_used_after_seeing_what_is_kept_and_saved(runs: Site, person: Person, tools: Path):
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    page.get_by_role("group", name="Actions").get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    source = dialog.get_by_role("textbox")
    person.expected.append(BY_COMMAND)
    source.fill(FAILS.replace("tool: need, dependencies", "tool: nede, dependencies"))
    expect(dialog.get_by_role("list", name="Problems")).to_contain_text("nede")
    expect(dialog.get_by_role("button", name="See what is kept")).to_be_disabled()
    fixed = FAILS.replace(
        "tool: need, dependencies: [collect, each], parameters: {file: \"{{ 'go' }}\"}",
        "tool: echo, dependencies: [collect, each]",
    )
    source.fill(fixed)
    expect(dialog.get_by_text("No problems")).to_be_visible()
    assert person.violations() == []
    page.get_by_role("button", name="See what is kept").click()
    changes = page.get_by_role("list", name="What happens to each step")
    expect(changes.get_by_role("listitem").nth(0)).to_contain_text("collect kept")
    expect(changes.get_by_role("listitem").nth(2)).to_contain_text("send runs")
    page.get_by_role("button", name="Save and continue").click()
    state(page, "succeeded")
    assert (tools / "fails.yaml").read_text() == fixed


def test_a_run_is_paused_resumed_and_cancelled(runs: Site, person: Person):
    run_id = runs.start("waits", wait=0)
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    expect(page.get_by_role("complementary")).to_contain_text("hold")
    actions = page.get_by_role("group", name="Actions")
    actions.get_by_role("button", name="Pause").click()
    page.get_by_label("Also stop 1 running step").check()
    page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    state(page, "paused")
    actions.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    state(page, "running")
    actions.get_by_role("button", name="Cancel").click()
    page.get_by_label("Reason").fill("not needed")
    page.get_by_role("button", name="Cancel the run").click()
    state(page, "cancelled")
    expect(page.get_by_role("complementary")).to_contain_text("Cancelled: not needed")


def test_a_question_opens_by_itself_and_the_run_continues_with_the_answer(runs: Site, person: Person):
    run_id = runs.start("reports/ask", wait=0)
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    expect(page.locator(".runhead")).to_contain_text("waiting for an answer")
    expect(page.get_by_role("heading", name="Send the letter?")).to_be_visible()
    assert person.violations() == []
    page.get_by_role("button", name="Approve").click()
    state(page, "succeeded")


def test_what_is_selected_is_in_the_address_and_the_same_after_a_reload(runs: Site, person: Person):
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    page.get_by_role("button", name="Open each").click()
    row(page, "each[7]").get_by_role("button", name="Open").click()
    row(page, "each[7].verify").get_by_role("button", name="verify").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("the mail server answered 503")
    page.get_by_role("tab", name="Input").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("measure == 14")
    expect(page.get_by_role("tabpanel")).to_contain_text("never")
    page.reload()
    expect(page.get_by_role("tab", name="Input")).to_have_attribute("aria-selected", "true")
    expect(row(page, "each[7].verify")).to_have_attribute("aria-selected", "true")
    assert person.violations() == []


def test_steps_are_walked_with_the_keyboard_and_closed_with_escape(runs: Site, person: Person):
    person.goes_to(f"/runs/{runs.start('fails')}")
    page = person.page
    expect(row(page, "collect")).to_be_visible()
    page.keyboard.press("j")
    expect(row(page, "collect")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(row(page, "each[7]")).to_be_visible()
    page.keyboard.press("k")
    expect(row(page, "collect")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name="Overview")).to_be_visible()


def test_every_tab_says_what_is_known_of_a_step(runs: Site, person: Person):
    run_id = runs.start("fails")
    page = person.page
    panel = page.get_by_role("tabpanel")
    for tab, words in (
        ("result", "It failed."),
        ("error", "503"),
        ("input", "go"),
        ("messages", "It calls no model."),
        ("log", "It has logged nothing."),
        ("why", "it ran after collect and each had ended"),
        ("attempts", "Attempt 1"),
    ):
        person.goes_to(f"/runs/{run_id}?step=send&tab={tab}")
        expect(panel).to_contain_text(words)
        assert person.violations() == []


def test_the_graph_folds_loops_into_one_box_with_their_failed_items(runs: Site, person: Person):
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}?view=graph")
    page = person.page
    loop = page.locator('.step-node[data-path="each"]')
    expect(loop).to_contain_text("20")
    expect(page.locator('.step-node[data-path="send"].failed')).to_be_visible()
    assert person.violations() == []
    loop.get_by_role("button", name="[7]").click()
    expect(page.get_by_role("complementary", name="Step")).to_contain_text("each")
    loop.get_by_role("button", name="Unfold each").click()
    expect(page.locator('.step-node[data-path="each[*].measure"]')).to_be_visible()


def test_the_timeline_shows_when_steps_worked_and_zooms(runs: Site, person: Person):
    rest = "  - {id: rest, sleep: 200ms}\n"  # a run of a few milliseconds has nothing to zoom
    (runs.directory / "slow.yaml").write_text(
        FAILS.replace(
            "  - {id: send, tool: need, dependencies: [", rest + "  - {id: send, tool: need, dependencies: [rest, "
        )
    )
    run_id = runs.start("slow")
    person.goes_to(f"/runs/{run_id}?view=timeline")
    page = person.page
    expect(page.locator('.timeline-row[data-path="send"] .part.failed')).to_have_count(1)
    assert person.violations() == []
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_url("**zoom=**")
    page.get_by_role("button", name="Show the whole run").click()
    expect(page.get_by_role("button", name="Zoom out")).to_be_disabled()


def test_a_loop_of_ten_thousand_items_shows_the_failed_ones_first_and_any_page(runs: Site, person: Person):
    run_id = runs.start("loop", wait=120)
    person.goes_to(f"/runs/{run_id}?open=each")
    page = person.page
    expect(row(page, "each")).to_contain_text("10 failed, 9,990 done")
    rows = page.locator('[role="row"][data-path]')
    expect(rows.nth(1)).to_have_attribute("data-path", "each[999]")
    assert page.locator('[role="row"]').count() < 80
    person.goes_to(f"/runs/{run_id}?step=each[4567].one")
    expect(page.get_by_role("tabpanel")).to_contain_text("4567")
    expect(row(page, "each[4567].one")).to_be_visible()
    page.get_by_role("group", name="Filter").get_by_role("button", name="failed").click()
    expect(rows).to_have_count(11)
    assert person.violations() == []


def seqs(page: Page) -> list[int]:
    """Return the numbers of the events that are shown."""
    found: list[int] = page.locator(".events-list li").evaluate_all("all => all.map(each => Number(each.dataset.seq))")
    return found


def test_after_the_server_was_killed_and_started_no_event_is_missing_or_twice(runs: Site, person: Person, tools: Path):
    run_id = runs.start("waits", wait=0)
    person.goes_to(f"/runs/{run_id}?events=open")
    page = person.page
    expect(row(page, "hold")).to_contain_text("running")
    port = runs.address.rpartition(":")[2]
    runs.server.kill()
    person.expected += [
        "Failed to load resource",
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "network error",
    ]
    expect(page.get_by_text("The connection is lost")).to_be_visible()
    (tools / "open").touch()
    again = ServerProcess(tools, "--port", port)
    try:
        state(page, "succeeded")
        expect(page.locator(".events-list li").last).to_contain_text("run.succeeded")
        found = seqs(page)
        assert found == list(range(1, len(found) + 1))
        assert len(found) == again.client.json("GET", f"/v1/runs/{run_id}")["last_seq"]
    finally:
        again.kill()


def test_two_browsers_see_what_the_other_does(runs: Site, person: Person, browser: Browser):
    run_id = runs.start("waits", wait=0)
    person.goes_to(f"/runs/{run_id}")
    state(person.page, "running")
    with Person.of(browser, runs.address) as other:
        other.logs_in(runs.token("run"))
        expect(other.page.get_by_role("heading", name="Runs")).to_be_visible()
        other.goes_to(f"/runs/{run_id}")
        other.page.get_by_role("group", name="Actions").get_by_role("button", name="Cancel").click()
        other.page.get_by_role("button", name="Cancel the run").click()
        state(other.page, "cancelled")
    state(person.page, "cancelled")
    expect(person.page.get_by_role("group", name="Actions").get_by_role("button", name="Resume")).to_be_visible()


def test_somebody_who_may_only_read_is_offered_no_action(runs: Site, browser: Browser):
    run_id = runs.start("fails")
    with Person.of(browser, runs.address) as reader:
        reader.logs_in(runs.token("read"))
        expect(reader.page.get_by_role("heading", name="Runs")).to_be_visible()
        reader.goes_to(f"/runs/{run_id}")
        expect(reader.page.get_by_role("alert")).to_contain_text("503")
        expect(reader.page.get_by_role("button", name="Resume")).to_have_count(0)


def test_the_page_of_a_run_works_in_the_dark_and_on_a_narrow_screen(runs: Site, person: Person):
    run_id = runs.start("fails")
    person.page.emulate_media(color_scheme="dark")
    person.page.set_viewport_size({"width": 400, "height": 800})
    for view in ("", "?view=graph", "?view=timeline", "?step=send"):
        person.goes_to(f"/runs/{run_id}{view}")
        expect(person.page.locator(".run-view")).to_be_visible()
        assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert person.violations() == []


def test_a_run_of_five_hundred_steps_is_shown_whole(runs: Site, person: Person, record_property: Any):
    run_id = runs.start("five")
    page = person.page
    person.goes_to("/runs")
    person.goes_to(f"/runs/{run_id}")
    expect(row(page, "s0")).to_be_visible()
    shown = page.evaluate("performance.now()")
    record_property("milliseconds until shown", shown)
    print(f"a run of 500 steps was shown after {shown:.0f} ms")
    expect(page.get_by_role("treegrid", name="Steps")).to_have_attribute("aria-rowcount", "501")
    person.goes_to(f"/runs/{run_id}?view=graph")
    expect(page.locator('.step-node[data-path="s0"]')).to_be_visible()
    print(f"its graph was shown after {page.evaluate('performance.now()'):.0f} ms")


def test_a_run_that_failed_on_purpose_is_forked_or_edited_instead_of_resumed(runs: Site, person: Person, tools: Path):
    (tools / "refuse.yaml").write_text("steps:\n  - {id: stop, fail: 'the value of `x` is too high'}\n")
    person.goes_to(f"/runs/{runs.start('refuse')}")
    page = person.page
    state(page, "failed")
    expect(page.locator(".runhead")).to_contain_text("failed on purpose")
    expect(page.get_by_role("alert").locator("code").first).to_have_text("x")
    expect(page.get_by_role("button", name="Resume", exact=True)).to_have_count(0)
    expect(page.get_by_role("group", name="Actions").get_by_role("button", name="Fork")).to_have_class("button primary")
    assert person.violations() == []


def test_a_case_that_was_not_chosen_is_pale_in_the_graph(runs: Site, person: Person, tools: Path):
    (tools / "cases.yaml").write_text(
        'inputs: {kind: b}\nsteps:\n  - id: choose\n    switch: "{{ kind }}"\n    cases:\n'
        "      a: [{id: one, tool: echo}]\n      b: [{id: two, tool: echo}]\n"
    )
    person.goes_to(f"/runs/{runs.start('cases')}?view=graph")
    expect(person.page.locator('.step-node[data-path="choose.two"].succeeded')).to_be_visible()
    expect(person.page.locator('.step-node[data-path="choose.one"].skipped')).to_be_visible()


def test_a_large_result_is_shown_from_its_beginning_once_it_is_loaded(runs: Site, person: Person, tools: Path):
    (tools / "large.yaml").write_text(
        'steps: [{id: numbers, tool: echo, parameters: {value: "{{ range(60000) | list }}"}}]\n'
    )
    person.goes_to(f"/runs/{runs.start('large')}?step=numbers")
    panel = person.page.get_by_role("tabpanel")
    panel.get_by_role("button", name="Load it").click()
    expect(panel).to_contain_text("99: 99")
    expect(panel.get_by_role("button", name="Show more of 60,000 entries")).to_be_visible()
    expect(panel.get_by_role("button", name="Load it")).to_have_count(0)


def test_a_run_that_was_continued_elsewhere_and_has_ended_is_shown_as_it_is_now(
    runs: Site, person: Person, tools: Path
):
    run_id = runs.start("fails")
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    expect(row(page, "send")).to_contain_text("failed")
    (tools / "go").touch()
    runs.server.client.json("POST", f"/v1/runs/{run_id}/resume", {})
    state(page, "succeeded")
    expect(row(page, "send")).to_contain_text("succeeded")
    expect(row(page, "archive")).to_contain_text("succeeded")
