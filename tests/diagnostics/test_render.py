"""Diagnostics as text: the caret stands below the culprit on any terminal, and nothing dangerous reaches it."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcwidth

from orchestrator.diagnostics import Diagnostic, Position, Related, Source, Span, render_text
from orchestrator.text.lines import display_width, split_lines, visible


def diagnostic(text: str, span: Span, **keys: object) -> Diagnostic:
    return Diagnostic("ORC301", "`topik` is not defined", Source.of("p.yaml", text), span, **keys)  # type: ignore[arg-type]


def test_a_diagnostic_reads_from_message_to_help() -> None:
    text = "inputs:\n  topic: x\n\nsteps:\n  - id: a\n    condition: topik > 1\n"
    found = diagnostic(
        text,
        Span.at(6, 16, 6, 21),
        label="not defined",
        notes=("names are inputs, variables and steps",),
        help="did you mean `topic`?",
        related=(Related("a similar name", Source.of("p.yaml", text), Span.at(2, 3, 2, 8)),),
    )
    assert render_text([found]) == (
        "error[ORC301]: `topik` is not defined\n"
        " --> p.yaml:6:16\n"
        "  |\n"
        "2 |   topic: x\n"
        "  |   ----- a similar name\n"
        "...\n"
        "6 |     condition: topik > 1\n"
        "  |                ^^^^^ not defined\n"
        "  |\n"
        "  = note: names are inputs, variables and steps\n"
        "  = help: did you mean `topic`?\n"
        "\n"
        "1 error"
    )


def test_a_place_in_another_file_has_its_own_excerpt() -> None:
    other = Related("defined here", Source.of("tools.yaml", "a: 1\nb: 2\n"), Span.at(2, 1))
    assert render_text([diagnostic("x: y\n", Span.at(1, 4), related=(other,))]).splitlines()[1:] == [
        " --> p.yaml:1:4",
        "  |",
        "1 | x: y",
        "  |    ^",
        " ::: tools.yaml:2:1",
        "  |",
        "2 | b: 2",
        "  | - defined here",
        "",
        "1 error",
    ]


def test_a_span_of_several_lines_is_marked_at_both_ends() -> None:
    lines = render_text([diagnostic("a: {\n  b: 1,\n  c: 2,\n  d }\n", Span.at(1, 4, 4, 6), label="here")]).splitlines()
    assert lines[3:8] == ["1 | a: {", "  |    ^", "...", "4 |   d }", "  |   ^^^ here"]


def test_a_diagnostic_without_text_has_no_excerpt() -> None:
    assert render_text([diagnostic("", Span.at(1, 1))]).splitlines()[1:3] == [" --> p.yaml", ""]


@pytest.mark.parametrize(
    ("before", "culprit"),
    [("日本", "x"), ("e\u0301", "x"), ("😀 ", "日本"), ("\t", "x"), ("👨\u200d👩\u200d👧 ", "x"), ("", "é")],
)
def test_the_caret_stands_below_by_display_width(before: str, culprit: str) -> None:
    start = len(before) + 1
    lines = render_text([diagnostic(before + culprit, Span.at(1, start, 1, start + len(culprit)))]).splitlines()
    row, caret = lines[3].removeprefix("1 | "), lines[4].removeprefix("  | ")
    assert caret == " " * display_width(visible(before)) + "^" * display_width(culprit)
    assert row == visible(before + culprit)


def test_each_character_takes_as_many_cells_as_the_table_of_all_characters_says() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    assert [each for each in characters if display_width(each) != max(wcwidth(each), 0)] == []


def test_a_long_line_is_cut_round_the_culprit() -> None:
    text = "a" * 1_000_000 + "CULPRIT" + "b" * 1_000_000
    rendered = render_text([diagnostic(text, Span.at(1, 1_000_001, 1, 1_000_008))])
    assert len(rendered) < 1_000
    row, caret = rendered.splitlines()[3:5]
    assert row[caret.index("^") : caret.rindex("^") + 1] == "CULPRIT"


def test_control_characters_are_shown_as_pictures() -> None:
    rendered = render_text([diagnostic("a: \x1b[31m\u202etxt\x9b", Span.at(1, 4, 1, 5), help="see \x1b]0;x\x07")])
    assert not any(character in rendered for character in "\x1b\u202e\x9b\x07")
    assert "␛[31m" in rendered


def test_colour_is_added_only_when_asked_for() -> None:
    found = [diagnostic("a: b\n", Span.at(1, 4))]
    coloured = render_text(found, color=True)
    assert "\x1b[1;31m" in coloured
    assert "\x1b" not in render_text(found)


@pytest.mark.parametrize(
    ("severities", "line"),
    [
        (["error"], "1 error"),
        (["error", "error", "warning"], "2 errors, 1 warning"),
        (["warning", "warning"], "2 warnings"),
    ],
)
def test_a_summary_ends_the_text(severities: list[str], line: str) -> None:
    found = [diagnostic("a: b\n", Span.at(1, 4), severity=severity) for severity in severities]
    assert render_text(found).splitlines()[-1] == line


def test_nothing_found_is_an_empty_text() -> None:
    assert render_text([]) == ""


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\rb"])
def test_lines_are_those_of_the_yaml_reader(text: str) -> None:
    assert split_lines(text) == ("a", "b")


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x0b", "\x0c"])
def test_what_yaml_1_2_takes_for_text_breaks_no_line(character: str) -> None:
    assert split_lines(f"a{character}b") == (f"a{character}b",)


@settings(max_examples=100)
@given(
    st.text(max_size=60),
    st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(0, 3), st.integers(1, 40)),
    st.text(max_size=20),
)
def test_any_diagnostic_can_be_rendered(text: str, place: tuple[int, int, int, int], label: str) -> None:
    line, column, lines, end = place
    stop = Position(line + lines, end if lines else column + end)
    rendered = render_text([diagnostic(text, Span(Position(line, column), stop), label=label, help=label)])
    assert rendered.isprintable() or all(c.isprintable() or c in "\n" or ord(c) > 0x9F for c in rendered)
    assert "^" in rendered or not text.strip()
