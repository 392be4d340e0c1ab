"""Diagnostics for programs."""

from __future__ import annotations

import re

from msgspec.structs import replace

from orchestrator import errors
from orchestrator.cli.terminal.hints import Hints
from orchestrator.diagnostics import (
    CODES,
    Diagnostic,
    Fix,
    Related,
    Source,
    Span,
    diagnostics_json,
    render_text,
    sort_diagnostics,
    suggest,
    to_github,
    to_sarif,
)
from orchestrator.remedies import UpdateLock, call_of

SOURCE = Source.of("dir/my file.yaml", "a: 1\na: 2\n")
FOUND = Diagnostic(
    code="ORC104",
    message="the key `a` is written twice, 100% sure:\nreally",
    source=SOURCE,
    span=Span.at(2, 1),
    help="remove one",
    notes=("a note",),
    related=(Related("first", SOURCE, Span.at(1, 1)),),
    fix=Fix(Span.at(2, 1), "'a'"),
)
WARNING = Diagnostic("ORC501", "the input `x` is never read", SOURCE, Span.at(1, 1), severity="warning")


def test_json_has_every_fact_with_lines_and_columns_from_one() -> None:
    assert diagnostics_json([FOUND]) == {
        "diagnostics": [
            {
                "code": "ORC104",
                "severity": "error",
                "message": FOUND.message,
                "help": "remove one",
                "file": "dir/my file.yaml",
                "line": 2,
                "column": 1,
                "end_line": 2,
                "end_column": 2,
                "related": [
                    {
                        "message": "first",
                        "file": "dir/my file.yaml",
                        "line": 1,
                        "column": 1,
                        "end_line": 1,
                        "end_column": 2,
                    }
                ],
                "notes": ["a note"],
                "fix": {"line": 2, "column": 1, "end_line": 2, "end_column": 2, "replacement": "'a'"},
                "remedies": [],
            }
        ],
        "ok": False,
    }


def test_remedies_are_data_and_are_written_as_the_reader_would_type_them() -> None:
    found = replace(FOUND, remedies=(UpdateLock("a.yaml"),))
    for render, line in ((call_of, 'orc.Orchestrator().lock("a.yaml")'), (Hints().line, "orchestrator lock a.yaml")):
        help = f"remove one; update the lock with: {line}"
        (entry,) = diagnostics_json([found], render=render)["diagnostics"]
        assert (entry["help"], entry["remedies"]) == (help, [{"kind": "update_lock", "file": "a.yaml"}])
        assert to_github([found], render=render).endswith(f"%0Ahelp: {help}")
        (result,) = to_sarif([found], render=render)["runs"][0]["results"]
        assert result["message"]["text"].endswith(f"\nhelp: {help}")
        assert f"= help: {help}\n" in render_text([found], render=render)
    assert found.advice == 'remove one; update the lock with: orc.Orchestrator().lock("a.yaml")'


def test_warnings_alone_are_ok() -> None:
    assert diagnostics_json([WARNING])["ok"] is True
    assert diagnostics_json([WARNING])["diagnostics"][0]["fix"] is None
    assert diagnostics_json([]) == {"diagnostics": [], "ok": True}


def test_a_workflow_command_is_one_line_with_everything_escaped() -> None:
    (line,) = to_github([FOUND]).splitlines()
    assert line == (
        "::error file=dir/my file.yaml,line=2,endLine=2,col=1,endColumn=2,title=ORC104 duplicate key::"
        "the key `a` is written twice, 100%25 sure:%0Areally%0Ahelp: remove one"
    )


def test_sarif_has_rules_results_and_places() -> None:
    log = to_sarif([FOUND, WARNING])
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CODES)
    first, second = run["results"]
    assert (first["level"], second["level"]) == ("error", "warning")
    assert rules[first["ruleIndex"]]["id"] == first["ruleId"] == "ORC104"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "dir/my%20file.yaml"
    assert place["region"] == {"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 2}
    assert first["relatedLocations"][0]["message"]["text"] == "first"
    assert first["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"] == "'a'"


def test_sorting_follows_the_file_and_drops_repetitions() -> None:
    assert sort_diagnostics([FOUND, WARNING, FOUND]) == [WARNING, FOUND]


def test_every_code_has_a_title_and_an_explanation() -> None:
    for code, entry in CODES.items():
        assert re.fullmatch(r"ORC\d{3}", code)
        assert entry.title
        assert entry.explanation.endswith(".")


def test_the_code_that_an_error_has_by_itself_is_one_that_can_be_explained() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert {kind.default_code for kind in kinds if issubclass(kind, errors.OrchestratorError)} <= set(CODES)


def test_the_nearest_name_is_suggested() -> None:
    names = ["tool", "timeout", "parameters", "depends_on", "on_failure"]
    assert suggest("tol", names) == "tool"
    assert suggest("paramters", names) == "parameters"
    assert suggest("paramaters", names) == "parameters"
    assert suggest("timeotu", names) == "timeout"  # neighbours swapped
    assert suggest("Depends-On", names) == "depends_on"
    assert suggest("xyz", names) is None
    assert suggest("a", ["b"]) is None
    assert suggest("", names) is None
    assert suggest("tool", ["tool"]) is None


def test_of_equally_near_names_the_first_in_the_alphabet_is_suggested() -> None:
    assert suggest("bat", ["cat", "bar"]) == suggest("bat", ["bar", "cat"]) == "bar"
