"""Runs the conformance cases: each is a pipeline in a file with its expected outcome beside it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.diagnostics import CODES, render_text
from tests.conformance import tools

HERE = Path(__file__).parent
UPDATE = bool(os.environ.get("UPDATE_CONFORMANCE"))
DIAGNOSTICS = sorted((HERE / "diagnostics").glob("*/*.yaml"))
RUNS = sorted((HERE / "runs").glob("*/*.yaml"))


def expect(path: Path, actual: str) -> None:
    if UPDATE:
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/runs.db", tools=[tools], directory=tmp_path) as client:
        yield client


@pytest.mark.parametrize("path", DIAGNOSTICS, ids=name_of)
def test_a_wrong_pipeline_is_explained(path: Path, client: orc.Orchestrator, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / path.name)
    report = client.check(Path(path.name))
    assert path.parent.name in {diagnostic.code for diagnostic in report.diagnostics}
    expect(path.with_suffix(".txt"), render_text(report.diagnostics))


@pytest.mark.parametrize("path", RUNS, ids=name_of)
def test_a_pipeline_runs_as_promised(path: Path, client: orc.Orchestrator) -> None:
    inputs_file = path.with_suffix(".inputs.json")
    inputs = json.loads(inputs_file.read_text(encoding="utf-8")) if inputs_file.exists() else {}
    pipeline = client.compile(path.read_text(encoding="utf-8"))
    try:
        result = pipeline.run(inputs)
    except (orc.RunFailed, orc.RunCancelled) as stop:
        result = stop.result
    actual: dict[str, Any] = {
        "state": result.state,
        "outputs": dict(result.outputs),
        "steps": {path: step.state for path, step in result.steps.items()},
    }
    attempts = {path: step.attempts for path, step in result.steps.items() if step.attempts > 1}
    if attempts:
        actual["attempts"] = attempts
    if result.error:
        actual["error"] = {key: result.error[key] for key in ("code", "message", "step")}
    expect(path.with_suffix(".expected.json"), json.dumps(actual, indent=2, ensure_ascii=False) + "\n")


def test_every_code_that_check_can_report_has_a_case() -> None:
    static = {code for code in CODES if code < "ORC600"}
    assert static == {path.parent.name for path in DIAGNOSTICS}
