"""A store that fails in the middle of a run: a clear error, nothing recorded lost, and the run goes on later."""

import sqlite3
from pathlib import Path

import pytest

import orchestrator as orc
from tests.runtime.support import PATIENCE, Bench, pipeline, step


def test_a_locked_store_ends_the_work_and_the_run_goes_on_when_it_is_free(bench: Bench, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/runs.db?timeout=0.01"
    with orc.Orchestrator(directory=tmp_path, store=url, tools=bench.tools()) as client:
        run = client.compile(pipeline(step("a"), step("b", "gate", "a"), step("c", "echo", "b"))).start()
        bench.wait_for("b")
        other = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        bench.open("b")
        with pytest.raises(orc.StoreUnavailable) as caught:
            run.result()
        assert caught.value.code == "ORC812"
        assert "c" not in bench.calls
        other.execute("ROLLBACK")
        other.close()
        # What had succeeded is written as soon as it can be, and the run is free again.
        next(event for event in run.events() if (event.type, event.path) == ("step.succeeded", "b"))
        assert run.wait(timeout=PATIENCE).state == "interrupted"
        assert client.resume(run.id).result().state == "succeeded"
    assert bench.calls == ["a", "b", "c"]
