"""A test file is read as a whole: what its cases say, and every mistake at its place."""

from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.errors import ModelRefused
from orchestrator.models.messages import ToolRequest
from orchestrator.remedies import RunFile, RunTests
from orchestrator.testing.case import ExpectedStep
from orchestrator.testing.expectations import Expectation, unmet
from orchestrator.testing.files import CaseFile, find_files, read_file


def read(tmp_path: Path, text: str) -> CaseFile:
    path = tmp_path / "report.test.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return read_file(path)


def test_a_file_says_what_runs_are_given_and_what_is_expected(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        """
        models: {fake: {draft: [one, {raise: ModelRefused, message: never}, {call: data.sql, with: {q: sun}}]}}
        inputs: {language: en}
        stub: {fetch: {status: 200}}
        cases:
          - name: short
            inputs: {topic: sun}
            timeout: 30s
            expect:
              outputs:
                summary: {contains: [sun, star], matches: "^A"}
                count: 3
                record: {contains_not_a_way: 1}
              steps:
                draft: {state: succeeded, approx: 3, within: 0.5}
                check: {state: skipped}
              expression: outputs.count > 2
              cost_below: 0.01
              models: fake
          - expect: {error: ORC724}
            models: live
        """,
    )
    assert file.diagnostics == ()
    assert file.pipeline == tmp_path / "report.yaml"
    first, second = file.cases
    assert (first.name, first.inputs, first.timeout, first.line) == (
        "short",
        {"language": "en", "topic": "sun"},
        30.0,
        6,
    )
    answer, error, request = first.models.answers["draft"]
    assert (answer, request) == ("one", ToolRequest("call", "data_sql", {"q": "sun"}))
    assert isinstance(error, ModelRefused)
    assert first.stub == {"fetch": {"status": 200}}
    assert first.expect.outputs == {
        "summary": Expectation({"contains": ["sun", "star"], "matches": "^A"}),
        "count": Expectation({"equals": 3}),
        "record": Expectation({"equals": {"contains_not_a_way": 1}}),
    }
    assert first.expect.steps == {
        "draft": ExpectedStep("succeeded", Expectation({"approx": 3}, 0.5)),
        "check": ExpectedStep("skipped"),
    }
    assert (first.expect.cost_below, first.expect.models) == (0.01, ("fake",))
    assert (second.name, second.models.kind, second.expect.state) == ("case 2", "live", "failed")


def test_recordings_lie_beside_the_file_unless_it_says_where(tmp_path: Path) -> None:
    file = read(tmp_path, "cases:\n  - {}\n  - {models: {replay: other}}\n  - {models: replay}\n")
    assert [case.models.directory for case in file.cases] == [
        tmp_path / name for name in ("recordings", "other", "recordings")
    ]


def test_every_mistake_is_told_at_its_place(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        """\
        modles: fake
        models: fak
        cases:
          - name: one
            input: {a: 1}
            models: {fake: {draft: {raise: ModelRefusd}}}
            timeout: soon
            expect:
              state: suceeded
              outputs:
                text: {contain: x, matches: "("}
                data: {schema: {type: 5}}
                number: {approx: much}
                more: {expression: "valeu > 3"}
              cost_below: -1
              expression: "outputs. >"
          - name: one
          - 3
        """,
    )
    found = [(d.code, d.span.start.line, d.span.start.column) for d in file.diagnostics]
    assert {code for code, _, _ in found} == {"ORC431"}
    assert [line for _, line, _ in found] == [1, 2, 5, 6, 7, 9, 11, 11, 12, 13, 14, 15, 16, 17, 18]
    told = {d.span.start.line: (d.message, d.help) for d in file.diagnostics}
    assert told[1] == ("a test file has no key `modles`", "did you mean `models`?")
    assert told[6] == ("unknown error `ModelRefusd`", "did you mean `ModelRefused`?")
    assert told[17] == ("two cases are called `one`", "give each its own name")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a test file is a mapping with `cases:`"),
        ("- a\n", "a test file is a mapping with `cases:`"),
        ("pipeline: x.yaml\n", "a test file needs a list of `cases`"),
        ("cases: []\n", "a test file needs a list of `cases`"),
    ],
)
def test_a_file_without_cases_says_so(tmp_path: Path, text: str, message: str) -> None:
    file = read(tmp_path, text)
    assert [d.message for d in file.diagnostics] == [message]


def test_files_are_found_in_directories_but_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.test.yaml", "deep/a.test.yaml", ".git/c.test.yaml", "deep/other.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_files([tmp_path / "b.test.yaml", tmp_path])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["b.test.yaml", "deep/a.test.yaml"]


