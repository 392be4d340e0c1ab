"""Runs the conformance cases: each is a pipeline in a file with its expected outcome beside it."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.cli.terminal.hints import Hints
from orchestrator.diagnostics import CODES, render_text
from orchestrator.journal import Store
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.clients import endpoints
from orchestrator.models.selection import default_model
from orchestrator.testing import FakeModel, ModelReply, ToolRequest
from tests.conformance import tools
from tests.conformance.acts import Session, acts_of
from tests.history import frozen

HERE = Path(__file__).parent
UPDATE = bool(os.environ.get("UPDATE_CONFORMANCE"))
DIAGNOSTICS = sorted((HERE / "diagnostics").glob("*/*.yaml"))
RUNS = sorted(path for path in (HERE / "runs").glob("*/*.yaml") if not path.name.endswith(".then.yaml"))
RUN_ID = re.compile(r"\b1[0-9a-hjkmnp-tv-z]{19}\b")


def expect(path: Path, actual: str) -> None:
    if UPDATE:
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def without_models(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Make this a machine without keys of providers, and without the packages for models in a folder."""
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(directory / "home"))
    for provider in PROVIDERS.values():
        for variable in (*provider.key_variables, *provider.own_keys):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setitem(endpoints._MODULES, "transformers", ("a_package_that_nobody_has",))


@pytest.fixture
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An orchestrator in a directory of its own, where the files of the case lie."""
    path = request.getfixturevalue("path")
    monkeypatch.chdir(tmp_path)
    without_models(monkeypatch, tmp_path)
    monkeypatch.setattr(default_model, "ollama_is_running", lambda *_: path.parent.name != "ORC422")
    tools.GATES.close()
    files = path.with_suffix(".files")
    if files.exists():
        shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    models = scripted(path.with_suffix(".models.json"))
    store = f"sqlite:///{tmp_path}/runs.db"
    with orc.Orchestrator(store=store, tools=[tools], directory=tmp_path, models=models) as client:
        yield client
    if target := os.environ.get(frozen.RECORD_TO):
        with Store.open(store) as written:
            frozen.write(Path(target), name_of(request.getfixturevalue("path")), written, tmp_path)


def scripted(path: Path) -> FakeModel | None:
    """The model that says what is written there for each step, one after another; an object names tools to call."""
    if not path.exists():
        return None

    def said(answer: Any) -> Any:
        calls = answer.get("calls") if isinstance(answer, dict) else None
        if calls is None:
            return answer
        requests = (ToolRequest(str(number), name, given) for number, (name, given) in enumerate(calls))
        return ModelReply("", requests=tuple(requests), finish="tools")

    answers = json.loads(path.read_text(encoding="utf-8"))
    return FakeModel({step: [said(answer) for answer in each] for step, each in answers.items()}, otherwise="fail")


@pytest.mark.parametrize("path", DIAGNOSTICS, ids=name_of)
def test_a_wrong_pipeline_is_explained(path: Path, client: orc.Orchestrator, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / path.name)
    report = client.check(Path(path.name))
    assert path.parent.name in {diagnostic.code for diagnostic in report.diagnostics}
    assert all(diagnostic.advice for diagnostic in report.diagnostics), "every diagnostic says how to go on"
    text = render_text(report.diagnostics, render=Hints().line)
    expect(path.with_suffix(".txt"), text.replace(str(tmp_path), "/project") + "\n")


def without_paths(text: str, directory: Path) -> str:
    return text.replace(str(directory), "DIRECTORY").replace(str(directory.parent), "PARENT")


def outcome_of(result: orc.Result) -> dict[str, Any]:
    """How a run ended, without what differs from run to run."""
    steps = result.steps
    outcome: dict[str, Any] = {
        "state": result.state,
        "outputs": dict(result.outputs),
        "steps": {path: step.state for path, step in steps.items()},
    }
    further = {
        "reasons": {path: step.reason for path, step in steps.items() if step.reason},
        "attempts": {path: step.attempts for path, step in steps.items() if step.attempts > 1},
        "failures": {path: step.error["message"] for path, step in steps.items() if step.error},
        "warnings": {path: list(step.warnings) for path, step in steps.items() if step.warnings},
        "cached": [path for path, step in steps.items() if step.cached],
        "questions": {p: step.question["prompt"] for p, step in steps.items() if step.question and asks(step)},
        "error": {key: result.error[key] for key in ("code", "message", "help", "step")} if result.error else None,
    }
    return outcome | {key: value for key, value in further.items() if value}


def asks(step: orc.StepResult) -> bool:
    return step.state == "waiting"


def story_of(session: Session, inputs: dict[str, Any], acts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What came of each act: how the run then rested and which steps began to work, or why the act was refused."""
    for act, refused, result in session.carry_out(inputs, acts):
        yield {
            "after": act,
            **({"refused": refused} if refused else {}),
            **outcome_of(result),
            "started": session.started(),
        }


@pytest.mark.parametrize("path", RUNS, ids=name_of)
def test_a_pipeline_runs_as_promised(path: Path, client: orc.Orchestrator, tmp_path: Path) -> None:
    inputs_file = path.with_suffix(".inputs.json")
    inputs = json.loads(inputs_file.read_text(encoding="utf-8")) if inputs_file.exists() else {}
    pipeline = client.compile(Path(shutil.copy(path, tmp_path)))
    acts = acts_of(path)
    if acts is not None:
        story = json.dumps(list(story_of(Session(client, pipeline, tmp_path), inputs, acts)), indent=2)
        expect(path.with_suffix(".expected.json"), without_paths(RUN_ID.sub("RUN", story) + "\n", tmp_path))
        return
    try:
        result = pipeline.run(inputs)
    except (orc.RunFailed, orc.RunCancelled) as stop:
        result = stop.result
    except orc.InputError as error:
        expect(path.with_suffix(".error.txt"), without_paths(f"{error}\n", tmp_path))
        return
    text = RUN_ID.sub("RUN", json.dumps(outcome_of(result), indent=2, ensure_ascii=False)) + "\n"
    expect(path.with_suffix(".expected.json"), without_paths(text, tmp_path))


@pytest.mark.parametrize("path", RUNS, ids=name_of)
def test_a_case_of_a_run_says_what_it_shows_and_has_one_outcome(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert path.with_suffix(".expected.json").exists() != path.with_suffix(".error.txt").exists()


def test_every_code_that_check_can_report_has_a_case() -> None:
    of_test = {
        "ORC431",
        "ORC514",
    }  # what `orchestrator test` says of its own files, and `check --canonical`, is shown by a session
    static = {code for code in CODES if code < "ORC600"} - of_test
    assert static == {path.parent.name for path in DIAGNOSTICS}
