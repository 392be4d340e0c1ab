"""Whatever the text, `check` says what is wrong with it: no exception, no place outside, no word of the inside."""

import json
import re

from hypothesis import example, given
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.diagnostics import CODES, Diagnostic, Source, Span, diagnostics_json, render_text, to_github, to_sarif
from tests.fuzz.conftest import PROFILE
from tests.fuzz.mutations import PIECES, pipelines

INTERNAL = ("pydantic", "libyaml", "NoneType", "Traceback", "dict", "<class", "object at 0x", "Error(", "None")
QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^']*'")


def assert_inside(span: Span, source: Source) -> None:
    assert span.start <= span.end
    assert span.start.line >= 1
    assert span.start.column >= 1
    for position in (span.start, span.end):
        assert position.line <= max(len(source.lines), 1)
        line = source.lines[position.line - 1] if source.lines else ""
        assert position.column <= len(line) + 2  # one character past the end can be pointed at: what is missing there


def assert_plain(text: str, source: Source) -> None:
    own_words = QUOTED.sub("", text)
    assert not [word for word in INTERNAL if word in own_words and word not in source.text]


def assert_sound(diagnostic: Diagnostic) -> None:
    assert diagnostic.code in CODES
    source = diagnostic.source
    assert_inside(diagnostic.span, source)
    if diagnostic.fix is not None:
        assert_inside(diagnostic.fix.span, source)
    for related in diagnostic.related:
        assert_inside(related.span, related.source)
    for text in (diagnostic.message, diagnostic.label, diagnostic.help or "", *diagnostic.notes):
        assert_plain(text, source)
    assert diagnostic.message


def assert_checked(client: orc.Orchestrator, text: str) -> None:
    report = client.check(text)
    assert report.ok == all(diagnostic.severity == "warning" for diagnostic in report.diagnostics)
    for diagnostic in report.diagnostics:
        assert_sound(diagnostic)
    render_text(report.diagnostics).encode()
    to_github(report.diagnostics).encode()
    json.dumps(diagnostics_json(report.diagnostics), ensure_ascii=False, allow_nan=False).encode()
    json.dumps(to_sarif(report.diagnostics), ensure_ascii=False, allow_nan=False).encode()


@PROFILE
@given(text=st.text())
@example("")
@example("\0")
@example("a.yaml")
@example("/")
def test_any_text_is_diagnosed(client: orc.Orchestrator, text: str) -> None:
    assert_checked(client, text)


@PROFILE
@example("\n?")
@example("&a \n&a: ")
@given(text=st.lists(st.sampled_from(PIECES) | st.sampled_from(["\n", "  ", "\n  ", "a: "])).map("".join))
def test_any_heap_of_metacharacters_is_diagnosed(client: orc.Orchestrator, text: str) -> None:
    assert_checked(client, text)


@PROFILE
@example("steps:\n  - id: a\n    tool:")
@given(text=pipelines())
def test_any_broken_pipeline_is_diagnosed(client: orc.Orchestrator, text: str) -> None:
    assert_checked(client, text)


@PROFILE
@given(pieces=st.lists(st.sampled_from(PIECES) | st.text(max_size=4) | st.sampled_from(["topic", "draft", "say.x"])))
def test_any_template_is_diagnosed(client: orc.Orchestrator, pieces: list[str]) -> None:
    template = json.dumps("{{ " + "".join(pieces) + " }}")
    assert_checked(
        client,
        f"inputs: {{topic: wind}}\nsteps:\n  - id: say\n    tool: echo\n    parameters: {{value: {template}}}\n",
    )
