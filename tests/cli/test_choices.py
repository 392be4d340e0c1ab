"""`models --for FILE`: who would be asked, in which order, and why; nobody is."""

from pathlib import Path

import pytest

from orchestrator.models.catalog.providers import PROVIDERS
from tests.cli.conftest import Project

PIPELINE = """
id: report
inputs:
  which: {type: string, default: "ollama:llama3.2"}
steps:
  - id: draft
    prompt: Write about the sun.
    model: [openai:gpt-5-mini, ollama:llama3.2]
  - id: look
    action: generate_text
    prompt: What is on it?
    images: [chart.png]
    model: [deepseek:deepseek-v4-flash, "google:gemini-2.5-flash"]
  - id: pick
    prompt: "Shorten: {{ draft }}"
    model: "{{ which }}"
  - id: each
    for_each: [wind, water]
    steps:
      - id: best
        prompt: "Write about {{ item }}."
        requires_model: {capabilities: [vision], providers: [mistral]}
        selection: cost
"""


@pytest.fixture(autouse=True)
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        for variable in (*provider.key_variables, *provider.own_keys, *provider.url_variables):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))


def test_every_step_that_asks_models_says_which_and_why(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.directory / "report.yaml").write_text(PIPELINE)
    monkeypatch.setenv("GEMINI_API_KEY", "not-a-real-key")
    told = project("models", "--for", "report.yaml")
    assert told.code == 0
    lines = {line.split("  ")[0]: line for line in told.out.splitlines() if not line.startswith(" ")}
    assert "openai:gpt-5-mini  " in lines["draft"]
    assert "no key" in lines["draft"]
    assert "model 1 of 2 in the list" in lines["draft"]
    assert "it cannot do vision" in lines["look"]
    assert "`model` is known only during the run" in lines["pick"]
    assert "no available model fits (vision, at mistral)" in lines["each.best"]
    assert "no model was called" in told.err
    monkeypatch.setenv("MISTRAL_API_KEY", "not-a-real-key")
    steps = {each["step"]: each for each in project("models", "--for", "report.yaml", "--json").json["steps"]}
    assert [each["model"] for each in steps["draft"]["models"]] == ["openai:gpt-5-mini", "ollama:llama3.2"]
    assert [each["ready"] for each in steps["draft"]["models"]] == [False, True]
    best = steps["each.best"]["models"]
    assert [each["model"].partition(":")[0] for each in best] == ["mistral"] * 3
    assert all(each["ready"] for each in best)
    assert best[0]["why"].startswith("the cheapest of ")


def test_a_judge_is_told_apart_from_the_step(project: Project) -> None:
    check = "{judge: {rubric: Good?, model: openai:gpt-5}}"
    text = f"steps:\n  - {{id: a, prompt: Say it., model: ollama:llama3.2, check: {check}}}\n"
    (project.directory / "a.yaml").write_text(text)
    told = project("models", "--for", "a.yaml").out.splitlines()
    assert [line.split()[:2] for line in told[1:]] == [["a", "ollama:llama3.2"], ["a:judge", "openai:gpt-5"]]


def test_a_pipeline_that_asks_nobody_says_so(project: Project) -> None:
    (project.directory / "plain.yaml").write_text(
        "steps:\n  - {id: a, tool: text, action: template, parameters: {template: x}}\n"
    )
    assert "no step calls a model" in project("models", "--for", "plain.yaml").err


def test_a_file_is_explained_and_drawn_where_none_of_its_models_has_a_key(project: Project) -> None:
    (project.directory / "report.yaml").write_text("steps: [{id: draft, prompt: Write., model: openai:gpt-5-mini}]")
    told = project("models", "--for", "report.yaml")
    assert (told.code, "no key" in told.out) == (0, True)
    drawn = project("graph", "report.yaml")
    assert (drawn.code, "draft" in drawn.out) == (0, True)
    assert "ORC422" in project("check", "report.yaml").out
    assert project("check", "report.yaml", "--no-keys").code == 0
