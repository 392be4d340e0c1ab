"""What was done is undone: by the next owner of a run that has none, and of a run that was paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orchestrator as orc

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
steps:
  - {id: car, tool: call, parameters: {value: 1}, undo: {tool: call, parameters: {value: "{{ car + 1 }}"}}}
  - {id: sure, ask: Sure?, dependencies: [car]}
"""


def client_of(directory: Path, calls: list[Any]) -> orc.Orchestrator:
    @orc.tool
    def call(context: orc.ToolContext, value: int) -> int:
        calls.append((context.step, value))
        return value

    return orc.Orchestrator(store=f"sqlite:///{directory}/runs.db", tools=[call], directory=directory)


def test_a_run_without_owner_that_is_cancelled_is_undone_by_its_next_owner(tmp_path: Path) -> None:
    calls: list[Any] = []
    with client_of(tmp_path, calls) as client:
        run = client.compile(TEXT).start()
        assert run.wait().state == "waiting"
    with client_of(tmp_path, calls) as client:
        other = client.get_run(run.id)
        other.cancel(reason="too late", by="me")
        assert (other.status().state, other.status().compensating) == ("waiting", True)
        assert calls == [("car", 1)]
        status = client.resume(run.id).wait()
        assert (status.state, status.reason, status.compensating) == ("cancelled", "too late", False)
        assert status.counts["succeeded"] == 0
        assert calls[1:] == [("car.undo.revert", 2)]
        assert client.resume(run.id).wait().state == "waiting"
        assert calls[2:] == [("car", 1)]


def test_a_paused_run_that_is_cancelled_is_undone(tmp_path: Path) -> None:
    calls: list[Any] = []
    with client_of(tmp_path, calls) as client:
        run = client.compile(TEXT).start()
        assert run.wait().state == "waiting"
        run.pause()
        assert run.wait().state == "paused"
        run.cancel()
        assert run.wait().state == "cancelled"
        assert calls == [("car", 1), ("car.undo.revert", 2)]
        assert client.get_run(run.id).snapshot().steps["car"].reason == "undone"


def test_each_step_is_forgotten_once_however_many_depend_on_one_another(tmp_path: Path) -> None:
    act = {"tool": "call", "parameters": {"value": 1}}
    steps: list[Any] = [{"id": f"s{number}", **act, "undo": act} for number in range(20)]
    with client_of(tmp_path, []) as client:
        run = client.compile({"in_order": True, "steps": [*steps, {"id": "no", "fail": "no"}]}).start()
        assert run.wait().state == "failed"
        undone = [event for event in run.events(follow=False) if event.type == "step.undone"]
    assert [event.path for event in undone] == [f"s{number}" for number in reversed(range(20))]
    forgotten = [path for event in undone for path in event.data["forget"]]
    assert sorted(forgotten) == sorted([*(f"s{number}" for number in range(20)), "no"])
