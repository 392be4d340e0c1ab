"""`test`, `run --record`, `run --replay` and `run --dry-run`."""

import re
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest

from orchestrator.models.catalog.providers import PROVIDERS
from tests.cli.conftest import Project
from tests.ollama import Ollama

PIPELINE = """
id: report
model: ollama:llama3.2
inputs:
  topic: {type: string, default: tides}
  token: {type: string, secret: true, required: false}
steps:
  - id: draft
    prompt: "Summarize in one sentence: {{ topic }} rise. They also fall. {{ token | default('') }}"
outputs:
  text: "{{ draft }}"
"""
CASES = """
models: {fake: {draft: A draft.}}
cases:
  - name: good
    expect: {outputs: {text: A draft.}}
  - name: bad
    expect: {outputs: {text: Another.}}
  - name: asks for real
    models: {fake: {draft: {raise: ModelRefused, message: never}}}
    expect: {error: ORC724}
"""


@pytest.fixture(autouse=True)
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        for variable in (*provider.key_variables, *provider.own_keys, *provider.url_variables):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))


@pytest.fixture
def report(project: Project, ollama: Ollama) -> Project:
    ollama.answers["Summarize|Sum up"] = "Tides rise."
    (project.directory / "report.yaml").write_text(PIPELINE)
    (project.directory / "report.test.yaml").write_text(CASES)
    return Project(project.directory, tools=None)


def test_each_case_is_told_in_the_order_of_the_file(report: Project) -> None:
    done = report("test")
    assert done.code == 1
    marks = re.findall(r"^  (\w+) +(.*?)  [\d.]+ s$", done.out, re.MULTILINE)
    assert marks == [("ok", "good"), ("FAIL", "bad"), ("ok", "asks for real")]
    assert done.out.startswith("report.test.yaml\n")
    assert '        outputs.text: expected "Another.", got "A draft."\n' in done.out
    assert done.err == "3 cases: 2 passed, 1 failed\n"


def test_cases_are_chosen_by_name_and_the_exit_code_tells(report: Project) -> None:
    assert report("test", "-k", "good").code == 0
    assert report("test", "-k", "nothing like it").code == 2
    assert report("test", "report.test.yaml", "-k", "report.test.yaml::bad").code == 1
    missing = report("test", "nowhere")
    assert missing.code == 2
    assert "test file or directory `nowhere` does not exist" in missing.err


def test_programs_get_json_and_junit(report: Project) -> None:
    done = report("test", "--json", "--junit", "out.xml")
    assert done.code == 1
    assert [(case["case"], case["state"], case["line"]) for case in done.json["cases"]] == [
        ("good", "passed", 4),
        ("bad", "failed", 6),
        ("asks for real", "passed", 8),
    ]
    assert (done.json["ok"], done.json["failed"]) == (False, 1)
    (suite,) = ElementTree.parse(report.directory / "out.xml").getroot()
    assert suite.attrib == {"name": "report.test.yaml", "tests": "3", "failures": "1", "skipped": "0"}
    assert [case.find("failure") is not None for case in suite] == [False, True, False]


def test_junit_can_be_read_whatever_a_case_is_called_and_says(report: Project) -> None:
    case = '{name: "a \\e[31m \\0 ]]>&", models: {fake: {draft: "\\0\\b"}}, expect: {outputs: {text: x}}}'
    (report.directory / "report.test.yaml").write_text(f"cases: [{case}]\n")
    assert report("test", "--junit", "out.xml").code == 1
    (found,) = ElementTree.parse(report.directory / "out.xml").getroot().iter("testcase")
    assert found.attrib["name"] == "a [31m  ]]>&"


def test_the_cases_of_a_sound_file_run_beside_a_wrong_one(report: Project) -> None:
    (report.directory / "wrong.test.yaml").write_text("pipeline: report.yaml\ncases: [{expects: {}}]\n")
    done = report("test", "-k", "good")
    assert done.code == 2
    assert "a case has no key `expects`" in done.out
    assert done.err == "1 case: 1 passed\n"


def test_an_update_records_anew_and_removes_what_nobody_asks_any_more(report: Project) -> None:
    (report.directory / "report.test.yaml").write_text("cases: [{name: a}, {name: b, inputs: {topic: prices}}]\n")
    assert report("test").code == 1
    assert report("test", "--update").code == 0
    recordings = report.directory / "recordings"
    before = {path.name for path in recordings.iterdir()}
    assert len(before) == 2
    assert report("test").code == 0
    (report.directory / "report.yaml").write_text(PIPELINE.replace("Summarize", "Sum up"))
    assert "{+Sum up+}" in report("test").out
    assert report("test", "--update").code == 0
    after = {path.name for path in recordings.iterdir()}
    assert len(after) == 2
    assert not before & after


