"""Runs that one process executes beside each other: a huge one does not hold up a small one."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import orchestrator as orc
from tests.runtime.support import PATIENCE

WIDTH = 10_000

SMALL: dict[str, Any] = {
    "id": "small",
    "steps": [
        {"id": f"s{number}", "tool": "work", "dependencies": [f"s{number - 1}"] if number else []}
        for number in range(5)
    ],
}
HUGE: dict[str, dict[str, Any]] = {
    "steps": {"id": "huge", "steps": [{"id": f"h{number}", "tool": "work"} for number in range(WIDTH)]},
    "items": {"id": "huge", "steps": [{"id": "h", "for_each": {"range": WIDTH}, "tool": "work"}]},
    "rounds": {
        "id": "huge",
        "steps": [
            {"id": "h", "while": "true", "max_iterations": WIDTH, "on_limit": "continue"}
            | {"steps": [{"id": "r", "tool": "work"}]}
        ],
    },
}


@pytest.mark.parametrize("kind", HUGE)
@pytest.mark.parametrize("max_parallel", [8, WIDTH])
def test_a_small_run_ends_long_before_a_huge_one_that_began_before_it(kind: str, max_parallel: int, tmp_path: Any):
    """In the order of the tools' calls, whatever the clock says: what the huge run does meanwhile is a small part."""
    calls: list[str] = []
    begun = threading.Event()

    @orc.tool
    async def work(context: orc.ToolContext) -> None:
        calls.append(context.run_id)
        if len(calls) == 50:
            begun.set()
        await asyncio.sleep(0)

    with orc.Orchestrator(directory=tmp_path, tools=[work]) as client:
        small = client.compile(SMALL)
        huge = client.compile(HUGE[kind]).with_options(max_parallel=max_parallel).start()
        assert begun.wait(PATIENCE)
        run = small.start()
        run.result()
        assert huge.status().state == "running"
        huge.cancel()
        huge.wait()
    own = [place for place, run_id in enumerate(calls) if run_id == run.id]
    assert len(own) == 5
    assert own[-1] - own[0] < WIDTH / 4
