"""Every example is checked and run, and does what its first lines say."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import orchestrator as orc
from orchestrator.language.reference.schema import json_schema
from orchestrator.remedies import Resume
from orchestrator.testing import FakeModel, Setting, load, replay, run_case
from orchestrator.testing.files import SUFFIX

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "examples").glob(f"*{SUFFIX}"))
EXAMPLES = sorted(set((ROOT / "examples").glob("*.yaml")) - set(TESTS))
CASES = [(path.name, case.name) for path in TESTS for case in load(path, Setting(ROOT)).cases]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An orchestrator in a copy of the examples, with their own tools, and nobody who answers for models."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("output"))
    monkeypatch.chdir(tmp_path)
    nobody = FakeModel(otherwise="fail")
    with orc.Orchestrator(tools=["examples/tools.py"], directory=tmp_path, models=nobody) as client:
        yield client


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_no_problem_and_fits_the_schema(path: Path, client: orc.Orchestrator) -> None:
    assert client.check(Path("examples", path.name)).diagnostics == ()
    jsonschema.validate(yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader), json_schema())


@pytest.mark.parametrize(("file", "name"), CASES, ids=lambda each: each.removesuffix(SUFFIX))
def test_a_pipeline_that_asks_models_does_what_its_cases_say(
    file: str, name: str, client: orc.Orchestrator, tmp_path: Path
) -> None:
    found = load(Path("examples", file), Setting(tmp_path))
    assert found.diagnostics == ()
    (case,) = (case for case in found.cases if case.name == name)
    outcome = run_case(found, case, Setting(tmp_path))
    assert (outcome.end, outcome.reasons) == ("passed", ())


def test_every_pipeline_that_asks_models_has_cases_and_recordings() -> None:
    asking = {path.stem for path in EXAMPLES if re.search(r"^ *(model|action: classify):", path.read_text(), re.M)}
    tested = {path.name.removesuffix(SUFFIX) for path in TESTS}
    recorded = {path.name for path in (ROOT / "examples/recordings").iterdir() if any(path.glob("*.json"))}
    assert asking == tested == recorded


def test_a_run_whose_budget_is_used_up_continues_with_a_larger_one_and_reads_nothing_twice(
    client: orc.Orchestrator, tmp_path: Path
) -> None:
    played = replay("examples/recordings/documents")
    with orc.Orchestrator(directory=tmp_path, models=played) as client:
        pipeline = client.compile("examples/documents.yaml")
        with pytest.raises(orc.RunFailed) as failure:
            pipeline.with_options(budget=orc.Budget(usd=0.006)).run()
        before = failure.value.result
        assert before.error is not None
        assert before.error["code"] == "ORC727"
        assert failure.value.remedies == (Resume(before.run_id, budget="0.012usd"),)
        assert before.cost is None or before.cost <= 0.006, "the cost of a cancelled call is not known"
    with orc.Orchestrator(directory=tmp_path, models=played, budget=orc.Budget(usd=0.012)) as client:
        after = client.resume(before.run_id).result()
        assert [row["currency"] for row in after.outputs["totals"]] == ["EUR", "GBP", "NOK"]
        read = [event.path for event in after.log if event.type == "step.model" and not event.data["error"]]
    # The sums of one invoice are wrong at first, so it is read again; if the budget ends in between, both times anew.
    again = [path for path in set(read) if read.count(path) > 1]
    assert again == ["documents[5].read"]
    assert read.count(*again) in (2, 3)


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


def test_orders_are_booked_or_rejected(client: orc.Orchestrator, tmp_path: Path) -> None:
    pipeline = client.compile("examples/orders.yaml")
    booked = pipeline.run()
    assert booked.outputs == {"result": "booked 3 orders", "file": "examples/output/booked.txt"}
    assert "3 x POT-CLAY at 21.0" in (tmp_path / "examples/output/booked.txt").read_text(encoding="utf-8")
    assert booked.steps["rejected"].state == "skipped"
    rejected = pipeline.run(orders=[{"id": "A-1"}])
    assert rejected.outputs["file"] == "examples/output/rejected.txt"
    assert "customer" in (tmp_path / "examples/output/rejected.txt").read_text(encoding="utf-8")
    assert {rejected.steps[step].state for step in ("stored", "discounts", "booked")} == {"skipped"}


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


def test_invalid_invoices_are_rejected_unless_there_are_too_many(client: orc.Orchestrator, tmp_path: Path) -> None:
    pipeline = client.compile("examples/invoices.yaml")
    result = pipeline.run()
    assert result.outputs == {
        "total": 422.89,
        "good": 3,
        "bad": "2 of 5",
        "rejected": "examples/output/invoices-rejected.txt",
    }
    assert (tmp_path / "examples/output/invoices-rejected.txt").read_text(encoding="utf-8").split("\n")[:2] == [
        "17: not a valid invoice",
        "R-004: not a valid invoice",
    ]
    (tmp_path / "bad.csv").write_text("number,net,rate\nR-001,1,7\n1,1,1\n2,2,2\n")
    with pytest.raises(orc.RunFailed) as failure:
        pipeline.run(file="bad.csv")
    assert failure.value.result.error["code"] == "ORC712"


def test_a_text_is_shortened_until_it_fits_or_no_more_rounds_are_allowed(client: orc.Orchestrator) -> None:
    pipeline = client.compile("examples/refine.yaml")
    result = pipeline.run()
    assert result.outputs["sizes"] == [124, 64, 54, 30]
    assert result.outputs["text"].startswith("Four score and seven years ago")
    assert (pipeline.run(words=1000).outputs["rounds"], pipeline.run(words=1).outputs["rounds"]) == (1, 12)


def test_nothing_is_published_before_it_is_approved(client: orc.Orchestrator, tmp_path: Path) -> None:
    pipeline = client.compile("examples/publish.yaml")
    run = pipeline.start()
    assert run.wait(timeout=20).state == "waiting"
    page = tmp_path / "examples/output/published.txt"
    assert not page.exists()
    run.answer("review", {"approved": True, "content": "Eight planets."})
    assert run.result().outputs == {"published": True, "result": "examples/output/published.txt"}
    assert page.read_text(encoding="utf-8") == "Eight planets.\n"
    rejected = pipeline.start()
    rejected.wait(timeout=20)
    rejected.answer("review", {"approved": False, "comment": "too short"})
    assert rejected.result().outputs == {"published": False, "result": "not published: too short"}


def test_two_quotes_are_enough_and_the_price_of_last_year_is_the_last_resort(client: orc.Orchestrator) -> None:
    pipeline = client.compile("examples/quotes.yaml")
    result = pipeline.run(slowest="1h")
    assert result.outputs == {"best": 11.75, "asked": {"north": 12.5, "south": None, "east": None, "west": 11.75}}
    assert result.steps["quotes.south"].state == "cancelled"
    assert result.steps["quotes.east"].state == "failed"


def test_a_book_has_a_chapter_for_each_text(client: orc.Orchestrator, tmp_path: Path) -> None:
    assert client.compile("examples/book.yaml").run().outputs == {"file": "examples/output/book.md", "words": 14}
    assert (tmp_path / "examples/output/book.md").read_text(encoding="utf-8").count("## ") == 2


def test_each_parcel_of_a_batch_gets_its_label_or_its_error(client: orc.Orchestrator, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (tmp_path / "examples/data/parcels.jsonl").read_text().splitlines()]
    results = sorted(client.compile("examples/label.yaml").map(rows), key=lambda result: result.row)
    assert [(result.state, result.outputs.get("label")) for result in results] == [
        ("succeeded", "ADA, AT (small parcel)"),
        ("invalid", None),
        ("succeeded", "CY, DE (parcel, 12.5 kg)"),
    ]
