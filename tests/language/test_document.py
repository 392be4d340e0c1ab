"""From a source to a spec: sources of every kind, recovery without echoes, messages in plain words."""

# ruff: noqa: E501  # a table reads best with one case a line
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.language import Document, read_document
from orchestrator.remedies import RunTests


def found(text: str) -> list[tuple[str, int, int]]:
    return [(d.code, d.span.start.line, d.span.start.column) for d in read_document(text).diagnostics]


STEP = "steps:\n  - id: a\n    tool: x\n"

STRUCTURE = {
    "unknown key": (STEP + "    tol: 1\n", "ORC201", 4, 5, "no key `tol`", "`tool`"),
    "unknown key of the file": ("stpes: []\n" + STEP, "ORC201", 1, 1, "no key `stpes`", "`steps`"),
    "unknown key of retry": (STEP + "    retry: {dela: 1}\n", "ORC201", 4, 13, "no key `dela`", "`delay`"),
    "key of another tool": ("tasks: []\n" + STEP, "ORC201", 1, 1, "no key `tasks`", "`steps`"),
    "key near to nothing": (STEP + "    zzz: 1\n", "ORC201", 4, 5, "no key `zzz`", "allowed here: `id`"),
    "number as tool": ("steps:\n  - id: a\n    tool: 5\n", "ORC202", 3, 11, "`tool` must be text, not the integer `5`", '"5"'),
    "text as attempts": (STEP + "    retry: three\n", "ORC202", 4, 12, '`retry` must be an integer of at least 1, not the string `three`', ""),
    "text as nested attempts": (STEP + "    retry: {max_attempts: three}\n", "ORC202", 4, 27, "`max_attempts` must be an integer", ""),
    "no attempts": (STEP + "    retry: 0\n", "ORC205", 4, 12, "`retry` must be an integer of at least 1", ""),
    "list as retry": (STEP + "    retry: [1]\n", "ORC202", 4, 12, "`retry` must be a number of attempts or a mapping", ""),
    "number as condition": (STEP + "    condition: 5\n", "ORC202", 4, 16, "an expression or true/false", ""),
    "text as parameters": (STEP + "    parameters: x\n", "ORC202", 4, 17, "`parameters` must be a mapping", ""),
    "number as on_failure": (STEP + "    on_failure: 5\n", "ORC202", 4, 17, "`fail`, `continue`", ""),
    "text as continue_on_error": (STEP + "    continue_on_error: maybe\n", "ORC202", 4, 24, "true or false", ""),
    "empty tool": ("steps:\n  - id:\n    tool: x\n", "ORC202", 2, 5, "`id` has no value", ""),
    "duration": (STEP + "    timeout: soon\n", "ORC206", 4, 14, "not a duration", "30s"),
    "negative duration": (STEP + "    timeout: -1\n", "ORC206", 4, 14, "negative", "30s"),
    "no id": ("steps:\n  - tool: x\n", "ORC203", 2, 5, "step 1 has no `id`", "id: fetch"),
    "no steps": ("name: x\n", "ORC203", 1, 1, "no steps", "add `steps:`"),
    "empty steps": ("steps: []\n", "ORC203", 1, 1, "no steps", "add `steps:`"),
    "steps as text": ("steps: x\n", "ORC202", 1, 8, "list of steps", ""),
    "step as text": ("steps:\n  - x\n  - {id: a, tool: b}\n", "ORC202", 2, 5, "step 1 must be a mapping", ""),
    "bad id": ("steps:\n  - id: a b\n    tool: x\n", "ORC209", 2, 9, "`a b` cannot be a step's id", "`a_b`"),
    "id with a digit first": ("steps:\n  - id: 1st\n    tool: x\n", "ORC209", 2, 9, "`1st`", "`_1st`"),
    "bad input name": ("inputs: {a b: 1}\n" + STEP, "ORC209", 1, 10, "an input's name", "`a_b`"),
    "bad type": ("inputs: {i: {type: strin}}\n" + STEP, "ORC205", 1, 20, "one of `string`", "`string`"),
    "default of another type": ("inputs: {i: {type: integer, default: x}}\n" + STEP, "ORC208", 1, 38, "integer", ""),
    "default out of bounds": ("inputs: {i: {default: 5, maximum: 3}}\n" + STEP, "ORC208", 1, 23, "at most 3", ""),
    "default not allowed": ("inputs: {i: {default: c, enum: [a, b]}}\n" + STEP, "ORC208", 1, 23, 'one of "a", "b"', ""),
    "limit without meaning": ("inputs: {i: {type: string, minimum: 3}}\n" + STEP, "ORC205", 1, 28, "does not apply", "change the type"),
    "bounds exchanged": ("inputs: {i: {minimum: 3, maximum: 1}}\n" + STEP, "ORC205", 1, 35, "less than", ""),
    "bad pattern": ("inputs: {i: {pattern: '('}}\n" + STEP, "ORC205", 1, 23, "not a regular expression", ""),
    "empty enum": ("inputs: {i: {enum: []}}\n" + STEP, "ORC205", 1, 20, "at least one item", ""),
    "object as input": ("inputs: {i: {a: 1}}\n" + STEP, "ORC203", 1, 10, "a mapping without `type`", "default: {...}"),
    "object as output": (STEP + "outputs: {o: {a: 1}}\n", "ORC203", 4, 11, "a mapping without `value`", "value: {...}"),
    "nameless input": ("inputs: [{type: string}, 5]\n" + STEP, "ORC202", 1, 26, "needs a name", ""),
    "max_parallel": ("defaults: {max_parallel: 0}\n" + STEP, "ORC205", 1, 26, "at least 1", ""),
    "list as defaults": ("defaults: [1]\n" + STEP, "ORC202", 1, 11, "`defaults` must be a mapping", ""),
    "text as variables": ("variables: x\n" + STEP, "ORC202", 1, 12, "`variables` must be a mapping", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURE)
def test_a_mistake_of_structure_is_told_once_with_its_place(name: str) -> None:
    text, code, line, column, words, help = STRUCTURE[name]
    document = read_document(text)
    assert [(d.code, d.span.start.line, d.span.start.column) for d in document.diagnostics] == [(code, line, column)]
    assert words in document.diagnostics[0].message
    assert help in (document.diagnostics[0].help or "")


@pytest.mark.parametrize("name", STRUCTURE)
def test_no_message_has_internal_words(name: str) -> None:
    for diagnostic in read_document(STRUCTURE[name][0]).diagnostics:
        text = f"{diagnostic.message} {diagnostic.help} {diagnostic.label}".lower()
        for word in ("pydantic", "input should", "spec ", "nonetype", "str,", "dict", "valid "):
            assert word not in text


def test_a_duplicate_id_names_both_places_and_both_steps_stay() -> None:
    document = read_document("steps:\n  - {id: a, tool: x}\n  - {id: a, tool: y}\n")
    (diagnostic,) = document.diagnostics
    assert diagnostic.code == "ORC204"
    assert (diagnostic.span.start.line, diagnostic.related[0].span.start.line) == (3, 2)
    assert [step.tool for step in document.spec.steps] == ["x", "y"]


def test_a_step_without_id_stays_and_so_does_all_that_is_right_in_it() -> None:
    document = read_document(
        "steps:\n  - tool: x\n    tol: y\n    timeout: 5s\n    retry: {max_attempts: no, delay: 2s}\n"
    )
    (step,) = document.spec.steps
    assert (step.id, step.tool, step.timeout) == ("", "x", 5.0)
    assert step.retry is not None
    assert (step.retry.max_attempts, step.retry.delay) == (3, 2.0)
    assert [d.code for d in document.diagnostics] == ["ORC203", "ORC201", "ORC202"]


def test_what_is_refused_is_not_in_the_specs_node() -> None:
    step = read_document(STEP + "    condition: 5\n    tol: 1\n").spec.steps[0]
    assert [entry.key.text for entry in step.node.entries] == ["id", "tool"]


def test_a_fix_of_an_unknown_key_is_its_replacement() -> None:
    (diagnostic,) = read_document(STEP + "    paramters: {}\n").diagnostics
    assert diagnostic.fix is not None
    assert (diagnostic.fix.span, diagnostic.fix.replacement) == (diagnostic.span, "parameters")


def test_sections_may_be_empty() -> None:
    assert found("inputs:\noutputs:\nvariables:\ndefaults:\nmetadata:\n" + STEP) == []


def test_every_part_of_a_spec_knows_its_node() -> None:
    text = (
        "inputs: {i: {type: array, items: {type: string}}}\ndefaults: {retry: 2}\n"
        + STEP
        + "    retry: 3\noutputs: {o: '{{ a }}'}\n"
    )
    spec = read_document(text).spec
    assert spec.node.key("inputs") is not None
    assert spec.inputs["i"].node.get("type") is not None
    assert spec.inputs["i"].items is not None
    assert spec.inputs["i"].items.node.get("type") is not None
    assert spec.outputs["o"].node.get("value") is not None
    assert spec.defaults is not None
    assert spec.defaults.retry is not None
    assert spec.defaults.retry.node.get("max_attempts") is not None
    assert spec.steps[0].retry is not None
    assert spec.steps[0].retry.node.span.start.line == 6


# --- sources


def code_of(document: Document) -> str:
    return document.diagnostics[0].code


def test_a_file_gives_its_name_as_the_id(tmp_path: Path) -> None:
    path = tmp_path / "my report.v2.yaml"
    path.write_text(STEP)
    assert read_document(path).spec.id == "my_report_v2"
    assert read_document(str(path)).spec.id == "my_report_v2"
    assert read_document(path).source.name == str(path)
    assert read_document(path, name="r.yaml").source.name == "r.yaml"


def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path: Path) -> None:
    assert code_of(read_document(tmp_path / "none.yaml")) == "ORC100"
    assert code_of(read_document("none.yaml")) == "ORC100"
    assert code_of(read_document("none")) == "ORC100"
    assert code_of(read_document(tmp_path)) == "ORC100"
    for content in (b"\x80\x81 a: 1", b"\x89PNG\r\n\x00\x1a\n", "a: 1".encode("utf-16"), b"\0" * 100):
        path = tmp_path / "junk.yaml"
        path.write_bytes(content)
        assert code_of(read_document(path)) == "ORC100"
    assert code_of(read_document(Path("a\0b.yaml"))) == "ORC100"


