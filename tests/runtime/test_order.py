"""The order in which steps start when more are ready than there are slots."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

import orchestrator as orc
from orchestrator.journal.store.batch_insert import Appender
from tests.runtime.support import PATIENCE, Bench, pipeline, step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.journal.store.batch_insert import EventRow


SLOW_DISK = 0.002
"""Seconds that a commit takes at least, so that steps start meanwhile."""


class Calls:
    """A tool without effects, whose successors are ready at once, and the order of its calls."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.seconds: dict[str, float] = {}
        self.failing: set[str] = set()

    def tool(self) -> Any:
        @orc.tool(effects="none")
        async def compute(context: orc.ToolContext, value: Any = None) -> Any:
            self.steps.append(context.step)
            if context.step in self.failing:
                raise orc.StepError("it broke", retryable=False)
            await asyncio.sleep(self.seconds.get(context.step, 0.0))
            return value

        return compute


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def computer(calls: Calls, tmp_path: Path) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path, tools=[calls.tool()], max_parallel=1) as client:
        yield client


def compute(id: str, *after: str, **more: Any) -> dict[str, Any]:
    return step(id, "compute", *after, **more)


def block(id: str, *steps: dict[str, Any], after: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"id": id, "parallel": list(steps), "dependencies": list(after)}


def order(client: orc.Orchestrator, calls: Calls, *steps: dict[str, Any]) -> list[str]:
    """Run the steps one at a time, and return the order in which they started."""
    calls.steps.clear()
    client.compile(pipeline(*steps)).run()
    return list(calls.steps)


def test_the_step_with_the_most_steps_behind_it_comes_first(computer: orc.Orchestrator, calls: Calls) -> None:
    steps = (compute("a"), compute("b"), compute("c", "b"), compute("d", "c"), compute("e"))
    assert order(computer, calls, *steps) == ["b", "c", "a", "e", "d"]


def test_steps_with_equally_much_behind_them_start_in_the_order_of_the_file(
    computer: orc.Orchestrator, calls: Calls
) -> None:
    names = [f"s{number}" for number in range(20)]
    assert order(computer, calls, *map(compute, names)) == names


def test_a_step_may_depend_on_one_that_follows_it_in_the_file(computer: orc.Orchestrator, calls: Calls) -> None:
    steps = (compute("last", "middle"), compute("alone"), compute("middle", "first"), compute("first"))
    assert order(computer, calls, *steps) == ["first", "middle", "alone", "last"]


def test_a_path_continues_after_the_block_that_it_is_in(computer: orc.Orchestrator, calls: Calls) -> None:
    group = block("g", compute("a"), compute("b"))
    steps = (compute("x"), compute("y", "x"), group, compute("c", "g"), compute("d", "c"))
    assert order(computer, calls, *steps)[:3] == ["g.a", "g.b", "x"]


def test_a_path_continues_after_the_loop_that_it_is_in(computer: orc.Orchestrator, calls: Calls) -> None:
    loop = {"id": "l", "for_each": [1, 2], "max_parallel": 2, "steps": [compute("a")]}
    steps = (compute("x"), compute("y", "x"), loop, compute("c", "l"), compute("d", "c"))
    assert order(computer, calls, *steps)[:3] == ["l[0].a", "l[1].a", "x"]


def test_a_block_counts_as_the_steps_on_the_longest_path_through_it(computer: orc.Orchestrator, calls: Calls) -> None:
    group = block("g", compute("a"), compute("b", "a"), compute("c", "b"), after=("start",))
    steps = (compute("x"), compute("y", "x"), compute("start"), group)
    assert order(computer, calls, *steps)[:2] == ["start", "g.a"]


LONGER = 0.05
"""Seconds by which a step takes longer than others."""


def test_the_next_run_knows_how_long_the_steps_took(computer: orc.Orchestrator, calls: Calls) -> None:
    steps = tuple(compute(f"s{number}") for number in range(4))
    calls.seconds["s2"] = LONGER
    assert order(computer, calls, *steps) == ["s0", "s1", "s2", "s3"]
    assert order(computer, calls, *steps)[0] == "s2"


