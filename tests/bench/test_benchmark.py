"""The benchmark measures every kind of work, in turns, and names the targets that it misses. How fast is no test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import alone
import machine
import pytest
from contenders import CONTENDERS, Server, is_installed, left_out
from jobs import JOBS
from rows import LEAST, Row, Turns, groups
from run import PAGE, RESULTS
from targets import TARGETS, Figure, Target

import page

ROOT = Path(__file__).parents[2]


def test_the_benchmark_measures_every_kind_of_work(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--contenders", "floor", "orchestrator"]
    done = subprocess.run(
        [*command, "--directory", str(tmp_path), "--output", str(output)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(output.read_text(encoding="utf-8"))["groups"]
    assert set(measured) == {*JOBS, *alone.MEASURED, "compile", "start"}
    for name in JOBS:
        assert set(measured[name]) == {"floor", "orchestrator"}
    titles = [found.get("title", row) for rows in measured.values() for row, found in rows.items()]
    assert [title for title in titles if title not in done.stdout] == []
    assert done.stdout.endswith("small sizes have no targets\n")


class Recorded(Turns):
    """Turns that only record who was measured."""

    def _measure(self, row: Row, group: Path) -> dict[str, Any]:
        order.append(row.name)
        return {"wall": row.count, "cpu": 1.0, "peak": 2.0, "before": 1.0, "load": 0.0, "worst": len(order)}


order: list[str] = []


def test_rows_of_a_group_take_turns_and_long_ones_are_measured_less(tmp_path: Path) -> None:
    order.clear()
    rows = [Row("short", {}, "step", 1), Row("medium", {}, "step", 4), Row("long", {}, "step", 40)]
    found = Recorded(5, machine.Quiet(0), tmp_path, Server()).take(rows)
    assert order[:3] == ["short", "medium", "long"]
    assert order[3:] == ["short", "medium"] * 2 + ["short"] * 2
    assert {name: row["samples"] for name, row in found.items()} == {"short": 5, "medium": LEAST, "long": 1}
    assert found["medium"]["wall"] == 4
    assert found["medium"]["worst"] == 7  # of all its measurements


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.title)
def test_every_target_has_its_rows(target: Target) -> None:
    measured = groups(list(CONTENDERS))
    for figure in (target.figure, target.over):
        if figure is not None:
            assert figure.row in {row.name for row in measured[figure.group](False)}


def results(wall: float) -> dict[str, Any]:
    row = {"unit": "step", "count": 1000, "samples": 5, "load": [0.1], "without_bytecode": 0, "title": "a chain"}
    row |= {"critical_path": 0, "cpu": 0.1, "peak": 30.0, "before": 20.0}
    chain = {"floor": row | {"wall": 1.0}, "orchestrator": row | {"wall": wall}}
    return {
        "machine": machine.description(None),
        "sizes": "whole",
        "left_out": {"dbos": "not here"},
        "groups": {"chain": chain},
    }


def test_a_missed_target_is_named_with_its_figure_and_its_limit() -> None:
    assert page.verdict(results(2.0)) == "1 of 1 targets reached"
    missed = "missed: a chain of 1,000 steps: 3 × the floor, at most 2.5 × the floor"
    assert page.verdict(results(3.0)).splitlines() == ["0 of 1 targets reached", missed]
    assert "| **missed** |" in page.figures(results(3.0))


def test_a_target_can_be_a_least_value_in_another_unit() -> None:
    rows = {"g": {"r": {"wall": 0.5, "count": 10, "peak": 30, "before": 10}}}
    each = Target("t", Figure("g", "r", "each"), 60, "ms", scale=1000, at_least=True)
    assert each.measured(rows) == 50
    assert not each.is_reached(50)
    assert Target("t", Figure("g", "r", "grown"), 20, "MB").measured(rows) == 20
    assert Target("t", Figure("g", "another", "wall"), 1, "s").measured(rows) is None


def test_a_contender_that_is_not_installed_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_installed("json.decoder")
    assert not is_installed("no_such_package")
    assert not is_installed("no_such_package.of.modules")
    monkeypatch.setattr("contenders.is_installed", lambda module: module != "dbos")
    server = Server()
    server.missing = "no PostgreSQL is installed"
    assert left_out(["floor", "dbos", "floor-postgres"], server=server) == {
        "dbos": "`dbos` is not installed; `make bench` installs it",
        "floor-postgres": "no PostgreSQL is installed",
    }
    assert "- `dbos` was left out: not here" in page.figures(results(1.0))


def test_modules_that_python_compiles_from_their_source_are_reported() -> None:
    found = results(1.0)
    assert "every loaded module had bytecode" in page.figures(found)
    found["groups"]["chain"]["floor"]["without_bytecode"] = 3
    assert "up to 3 of the loaded modules had no bytecode" in page.figures(found)


def test_the_page_has_the_figures_of_the_last_whole_run() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page.with_figures(text, json.loads(RESULTS.read_text(encoding="utf-8")))
