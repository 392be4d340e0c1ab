"""The report of a run is one HTML file: it needs nothing else, and texts of the run are never markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import orchestrator as orc
from orchestrator.history.html_report import MOST_TEXT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NASTY = "</pre><script>alert(\"1\")</script> & 'x' <img src=x onerror=y> \x00\x1b]0;"
ELEMENTS = re.compile(
    "html|head|meta|title|style|body|main|header|section|div|span|p|h[123]|dl|dt|dd|pre|code|i|img|table|thead|tbody|tr|th|td"
)


class Page(HTMLParser):
    """What a browser finds in a page: its text, the sections by title, and that everything is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.bars: list[str] = []
        self.pictures: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert ELEMENTS.fullmatch(tag)
        assert not any(name.startswith("on") or name == "href" for name in given)
        if tag == "img":
            self.pictures.append(str(given["src"]))
        if tag == "i" and "style" in given:
            self.bars.append(str(given["class"]))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@orc.tool
def fragile(context: orc.ToolContext, message: str) -> str:
    """Fail at the first attempt, or always with a message."""
    if message or context.attempt == 1:
        raise orc.StepError(message or "not yet")
    return "done"


def report(directory: Path, pipeline: dict[str, Any], **inputs: Any) -> Page:
    """Run a pipeline to its end or to its first question, and read its report."""
    with orc.Orchestrator(directory=directory, tools=[fragile]) as client:
        run = client.compile(pipeline).start(**inputs)
        run.wait(timeout=60)
        return Page(run.report())


def test_texts_of_a_run_are_text(tmp_path: Path):
    steps = [
        {"id": "a", "value": "{{ inputs.word }}"},
        {"id": "b", "tool": "fragile", "parameters": {"message": "{{ a }}"}, "on_failure": "continue"},
        {"id": "c", "fail": "{{ a }}", "dependencies": ["b"], "condition": "{{ inputs.fails }}"},
    ]
    outputs = {"short": "{{ a }}", "long": "{{ a }}\n{{ a }}", "data": {"value": {"key": ["{{ a }}"]}}}
    inputs = {"word": NASTY, "fails": {"type": "boolean", "default": False}}
    pipeline = {"name": NASTY, "inputs": inputs, "steps": steps, "outputs": outputs}
    shown = NASTY.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    assert report(tmp_path, pipeline).text.count(shown) >= 6
    assert f"Error ORC719 in step c{shown}" in report(tmp_path, pipeline, fails=True).text.replace("\n", "")


def test_the_timeline_shows_attempts_and_waits(tmp_path: Path):
    steps = [
        {"id": "a", "tool": "fragile", "parameters": {"message": ""}, "retry": {"max_attempts": 2, "delay": 0.2}},
        {"id": "each", "for_each": [1, 2], "dependencies": ["a"], "steps": [{"id": "x", "value": "{{ item }}"}]},
        {"id": "q", "ask": "Go?", "dependencies": ["each"]},
    ]
    page = report(tmp_path, {"steps": steps})
    assert page.bars == ["attempt failed", "retry", "attempt succeeded", "steps", "person"]
    assert "2 items, 2 succeeded" in page.text
    assert [picture.partition(",")[0] for picture in page.pictures] == ["data:image/svg+xml;base64"]


def test_a_run_whose_tools_are_gone_has_a_report_without_a_graph(tmp_path: Path):
    with orc.Orchestrator(directory=tmp_path, tools=[fragile]) as client:
        run = client.compile({"steps": [{"id": "a", "tool": "fragile", "parameters": {"message": "no"}}]}).start()
        run.wait(timeout=60)
    with orc.Orchestrator(directory=tmp_path) as client:
        page = Page(client.get_run(run.id).report())
    assert page.pictures == []
    assert page.bars == ["attempt failed"]


def test_of_a_long_text_the_beginning_is_shown(tmp_path: Path):
    pipeline = {"steps": [{"id": "a", "value": "{{ 'x' * 300000 }}"}], "outputs": {"a": "{{ a }}"}}
    assert MOST_TEXT < len(report(tmp_path, pipeline).text) < 2 * MOST_TEXT


def test_the_quickstart_has_a_report(tmp_path: Path, pytestconfig: pytest.Config):
    with orc.Orchestrator(directory=pytestconfig.rootpath, store=f"sqlite:///{tmp_path}/runs.db") as client:
        run = client.compile("examples/quickstart.yaml").start(directory=str(tmp_path))
        run.wait(timeout=60)
        assert "A report on the planets" in Page(run.report()).text