@pytest.mark.parametrize(
    ("way", "wanted", "value", "told"),
    [
        ("equals", {"a": [1, 2]}, {"a": [1, 3]}, "expected at `a[1]` 2, got 3"),
        ("equals", {"a": 1}, {"a": 1, "b": 2}, 'expected {"a": 1}, got {"a": 1, "b": 2}'),
        ("equals", {"a": 1, "b": 2}, {"a": 1}, "expected at `b` 2, got nothing"),
        ("equals", 1, True, "expected 1, got true"),
        ("equals", 1, 1.0, None),
        ("contains", "sun", "the sun", None),
        ("contains", ["sun", "moon"], "the sun", 'expected to contain "moon", got "the sun"'),
        ("contains", {"a": 1}, [{"a": 1, "b": 2}], None),
        ("contains", {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}, None),
        ("contains", 3, [1, 2], "expected to contain 3, got [1, 2]"),
        ("matches", "^[0-9]+$", "12a", "expected to match '^[0-9]+$', got \"12a\""),
        ("matches", "x", 3, "expected a text that matches 'x', got 3"),
        ("schema", {"items": {"const": 1}}, [3], "expected to satisfy the schema, but at `[0]`: 1 was expected"),
        ("approx", 3.0, 3.0000001, None),
        ("approx", 3.0, 3.1, "expected 3.0 or at most 3e-06 away, got 3.1"),
        ("approx", 3.0, "3", 'expected a number near 3.0, got "3"'),
    ],
)  # fmt: skip
def test_what_is_not_as_expected_is_told(way: str, wanted: object, value: object, told: str | None) -> None:
    assert unmet(Expectation({way: wanted}), value, {}) == ([] if told is None else [told])  # type: ignore[dict-item]


def test_long_texts_are_compared_word_by_word() -> None:
    before = "The sun is a star at the centre of its system. " * 5
    (told,) = unmet(Expectation({"equals": before + "It shines."}), before + "It glows.", {})
    assert told.endswith("… of its system. It [-shines-]{+glows+}.")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../other.md", "out/../../other.md", "C:/other.md", "..\\\\other.md", "."]
)
def test_an_expected_file_lies_in_the_folder_of_the_case(tmp_path: Path, path: str) -> None:
    file = tmp_path / "report.test.yaml"
    file.write_text(f'cases: [{{expect: {{files: {{"{path}": {{exists: true}}}}}}}}]')
    (problem,) = read_file(file).diagnostics
    assert (problem.code, "does not name a file in the case's folder" in problem.message) == ("ORC431", True)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("{contain: a}", "an expected file has no key `contain`"),
        ("{exists: maybe}", "`exists` must be true or false"),
        ("{exists: false, contains: a}", "a file that must not exist has no text"),
        ("3", "a file must be its text"),
    ],
)
def test_what_is_expected_of_a_file_is_checked(tmp_path: Path, expected: str, message: str) -> None:
    file = tmp_path / "report.test.yaml"
    file.write_text(f"cases: [{{expect: {{files: {{out.md: {expected}}}}}}}]")
    assert message in read_file(file).diagnostics[0].message


def test_a_pipeline_in_the_place_of_a_test_file_is_one_error_that_says_so(tmp_path: Path) -> None:
    pipeline = tmp_path / "first.yaml"
    pipeline.write_text("id: first\nsteps: [{id: a, tool: log, parameters: {message: hi}}]\n", encoding="utf-8")
    (problem,) = read_file(pipeline).diagnostics
    assert problem.message == "`first.yaml` is a pipeline, not a test file"
    assert problem.help == "write its cases into `first.test.yaml`"
    assert problem.remedies == (RunFile(str(pipeline)),)
    tests = tmp_path / "first.test.yaml"
    tests.write_text("cases: [{}]\n", encoding="utf-8")
    (problem,) = read_file(pipeline).diagnostics
    assert problem.remedies == (RunTests(str(tests)),)


@pytest.mark.parametrize("state", ["succeeded", "failed", "skipped", "cancelled", "pending", "waiting"])
def test_a_bare_state_of_a_step_is_refused_with_both_of_its_meanings(tmp_path: Path, state: str) -> None:
    (problem,) = read(tmp_path, f"cases: [{{expect: {{steps: {{saved: {state}}}}}}}]").diagnostics
    assert problem.help == f"write `{{state: {state}}}`, or `{{equals: {state}}}` for the value"
    for written, expected in (
        ("state", ExpectedStep(state)),
        ("equals", ExpectedStep(None, Expectation({"equals": state}))),
    ):
        (case,) = read(tmp_path, f"cases: [{{expect: {{steps: {{saved: {{{written}: {state}}}}}}}}}]").cases
        assert case.expect.steps["saved"] == expected
