"""The frame of the page: logging in and out, addresses, and what the server lets the browser do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx2 as httpx
from playwright.sync_api import expect

from tests.page.pipelines import TOOLS, WAITS
from tests.page.support import Person, Site
from tests.server.support import ServerProcess, read_token

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_the_link_that_the_server_prints_logs_in_and_shows_the_runs(site: Site, person: Person):
    expect(person.page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    assert person.page.url == f"{site.address}/runs"


def test_a_stranger_is_shown_how_to_log_in_and_can_do_it_with_a_token(site: Site, browser: Browser):
    with Person.of(browser, site.address) as stranger:
        stranger.expected = ["401"]
        stranger.goes_to("/pipelines")
        page = stranger.page
        page.get_by_label("Token").fill("orc_wrong_wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("the token is unknown")
        assert stranger.violations() == []
        page.get_by_label("Token").fill(str(read_token(site.directory)))
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Pipelines")).to_be_visible()


def test_a_session_that_ends_while_the_page_is_open_leads_to_the_form(site: Site, person: Person):
    expect(person.page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    person.expected = ["401"]
    person.context.clear_cookies()
    expect(person.page.get_by_role("heading", name="Your session has ended")).to_be_visible()


def test_logging_out_ends_the_session(site: Site, person: Person):
    person.expected = ["401"]
    person.page.get_by_role("button", name="Log out").click()
    expect(person.page.get_by_role("heading", name="Log in")).to_be_visible()


def test_every_address_of_the_page_can_be_opened_and_reloaded(site: Site, person: Person):
    for path, heading in (("/questions", "Questions"), ("/pipelines", "Pipelines"), ("/runs?state=failed", "Runs")):
        person.goes_to(path)
        person.page.reload()
        expect(person.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    person.goes_to("/runs/nothing/here")
    expect(person.page.get_by_role("heading", name="There is no such page")).to_be_visible()


def test_the_keyboard_leads_everywhere_and_says_how(site: Site, person: Person):
    page = person.page
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", name="Pipelines")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_contain_text("Go to runs")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_document_allows_no_script_or_style_of_its_own_and_no_other_host(site: Site):
    response = httpx.get(f"{site.address}/runs/some-run", headers={"accept-encoding": "gzip"})
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert response.headers["cache-control"] == "no-cache"
    assert httpx.get(site.address, headers={"if-none-match": response.headers["etag"]}).status_code == 304


def test_the_parts_of_the_page_are_compressed_and_kept_by_browsers(site: Site, person: Person):
    sizes: dict[str, int] = {}
    page = person.opened()
    page.on("response", lambda response: sizes.setdefault(response.url, len(response.body())))
    page.goto(site.address)
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    parts = [url for url in sizes if "/assets/" in url]
    total = 0
    for url in parts:
        with httpx.stream("GET", url, headers={"accept-encoding": "gzip"}) as response:
            assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
            total += sum(len(chunk) for chunk in response.iter_raw())
    assert 0 < total < 400_000


def test_only_the_files_of_the_page_are_sent(site: Site):
    for path in ("/assets/nothing.js", "/assets/..%2findex.html", "/assets/%2e%2e/sources.sha256"):
        assert httpx.get(site.address + path).status_code == 404


def test_the_page_says_when_the_server_is_gone_and_reconnects_by_itself(site: Site, person: Person):
    expect(person.page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    person.expected = ["ERR_CONNECTION_REFUSED", "Failed to load resource", "ERR_"]
    port = site.address.rpartition(":")[2]
    site.server.kill()
    expect(person.page.get_by_text("The server does not respond.")).to_be_visible()

    again = ServerProcess(site.directory, "--port", port)
    try:
        expect(person.page.get_by_text("The server does not respond.")).to_have_count(0)
    finally:
        again.kill()


def test_a_list_that_could_not_be_read_is_read_when_the_server_is_back(site: Site, person: Person):
    person.expected = ["503", "Failed to load resource"]
    page = person.page
    away = {"type": "urn:orchestrator:ORC811", "title": "away", "status": 503, "detail": "away"}
    lists = re.compile(r"/v1/runs\?single")
    page.route(lists, lambda route: route.fulfill(status=503, json=away, content_type="application/problem+json"))
    person.goes_to("/runs")
    expect(page.get_by_role("alert")).to_contain_text("503")
    page.unroute(lists)
    expect(page.get_by_role("heading", name="Nothing has run yet")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_page_says_that_the_server_is_being_stopped_while_runs_end(site: Site, browser: Browser):
    (site.directory / "tools.py").write_text(TOOLS)
    (site.directory / "orchestrator.toml").write_text('tools = ["tools.py"]\n[serve]\ndrain = "1m"\n')
    (site.directory / "waits.yaml").write_text(WAITS)
    site.server.kill()
    server = ServerProcess(site.directory)
    try:
        served = Site(server, site.directory)
        served.start("waits", wait=0)
        with Person.of(browser, served.address) as person:
            person.expected = ["Failed to load resource", "ERR_"]
            person.page.goto(server.link)
            server.process.terminate()
            expect(person.page.get_by_text("The server is being stopped or restarted.")).to_be_visible()
            assert person.violations() == []
            (site.directory / "open").touch()
            expect(person.page.get_by_text("The server does not respond.")).to_be_visible()
    finally:
        server.kill()


def test_a_page_that_is_opened_or_changed_while_the_server_restarts_comes_back_by_itself(site: Site, person: Person):
    page = person.page
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    person.expected = ["Failed to load resource", "ERR_", "dynamically imported module"]
    page.route("**/v1/session", lambda route: route.abort())
    page.reload(wait_until="commit")
    expect(page.get_by_text("The server is restarting, or has stopped")).to_be_visible()
    assert person.violations() == []
    page.unroute("**/v1/session")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()

    page.route("**/assets/PipelinesPage*.js", lambda route: route.abort())
    page.get_by_role("link", name="Pipelines").click()
    expect(page.get_by_text("The server is restarting, or has stopped")).to_be_visible()
    page.unroute("**/assets/PipelinesPage*.js")
    expect(page.get_by_role("heading", name="Pipelines", exact=True)).to_be_visible()
