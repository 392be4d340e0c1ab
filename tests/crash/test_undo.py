"""A run is killed while it undoes what it did, and goes on in another process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.journal import Store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.conftest import Forge

GATE = "undo: {tool: gate, parameters: {value: '{{ output }}'}}"
ADD = "undo: {tool: add, parameters: {numbers: ['{{ output }}']}}"
STEPS = f"""
  - {{id: a, tool: add, parameters: {{numbers: [1]}}, {ADD}}}
  - {{id: l, for_each: [1, 2], max_parallel: 1, tool: add, parameters: {{numbers: ['{{{{ a + item }}}}']}}, {GATE}}}
  - {{id: b, tool: add, parameters: {{numbers: ['{{{{ l.count }}}}']}}, {ADD}}}
  - {{id: c, tool: broken, dependencies: [b]}}
"""
CASES = {
    "the run": (f"steps:{STEPS}", ""),
    "a group": (
        "steps:\n- id: g\n  compensate: true\n  on_failure: continue\n  steps:" + STEPS.replace("\n", "\n  "),
        "g.",
    ),
}


def calls(directory: Path) -> list[str]:
    path = directory / "calls"
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("name", CASES)
def test_an_undo_that_was_in_flight_is_made_again_and_no_other(forge: Forge, tmp_path: Path, name: str) -> None:
    text, around = CASES[name]
    (tmp_path / "pipeline.yaml").write_text(text)
    held = [f"{around}l[{index}].undo.revert" for index in (1, 0)]
    for path in held:
        os.mkfifo(tmp_path / path)
    run_id = ""
    for path in held:  # it is killed in the middle of each
        worker = forge.start(tmp_path, **({"resume": run_id} if run_id else {}))
        told = worker.read()
        assert told is not None
        run_id = told["run"]
        if path == held[1]:
            (tmp_path / held[0]).write_bytes(b"go")
        while path not in calls(tmp_path):
            os.sched_yield()
        with Store.open(f"sqlite:///{tmp_path}/.orchestrator/runs.db") as store:
            assert store.status(run_id).compensating
        worker.kill()
    worker = forge.start(tmp_path, resume=run_id)
    worker.read()
    (tmp_path / held[1]).write_bytes(b"go")
    assert worker.read() == ({"outputs": {}} if around else {"error": "ORC805"})
    worker.join()
    made = [path.removeprefix(around) for path in calls(tmp_path)]
    last, first = (path.removeprefix(around) for path in held)
    assert made == ["a", "l[0]", "l[1]", "b", "c", "b.undo.revert", last, last, first, first, "a.undo.revert"]
    with Store.open(f"sqlite:///{tmp_path}/.orchestrator/runs.db") as store:
        assert not store.status(run_id).compensating
        assert store.status(run_id).state == ("succeeded" if around else "failed")


def test_what_was_undone_begins_anew_with_another_idempotency_key(tmp_path: Path) -> None:
    keys: dict[str, list[str]] = {}
    broken = True

    @orc.tool
    def call(context: orc.ToolContext, value: int = 0) -> int:
        keys.setdefault(context.step, []).append(context.idempotency_key)
        if context.step == "end" and broken:
            raise orc.StepError("no")
        return value

    text = """
steps:
  - {id: a, tool: call, parameters: {value: 1}, undo: {tool: call, parameters: {value: "{{ a }}"}}}
  - {id: b, tool: call, parameters: {value: "{{ a }}"}}
  - {id: other, tool: call}
  - {id: end, tool: call, dependencies: [b, other]}
"""
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/runs.db", tools=[call], directory=tmp_path) as client:
        run = client.compile(text).start()
        for _ in range(2):
            assert run.wait().state == "failed"
            run = client.resume(run.id)
        run.wait()
        broken = False
        assert client.resume(run.id).wait().state == "succeeded"
    assert len(keys["other"]) == 1
    for path in ("a", "b", "a.undo.revert"):
        assert len(keys[path]) == len(set(keys[path])) == 4 - ("undo" in path), path