def test_the_place_of_a_byte_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: x\ndescription: caf\xe9 au lait\n")
    (diagnostic,) = read_document(path).diagnostics
    assert (diagnostic.span.start.line, diagnostic.span.start.column) == (2, 17)


def test_a_byte_order_mark_and_carriage_returns_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + STEP.replace("\n", "\r\n").encode() + b"    tol: 1\r\n")
    (diagnostic,) = read_document(path).diagnostics
    assert (diagnostic.span.start.line, diagnostic.span.start.column) == (4, 5)


def test_a_text_is_read_as_yaml_also_on_one_line() -> None:
    assert read_document("steps: [{id: a, tool: x}]").spec.steps[0].id == "a"
    assert code_of(read_document("")) == "ORC107"


def test_a_mapping_is_read_like_the_file_that_says_the_same() -> None:
    document = read_document({"steps": [{"id": "a", "tool": "x", "retri": 2}], "version": "012"})
    assert [d.code for d in document.diagnostics] == ["ORC201"]
    assert document.spec.version == "012"
    assert document.source.lines[document.diagnostics[0].span.start.line - 1].strip().startswith("retri")


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"x"])
def test_a_mapping_that_is_not_json_is_a_diagnostic(value: Any) -> None:
    document = read_document({"variables": {"a": [value]}})
    assert code_of(document) == "ORC100"
    assert "`variables.a[0]`" in document.diagnostics[0].message


def test_a_mapping_that_holds_itself_is_a_diagnostic() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    assert code_of(read_document(loop)) == "ORC100"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(json_values)
def test_values_of_a_mapping_come_through_unchanged(value: Any) -> None:
    spec = read_document({"steps": [{"id": "a", "tool": "x", "parameters": {"v": value}}]}).spec
    assert spec.steps[0].parameters == {"v": value}


def test_a_test_file_in_the_place_of_a_pipeline_is_one_error_that_says_so(tmp_path: Path):
    path = tmp_path / "report.test.yaml"
    path.write_text("pipeline: report.yaml\ncases:\n  - {inputs: {}, expect: {}}\n", encoding="utf-8")
    (problem,) = read_document(path).diagnostics
    assert (problem.code, problem.message) == ("ORC203", "`report.test.yaml` is a test file, not a pipeline")
    assert (problem.span.start.line, problem.remedies) == (2, (RunTests(str(path)),))
    (problem,) = read_document("cases: []\n").diagnostics
    assert problem.remedies == ()
