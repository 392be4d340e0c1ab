"""Every example is checked and run, and does what its first lines say."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import orchestrator as orc
from orchestrator.language.schema import json_schema

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An orchestrator in a copy of the examples, with their own tools."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("output"))
    monkeypatch.chdir(tmp_path)
    with orc.Orchestrator(tools=["examples/tools.py"], directory=tmp_path) as client:
        yield client


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_no_problem_and_fits_the_schema(path: Path, client: orc.Orchestrator) -> None:
    assert client.check(path).diagnostics == ()
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json_schema())


def test_quickstart_writes_its_report(client: orc.Orchestrator, tmp_path: Path) -> None:
    pipeline = client.compile("examples/quickstart.yaml")
    result = pipeline.run()
    assert result.outputs == {
        "report": "examples/output/report.md",
        "page": "examples/output/report.html",
        "planets": 8,
        "moons": 293,
        "heaviest": "Jupiter",
        "off_keplers_law": "Saturn, Neptune",
    }
    report = (tmp_path / "examples/output/report.md").read_text(encoding="utf-8")
    assert "This is the first report." in report
    assert "| Earth | 149.6 | 8.3 min | 365.2 days | 1 |" in report
    assert "Saturn would float on water" in report
    assert "Pluto is 2376 km across" in report
    assert {step.state for step in result.steps.values()} == {"succeeded"}
    second = pipeline.run(include_dwarfs=False, tolerance=0.01)
    report = (tmp_path / "examples/output/report.md").read_text(encoding="utf-8")
    assert "This replaces an earlier report." in report
    assert "Pluto" not in report
    assert second.steps["dwarfs"].state == "skipped"
    assert second.outputs["off_keplers_law"] == "Mercury, Venus, Mars, Jupiter, Saturn, Uranus, Neptune"


def test_orders_are_booked_or_set_aside(client: orc.Orchestrator, tmp_path: Path) -> None:
    pipeline = client.compile("examples/orders.yaml")
    booked = pipeline.run()
    assert booked.outputs == {"result": "booked 3 orders", "file": "examples/output/booked.txt"}
    assert "3 x POT-CLAY at 21.0" in (tmp_path / "examples/output/booked.txt").read_text(encoding="utf-8")
    assert booked.steps["set_aside"].state == "skipped"
    aside = pipeline.run(orders=[{"id": "A-1"}])
    assert aside.outputs["file"] == "examples/output/set-aside.txt"
    assert "customer" in (tmp_path / "examples/output/set-aside.txt").read_text(encoding="utf-8")
    assert {aside.steps[step].state for step in ("stored", "discounts", "booked")} == {"skipped"}


def test_census_retries_reports_progress_and_is_resumed_after_failing(client: orc.Orchestrator) -> None:
    pipeline = client.compile("examples/census.yaml")
    result = pipeline.run()
    assert result.outputs["attempts"] == 2
    assert result.outputs["about"] == "nation, dedicated, dead"
    assert any(event.type == "step.progress" and event.data["message"] for event in result.log)
    with pytest.raises(orc.RunFailed) as failure:
        pipeline.run(fails=3)
    assert (failure.value.step, failure.value.attempt) == ("fetched", 3)
    resumed = client.resume(failure.value.result.run_id)
    with pytest.raises(orc.RunFailed):
        resumed.result()


def test_the_demo_ends_with_outputs_worth_seeing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("output"))
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "run", "examples/quickstart.yaml", "--json"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"]["moons"] == 293
