"""The calls of models in a run: what is being written now, and what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.page.slow_model import MODEL, SlowModel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.page.support import Person, Site

LETTER = f"""\
name: Letter
inputs: {{town: {{type: string, default: Saint-Malo}}}}
steps:
  - id: write
    action: generate_text
    model: {MODEL}
    system: Be brief.
    prompt: Invite to the tides festival in {{{{ town }}}}.
outputs: {{letter: "{{{{ write }}}}"}}
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowModel]:
    """A model that stops in the middle of its answer, which the server of the test uses."""
    (tmp_path / "letter.yaml").write_text(LETTER)
    with SlowModel("Come to **Saint-Malo**, ", "where the tide is high.") as found:
        monkeypatch.setenv("OLLAMA_BASE_URL", found.url)
        yield found


def test_what_a_model_writes_is_shown_while_it_writes_and_then_as_a_message(
    model: SlowModel, site: Site, person: Person
):
    run_id = site.start("letter", wait=0)
    person.goes_to(f"/runs/{run_id}")
    page = person.page
    overview = page.get_by_role("complementary", name="Overview")
    expect(page.locator(".events")).to_contain_text("step.started write")  # the page follows the run
    model.begin.set()
    expect(overview.locator(".live-text")).to_have_text("Come to **Saint-Malo**, ")
    page.locator('[role="row"][data-path="write"]').get_by_role("button", name="write").click()
    panel = page.get_by_role("tabpanel")
    page.get_by_role("tab", name="Messages").click()
    expect(panel.locator(".message.user")).to_contain_text("Invite to the tides festival in Saint-Malo.")
    expect(panel.get_by_label("What the model is writing")).to_have_text("Come to **Saint-Malo**, ")
    assert person.violations() == []
    model.go_on.set()
    expect(panel.locator(".message.assistant strong")).to_have_text("Saint-Malo")
    expect(panel.locator(".message.system")).to_contain_text("Be brief.")
    expect(panel.get_by_role("row").nth(1)).to_contain_text(MODEL)
    expect(page.locator(".runhead")).to_contain_text("46 tokens")
    assert person.violations() == []
