"""Limits that are computed: once, when the step begins, and kept by whoever goes on with the step."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from orchestrator.runtime.run import timeouts
from tests.runtime.support import Bench, crash, pipeline

if TYPE_CHECKING:
    import orchestrator as orc

LOOP = {
    "id": "poll",
    "while": "iteration < 20",
    "max_iterations": "{{ rounds }}",
    "on_limit": "continue",
    "steps": [{"id": "look", "tool": "gate"}],
}
CALL = {"id": "poll", "tool": "gate", "retry": {"max_attempts": "{{ rounds }}", "delay": 0}}


def told(run: orc.Run) -> list[Any]:
    """The limits with which the step has begun, each time."""
    found = [event for event in run.events(follow=False) if event.type == "step.started" and event.path == "poll"]
    return [dict(event.data["limits"]) for event in found]


@pytest.mark.parametrize("how", ["crash", "cancel"])
@pytest.mark.parametrize("step", [LOOP, CALL], ids=["loop", "call"])
def test_a_step_that_had_begun_keeps_its_limits(
    client: orc.Orchestrator, bench: Bench, step: dict[str, Any], how: str
) -> None:
    path, numbers = "poll[0].look" if step is LOOP else "poll", itertools.count(2)
    with mock.patch.object(timeouts, "limit_value", side_effect=numbers):
        run = client.compile(pipeline(step, inputs={"rounds": 7})).start()
        bench.wait_for(path)
        if how == "crash":
            crash(client, run, lost=lambda: bench.open(path))
        else:
            run.cancel()
            bench.open(path)
            run.wait(timeout=20)
        bench.open("poll[1].look")
        client.resume(run.id).result(timeout=20)
    assert len(told(run)) == 2
    assert told(run)[0] == told(run)[1]
    assert set(told(run)[0].values()) == {2}


def test_a_step_that_failed_computes_its_limits_again(client: orc.Orchestrator, bench: Bench) -> None:
    bench.failures["poll"] = 3
    numbers = itertools.count(2)
    call = {"id": "poll", "tool": "flaky", "retry": {"max_attempts": "{{ rounds }}", "delay": 0}}
    with mock.patch.object(timeouts, "limit_value", side_effect=numbers):
        run = client.compile(pipeline(call, inputs={"rounds": 7})).start()
        assert run.wait(timeout=20).state == "failed"
        client.resume(run.id).result(timeout=20)
    assert [limit["retry.max_attempts"] for limit in told(run)] == [2, 2, 3, 3]
