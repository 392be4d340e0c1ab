"""The forms of the py-orc dialect: each becomes its canonical form, and canonical files are not touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.diagnostics import Source
from orchestrator.language import read_document
from orchestrator.language.aliases.py_orc.cases import CASES, FormCase, file_of
from orchestrator.language.aliases.py_orc.rewriter import rewrite_dialect
from orchestrator.language.aliases.py_orc.signs import may_use_dialect
from orchestrator.language.yaml.nodes import plain_data
from orchestrator.language.yaml.reader import read_tree

ROOT = Path(__file__).parents[2]
RUNS = (path for path in (ROOT / "tests/conformance/runs").glob("*/*.yaml") if path.parent.name != "older")
PIPELINES = (path for path in (ROOT / "examples").glob("*.yaml") if not path.name.endswith(".test.yaml"))
FILES = sorted([*PIPELINES, *RUNS])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.written)
def test_a_form_becomes_its_canonical_form(case: FormCase) -> None:
    reading = read_tree(Source.of("f.yaml", file_of(case.area, case.written)))
    canonical = read_tree(Source.of("f.yaml", file_of(case.area, case.canonical)))
    assert reading.root is not None
    assert canonical.root is not None
    assert may_use_dialect(file_of(case.area, case.written), reading.keys, reading.root)
    assert plain_data(rewrite_dialect(reading.root).root) == plain_data(canonical.root)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.canonical)
def test_the_canonical_form_stays(case: FormCase) -> None:
    reading = read_tree(Source.of("f.yaml", file_of(case.area, case.canonical)))
    assert reading.root is not None
    rewritten = rewrite_dialect(reading.root)
    allowed = {"handler_action", "depends_on"}  # spellings that other tables have
    assert [change.written for change in rewritten.changes.made if change.written.strip(":") not in allowed] == []
    assert rewritten.root is reading.root


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_rewriting_leaves_canonical_files_alone(path: Path) -> None:
    reading = read_tree(Source.of(path.name, path.read_text(encoding="utf-8")))
    if reading.root is not None:
        changes = rewrite_dialect(reading.root).changes.made
        assert [change.written for change in changes if not change.written.startswith("$")] == []


def test_a_declared_name_is_no_name_of_the_dialect() -> None:
    text = "{inputs: {timestamp: x, parameters: {a: 1}}, steps: [{id: a, action: log, parameters: {message: TEXT}}]}"
    document = read_document(text.replace("TEXT", "'{{ timestamp }} {{ parameters.a }}'"), name="f.yaml")
    assert document.spec.steps[0].parameters == {"message": "{{ timestamp }} {{ parameters.a }}"}


def test_a_name_that_a_template_sets_is_no_name_of_the_dialect() -> None:
    written = "{% set timestamp = 1 %}{{ timestamp }}{% for loop in [1] %}{{ loop }}{% endfor %}"
    text = f"{{steps: [{{id: a, action: log, parameters: {{message: '{written}'}}}}]}}"
    assert read_document(text, name="f.yaml").spec.steps[0].parameters == {"message": written}


def test_two_declarations_of_an_input_that_contradict_each_other_are_refused() -> None:
    text = "inputs: {topic: {type: string}}\nparameters: {topic: {type: integer}}\nsteps: [{id: a, action: log}]"
    (found,) = read_document(text, name="f.yaml").diagnostics
    assert "topic" in found.message
    assert found.help


def test_diagnostics_point_to_what_was_written() -> None:
    text = "parameters: {topic: x}\nsteps:\n  - id: a\n    action: log\n    max-retrys: 2\n    on-error: [x]\n"
    found = read_document(text, name="f.yaml").diagnostics
    assert [(each.span.start.line, each.span.start.column) for each in found] == [(5, 5), (6, 16)]
