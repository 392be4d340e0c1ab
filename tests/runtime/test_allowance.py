"""An attempt that waits to be allowed a call gives up its place, says so, and can be paused and stopped meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.models.calls.gateway import ModelGateway
from tests.models.asked import Client
from tests.runtime.support import PATIENCE, Bench, pipeline, states, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REASON = "60 requests a minute at `lab`"


class Allowance:
    """Lets attempts wait as long as the test says."""

    def __init__(self) -> None:
        self.waits: dict[str, threading.Event] = defaultdict(threading.Event)
        self.allowed: dict[str, threading.Event] = defaultdict(threading.Event)
        self.went_on: list[str] = []

    def tool(self) -> Any:
        @orc.tool
        async def limited(context: orc.ToolContext, refused: bool = False) -> str:
            gateway: Any = context.service(ModelGateway)  # type: ignore[type-abstract]
            try:
                async with gateway.host.waiting(REASON, time.time() + 30):
                    self.waits[context.step].set()
                    await asyncio.to_thread(self.allowed[context.step].wait, PATIENCE)
                    if refused:
                        raise orc.ModelRateLimited("it would take too long", retryable=False)
            except orc.ModelRateLimited:
                pass
            self.went_on.append(context.step)
            return context.step

        return limited


@pytest.fixture
def allowance() -> Iterator[Allowance]:
    allowance = Allowance()
    yield allowance
    for event in allowance.allowed.values():
        event.set()


@pytest.fixture
def client(tmp_path: Path, bench: Bench, allowance: Allowance) -> Iterator[orc.Orchestrator]:
    tools = [*bench.tools(), allowance.tool()]
    with orc.Orchestrator(directory=tmp_path, tools=tools, models=Client({}), max_parallel=1) as client:
        yield client


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_others_have_its_place_meanwhile_and_it_waits_for_one_again(
    client: orc.Orchestrator, bench: Bench, allowance: Allowance
):
    run = client.compile(pipeline(step("a", "limited"), step("b", "gate"), step("c"))).start()
    bench.wait_for("b")
    (waiting,) = [one for one in run.status().active if one.path == "a"]
    assert (waiting.state, waiting.waiting_on) == ("waiting", REASON)
    assert waiting.waiting_until is not None
    assert run.status().state == "running"
    allowance.allowed["a"].set()
    assert not allowance.went_on
    bench.open("b")
    result = run.result(timeout=PATIENCE)
    assert set(states(result).values()) == {"succeeded"}
    assert bench.calls == ["b", "c"]
    assert allowance.went_on == ["a"]
    types = [event.type for event in result.log if event.path == "a"]
    assert types == ["step.started", "step.waiting", "step.running", "step.succeeded"]
    seqs = {(event.path, event.type): event.seq for event in result.log}
    assert seqs["b", "step.started"] < seqs["a", "step.running"] < seqs["c", "step.started"]


def test_it_goes_on_in_the_same_way_where_waiting_was_refused(client: orc.Orchestrator, allowance: Allowance):
    allowance.allowed["a"].set()
    result = client.compile(pipeline(step("a", "limited", refused=True), step("b", "echo", "a"))).run()
    assert set(states(result).values()) == {"succeeded"}


def test_a_pause_holds_it_and_a_resumption_lets_it_go_on(client: orc.Orchestrator, allowance: Allowance):
    run = client.compile(pipeline(step("a", "limited"))).start()
    assert allowance.waits["a"].wait(PATIENCE)
    run.pause()
    assert run.wait(timeout=PATIENCE).state == "paused"
    allowance.allowed["a"].set()
    assert run.wait(timeout=PATIENCE).state == "paused"
    assert not allowance.went_on
    run.resume()
    assert run.result(timeout=PATIENCE).steps["a"].attempts == 1


def test_a_pause_at_once_puts_it_back(client: orc.Orchestrator, allowance: Allowance):
    run = client.compile(pipeline(step("a", "limited"))).start()
    assert allowance.waits["a"].wait(PATIENCE)
    run.pause(now=True)
    until(lambda: run.status().counts["pending"] == 1)
    allowance.allowed["a"].set()
    run.resume()
    assert run.result(timeout=PATIENCE).steps["a"].attempts == 1


@pytest.mark.parametrize("how", ["cancel", "timeout", "held"])
def test_it_is_stopped_while_it_waits(client: orc.Orchestrator, bench: Bench, allowance: Allowance, how: str):
    more: dict[str, Any] = {"timeout": 0.2, "on_failure": "continue"} if how == "timeout" else {}
    run = client.compile(pipeline(step("a", "limited", **more), step("b", "gate"))).start()
    bench.wait_for("b")
    if how == "held":  # it may go on, but there is no place for it
        allowance.allowed["a"].set()
    if how != "timeout":
        run.cancel(reason="enough")
    else:
        until(lambda: run.status().counts["failed"] == 1)
    bench.open("b")
    status = run.wait(timeout=PATIENCE)
    assert status.state == ("succeeded" if how == "timeout" else "cancelled")
    assert run.snapshot().steps["a"].state == ("failed" if how == "timeout" else "cancelled")
    assert not allowance.went_on


def test_a_run_that_was_lost_while_a_step_waited_does_the_step_again(
    client: orc.Orchestrator, tmp_path: Path, allowance: Allowance
):
    run = client.compile(pipeline(step("a", "limited"))).start()
    assert allowance.waits["a"].wait(PATIENCE)
    client.close()
    allowance.allowed["a"].set()
    tools = [allowance.tool()]
    with orc.Orchestrator(directory=tmp_path, tools=tools, models=Client({})) as second:
        result = second.resume(run.id).result(timeout=PATIENCE)
    assert result.steps["a"].state == "succeeded"
