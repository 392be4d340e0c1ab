"""People who look at the page, and the server that they look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct
from playwright.sync_api import expect

from tests.server.support import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright


HELLO = """\
name: Greeting
description: Greets somebody.
inputs:
  name: {type: string, default: world, description: Whom to greet}
  times: {type: integer, default: 1, minimum: 1, maximum: 5}
steps:
  - {id: greet, tool: log, parameters: {message: "Hello {{ name }}"}}
  - {id: again, tool: log, condition: "{{ times > 1 }}", parameters: {message: "Hello again"}}
outputs:
  text: "Hello {{ name }}"
"""
ASK = """\
name: Review
steps:
  - id: review
    approve: {title: "Send the letter?", content: "Dear **Ada**,\\n\\n- one\\n- two", allow_editing: true}
  - {id: sent, tool: log, parameters: {message: "{{ review.content }}"}, condition: "{{ review.approved }}"}
outputs: {sent: "{{ review.approved }}", letter: "{{ review.content }}"}
"""
PATIENCE = 30_000.0
"""Milliseconds that a page may take to show what a test waits for."""

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]


def launched(playwright: Playwright) -> Browser:
    """Start Chromium; tests that need it are skipped where there is none, except in CI."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        if os.environ.get("CI"):
            raise AssertionError("CI needs Chromium: .ci/run installs it")
        pytest.skip("there is no Chromium: install Debian's package `chromium`")
    return playwright.chromium.launch(executable_path=path, args=OPTIONS)


class Site(Struct):
    """A server process, the directory that it offers, and a client of its API."""

    server: ServerProcess
    directory: Path

    @property
    def address(self) -> str:
        """The URL of the page."""
        return str(self.server.client.http.base_url).rstrip("/")

    def start(self, pipeline: str, *, wait: float = 30, **body: Any) -> str:
        """Start a run and return its id."""
        response = self.server.client.http.post(
            f"/v1/runs?wait={wait}", json={"pipeline": pipeline, **body}, timeout=wait + PATIENCE / 1000
        )
        assert response.is_success, response.text
        return str(response.json()["run"]["run_id"])

    def token(self, scope: str) -> str:
        """Return a new token."""
        command = [sys.executable, "-m", "orchestrator", "tokens", "add", f"with-{scope}", "--scope", scope]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def run(self, run_id: str) -> Any:
        """Return the status of a run."""
        return self.server.client.json("GET", f"/v1/runs/{run_id}")


_FADED_IN = """async () => {
    const ends = document.getAnimations().filter(each => each.effect.getComputedTiming().endTime !== Infinity)
    await Promise.allSettled(ends.map(each => each.finished))
}"""
"""Waits for the animations of the page that end."""


class Person:
    """Somebody with a browser of their own: its cookies and its window."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.address = address
        self.context = context
        self.expected: list[str] = []
        """Parts of messages in the console that a test expects, such as of a request that is refused."""
        self.errors: list[str] = []
        self.page = self.opened()

    @classmethod
    @contextmanager
    def of(cls, browser: Browser, address: str, **options: Any) -> Iterator[Person]:
        """Give somebody a browser, and check at the end that no page had an error."""
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **options})
        context.set_default_timeout(PATIENCE)
        context.add_init_script(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
        try:
            found = cls(context, address)
            yield found
            unexpected = [error for error in found.errors if not any(part in error for part in found.expected)]
            assert unexpected == [], unexpected
        finally:
            context.close()

    def opened(self) -> Page:
        """Open another window."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def logs_in(self, token: str) -> None:
        """Log in by the form, and see the list of runs."""
        self.expected.append("401")
        self.goes_to("/runs")
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", name="Log in")).to_be_hidden()

    def goes_to(self, path: str) -> None:
        """Open an address of the page."""
        self.page.goto(self.address + path)

    def violations(self) -> list[str]:
        """Return what axe objects to on the page that is shown."""
        self.page.evaluate(_FADED_IN)  # a colour on its way is not the one that is read
        found = self.page.evaluate("async () => (await axe.run()).violations")
        return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


def row(page: Page, path: str) -> Any:
    """Return the row of a step in the table."""
    return page.locator(f'[role="row"][data-path="{path}"]')


def state(page: Page, word: str) -> None:
    """Wait until the head of the run shows a state."""
    expect(page.locator(f'.runhead [data-state="{word}"]')).to_be_visible()
