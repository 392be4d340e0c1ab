"""A real browser, and a real server with runs of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.page.pipelines import FAILS, FIVE_HUNDRED, LOOP, TOOLS, WAITS
from tests.page.support import ASK, HELLO, PATIENCE, Person, Site, launched
from tests.server.support import CLIENTS, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window. While it is there, the thread has a running event loop, so other tests cannot."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        found = launched(playwright)
        yield found
        found.close()


@pytest.fixture
def empty_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server in a directory without pipelines. It has the key of a provider, which is never asked."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    server = ServerProcess(tmp_path)
    try:
        yield Site(server, tmp_path)
    finally:
        if server.process.poll() is None:
            server.kill()
        while CLIENTS:
            CLIENTS.pop().close()


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    """A server with pipelines."""
    (tmp_path / "hello.yaml").write_text(HELLO)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "ask.yaml").write_text(ASK)
    found: Site = request.getfixturevalue("empty_site")
    return found


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """The directory of the server, with tools that a test controls by files."""
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "orchestrator.toml").write_text('tools = ["tools.py"]\n[serve]\ndrain = "0s"\n')
    for name, text in (("fails", FAILS), ("waits", WAITS), ("loop", LOOP), ("five", FIVE_HUNDRED)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def runs(tools: Path, site: Site) -> Site:
    """A server whose pipelines fail, wait and loop."""
    return site


@pytest.fixture
def person(browser: Browser, empty_site: Site) -> Iterator[Person]:
    """Somebody who has followed the link that the server printed. Errors in the page's console fail the test."""
    with Person.of(browser, empty_site.address) as found:
        found.page.goto(empty_site.server.link)
        yield found
