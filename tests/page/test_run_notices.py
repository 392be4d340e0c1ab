"""Whom a run notified, of what, and whether it reached them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.notices.receivers import HttpReceiver
from tests.page.support import state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.page.support import Person, Site

TELLS = """\
id: report
steps:
  - {id: publish, approve: "Publish the report?"}
  - {id: refused, fail: "the report was refused", condition: "not publish.approved"}
notify: {waiting: team, failed: [oncall, team]}
"""


@pytest.fixture
def team(tools: Path) -> Iterator[HttpReceiver]:
    """A target of the server that accepts the first notice, and refuses the next; `oncall` has no address."""
    (tools / "tells.yaml").write_text(TELLS)
    receiver = HttpReceiver()
    receiver.answers = [204, 404]
    (tools / "orchestrator.toml").write_text(
        f'[serve]\ndrain = "0s"\n[notify.team]\ntype = "webhook"\nurl = "{receiver.url}"\n'
        '[notify.oncall]\ntype = "webhook"\nurl_env = "NO_SUCH_VARIABLE"\n'
    )
    yield receiver
    receiver.close()


def test_the_notices_of_a_run_say_to_whom_of_what_and_why_not(team: HttpReceiver, runs: Site, person: Person):
    run_id = runs.start("tells", wait=0)
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    notices = page.locator(".notices > li")
    expect(notices).to_have_count(1)
    expect(notices.first).to_contain_text("report waits for an answer to publish")
    expect(notices.first).to_contain_text("sent to")
    expect(notices.first).to_contain_text("team")
    page.get_by_role("button", name="Reject").click()
    state(page, "failed")
    expect(notices).to_have_count(3)
    refused = page.locator('.notices > [data-notice="failed"]')
    expect(refused).to_have_count(2)
    expect(refused.filter(has_text="team")).to_contain_text("it answered with status 404")
    expect(refused.filter(has_text="oncall")).to_contain_text("NO_SUCH_VARIABLE")
    assert person.violations() == []