def test_an_update_leaves_what_other_files_play_and_what_is_no_recording(report: Project) -> None:
    (report.directory / "report.test.yaml").write_text("cases: [{name: a}]\n")
    other = report.directory / "other.test.yaml"
    other.write_text("pipeline: report.yaml\ncases: [{name: b, inputs: {topic: prices}}]\n")
    assert report("test", "--update").code == 0
    notes = report.directory / "recordings" / "notes.json"
    notes.write_text("{}")
    assert report("test", "report.test.yaml", "--update").code == 0
    notes.unlink()
    assert report("test").code == 0
    other.unlink()
    notes.write_text("{}")
    assert report("test", "--update").code == 0
    assert len(list(notes.parent.iterdir())) == 2


def test_a_run_is_recorded_without_its_secrets_and_played_with_others(report: Project) -> None:
    made = report("run", "report.yaml", "-i", "token=s3cr3t-value", "--record", "rec")
    assert made.code == 0
    assert "recorded 1 answer in rec" in made.err
    (file,) = (report.directory / "rec").iterdir()
    assert "s3cr3t" not in file.read_text()
    played = report("run", "report.yaml", "-i", "token=other-value", "--replay", "rec")
    assert (played.code, played.out) == (0, made.out)
    missed = report("run", "report.yaml", "-i", "topic=prices", "--replay", "rec")
    assert missed.code == 1
    assert "[-tides-]{+prices+} rise" in missed.err
    assert "orchestrator run FILE --record rec" in missed.err


def test_a_replay_needs_no_key_and_the_models_are_those_that_were_recorded(report: Project) -> None:
    assert report("run", "report.yaml", "--record", "rec").code == 0
    (file,) = (report.directory / "rec").iterdir()
    recorded = file.read_text().replace('"ollama:llama3.2"', '"openai:gpt-5-mini"')
    file.write_text(recorded)
    (report.directory / "report.yaml").write_text(
        PIPELINE.replace("model: ollama:llama3.2", "model: openai:gpt-5-mini")
    )
    assert report("run", "report.yaml").code == 2
    assert report("run", "report.yaml", "--replay", "rec").code == 0
    (report.directory / "report.yaml").write_text(PIPELINE.replace("model: ollama:llama3.2\n", ""))
    assert report("run", "report.yaml", "--replay", "rec").code == 0


def test_options_that_exclude_each_other_are_refused(report: Project) -> None:
    done = report("run", "report.yaml", "--record", "a", "--replay", "b")
    assert done.code == 2
    assert "`--record` and `--replay` are mutually exclusive" in done.err
    assert report("run", "report.yaml", "--replay", "nowhere").code == 2


def test_a_recording_may_be_made_in_the_background(report: Project) -> None:
    done = report.process("run", "report.yaml", "--record", "rec", "--detach")
    assert done.code == 0
    assert report.process("status", done.out.strip(), "--watch").code == 0
    assert len(list((report.directory / "rec").iterdir())) == 1


def test_a_dry_run_says_what_would_be_done_and_paid_and_does_nothing(report: Project) -> None:
    (report.directory / "plan.yaml").write_text(
        dedent("""\
        id: plan
        model: openai:gpt-5-mini
        budget: {usd: 0.001}
        inputs:
          parts: {type: array, default: [one, two, three]}
        steps:
          - id: last
            dependencies: [each]
            prompt: "Sum up {{ each }}"
            model: "ollama:who-knows"
            max_tokens: 100
          - id: each
            for_each: "{{ parts }}"
            as: part
            steps:
              - id: write
                prompt: "Write about {{ part }}."
                max_tokens: 1000
          - id: save
            tool: filesystem
            action: write
            parameters: {path: out.txt, content: "{{ last }}"}
        """)
    )
    done = report("run", "plan.yaml", "--dry-run", "--json")
    assert done.code == 0, done.err
    steps = {step["path"]: step for step in done.json["steps"]}
    assert list(steps) == ["each", "each.write", "last", "save"]
    assert [steps[path]["times"] for path in steps] == [1, 3, 1, 1]
    (write,) = steps["each.write"]["calls"]
    assert (write["output"], write["rough"]) == (1000, True)
    assert done.json["cost"] == pytest.approx(3 * write["cost"])
    assert done.json["missing"] == ["openai:gpt-5-mini: no key"]
    told = report("run", "plan.yaml", "--dry-run")
    assert "this may exceed the budget of $0.001" in told.err
    assert "nothing was run" in told.err
    assert not (report.directory / "out.txt").exists()
    assert not (report.directory / ".orchestrator").exists()
    assert report("run", "plan.yaml", "--dry-run", "-i", "parts=3").code == 2


def test_check_knows_a_test_file_and_tells_of_its_pipeline_once(project: Project) -> None:
    (project.directory / "tea.yaml").write_text("steps: [{id: a, action: log.write, parameters: {massage: hi}}]")
    (project.directory / "tea.test.yaml").write_text("cases: [{expect: {steps: {b: 1}}}]")
    told = project("check", "tea.yaml", "tea.test.yaml", "--json")
    assert told.code == 1
    assert [each["file"] for each in told.json["diagnostics"] if each["code"] == "ORC403"] == ["tea.yaml"]
