"""With pytest, test files are collected, and fixtures stand in for models."""

from pathlib import Path

import pytest

from tests.ollama import Ollama

pytest_plugins = ["pytester"]

PIPELINE = """
id: report
model: ollama:llama3.2
inputs:
  topic: {type: string, default: tides}
steps:
  - id: draft
    prompt: "Write about {{ topic }}."
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
  - name: no key
    models: live
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    pytester.plugins = []
    return pytester.runpytest_subprocess("-p", "orchestrator.testing.plugin", "-p", "no:orchestrator", *arguments)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(pytester.path / "home"))
    (pytester.path / "report.yaml").write_text(PIPELINE)
    return pytester.path


def test_cases_are_tests_that_pass_fail_and_are_skipped(pytester: pytest.Pytester, project: Path) -> None:
    (project / "report.yaml").write_text(PIPELINE.replace("ollama:llama3.2", "openai:gpt-5-mini"))
    (project / "report.test.yaml").write_text(CASES)
    (project / "foreign.test.yaml").write_text("not: ours\n")
    result = run(pytester, "-rs")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(['*outputs.text: expected "Another.", got "A draft."*', "*OPENAI_API_KEY*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_cases_change_the_project_only_if_that_is_asked_for(pytester: pytest.Pytester, project: Path) -> None:
    (project / "report.yaml").write_text(
        "id: report\nsteps: [{id: new, action: filesystem.write, parameters: {path: new.txt, content: x}}]\n"
    )
    (project / "report.test.yaml").write_text("cases:\n  - models: fake\n")
    run(pytester).assert_outcomes(passed=1)
    assert not (project / "new.txt").exists()
    run(pytester, "--orchestrator-in-place").assert_outcomes(passed=1)
    assert (project / "new.txt").read_text() == "x"


def test_a_wrong_file_is_an_error_at_its_place(pytester: pytest.Pytester, project: Path) -> None:
    (project / "report.test.yaml").write_text("cases:\n  - expect: {outputs: {txt: 1}}\n")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*error[[]ORC431[]]: the pipeline `report.yaml` has no output `txt`*", "*:2:*"])


def test_a_fake_model_is_told_what_to_answer(pytester: pytest.Pytester, project: Path) -> None:
    pytester.makepyfile(
        """
        import orchestrator as orc

        def test_it(fake_model):
            fake_model.script({"draft": "Told."})
            with orc.Orchestrator(models=fake_model) as client:
                result = client.compile("report.yaml").run(topic="moons")
            assert result.outputs == {"text": "Told."}
            assert fake_model.prompts == ["Write about moons."]
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_a_test_records_once_and_replays_ever_after(pytester: pytest.Pytester, project: Path, ollama: Ollama) -> None:
    path = pytester.makepyfile(
        """
        import orchestrator as orc

        def test_it(orchestrator_models):
            with orc.Orchestrator(models=orchestrator_models) as client:
                assert client.compile("report.yaml").run(topic="moons").state == "succeeded"
        """
    )
    before = run(pytester)
    before.assert_outcomes(errors=1)
    before.stdout.fnmatch_lines([f"*pytest --orchestrator-record {path.name}::test_it*"])
    run(pytester, "--orchestrator-record").assert_outcomes(passed=1)
    assert len(list((project / "recordings" / path.stem / "test_it").iterdir())) == 1
    run(pytester).assert_outcomes(passed=1)