def test_another_process_knows_it_too_also_when_it_resumes_a_run(calls: Calls, tmp_path: Path) -> None:
    steps = tuple(compute(f"s{number}") for number in range(4))
    calls.seconds["s2"] = LONGER

    def client() -> orc.Orchestrator:
        return orc.Orchestrator(directory=tmp_path, tools=[calls.tool()], max_parallel=1)

    with client() as first:
        assert order(first, calls, *steps)[0] == "s0"
    calls.failing.add("s2")
    with client() as second, pytest.raises(orc.RunFailed) as failed:
        order(second, calls, *steps)
    assert calls.steps == ["s2"]
    calls.failing.clear()
    with client() as third:
        third.resume(failed.value.run_id).result()
    assert calls.steps[:2] == ["s2", "s2"]


def test_durations_belong_to_a_pipeline(computer: orc.Orchestrator, calls: Calls) -> None:
    steps = [compute(f"s{number}") for number in range(4)]
    calls.seconds["s2"] = LONGER
    computer.compile(pipeline(*steps)).run()
    calls.steps.clear()
    computer.compile({**pipeline(*steps), "id": "other"}).run()
    assert calls.steps[0] == "s0"


def test_old_durations_are_removed_with_old_runs(computer: orc.Orchestrator, calls: Calls) -> None:
    steps = tuple(compute(f"s{number}") for number in range(4))
    calls.seconds["s2"] = LONGER
    order(computer, calls, *steps)
    store = computer.backend.engine.store
    store.prune(older_than=1.0)
    assert store.step_durations("test") is not None
    store.prune(older_than=time.time() + 60)
    assert store.step_durations("test") is None


def test_the_order_does_not_change_results(client: orc.Orchestrator) -> None:
    steps = [step("a", value=1), step("b", value=2), step("c", value="{{ b }}"), step("d", value="{{ c + a }}")]
    compiled = client.compile(pipeline(*steps, outputs={"d": "{{ d }}", "a": "{{ a }}"}))
    found = [compiled.with_options(max_parallel=count).run().outputs for count in (1, 2, 32)]
    assert found == [{"d": 3, "a": 1}] * 3


@contextmanager
def disk_that_stops() -> Iterator[threading.Event]:
    """Let no end of a step become durable before the event is set."""
    disk = threading.Event()
    append = Appender.append

    def held(self: Appender, rows: list[EventRow], **more: Any) -> Any:
        if any(row.type == "step.succeeded" for row in rows):
            assert disk.wait(PATIENCE)
        return append(self, rows, **more)

    with mock.patch.object(Appender, "append", held):
        try:
            yield disk
        finally:
            disk.set()


def test_a_step_that_waits_takes_the_slot_of_one_that_has_ended_before_that_is_durable(
    client: orc.Orchestrator, bench: Bench
) -> None:
    steps = (step("a"), step("after", "echo", "a"), step("b", "hang"))
    with disk_that_stops() as disk:
        run = client.compile(pipeline(*steps)).with_options(max_parallel=1).start()
        bench.wait_for("b")
        assert bench.calls == ["a", "b"]
        assert run.status().counts["running"] == 1
        disk.set()
        run.cancel()
        run.wait()
    assert bench.calls == ["a", "b"]


@pytest.mark.parametrize("max_parallel", [1, 3])
def test_no_more_ends_than_slots_are_ahead_of_the_disk(max_parallel: int, tmp_path: Any) -> None:
    calls: list[str] = []
    durable = 0
    most = 0
    append = Appender.append

    def slow(self: Appender, rows: list[EventRow], **more: Any) -> Any:
        nonlocal durable
        time.sleep(SLOW_DISK)
        found = append(self, rows, **more)
        durable += sum(row.type == "step.succeeded" for row in rows)
        return found

    @orc.tool
    async def act(context: orc.ToolContext) -> None:
        nonlocal most
        calls.append(context.step)
        most = max(most, len(calls) - durable)

    steps = [step(f"s{number}", "act") for number in range(20 * max_parallel)]
    with orc.Orchestrator(directory=tmp_path, tools=[act]) as client, mock.patch.object(Appender, "append", slow):
        client.compile(pipeline(*steps)).with_options(max_parallel=max_parallel).run()
    assert len(calls) == len(steps)
    assert max_parallel < most <= 2 * max_parallel
