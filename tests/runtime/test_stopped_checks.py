"""A check of a value that is stopped: at whatever moment that happens, its step ends, and with it the run."""

import asyncio
from pathlib import Path

import pytest

import orchestrator as orc

MOMENTS = 60
"""Turns of the event loop after which the other branch fails: from before the check begins until after its end."""


@orc.tool
async def pass_turns(turns: int, *, fails: bool = False) -> str:
    """End after some turns of the event loop, and fail if wanted."""
    for _ in range(turns):
        await asyncio.sleep(0)
    if fails:
        raise ValueError("late")
    return "early"


PIPELINE = """
inputs: {turns: {type: integer}}
steps:
  - id: both
    parallel:
      - id: checked
        check: {that: "{{ output is string }}"}
        steps: [{id: inside, tool: pass_turns, parameters: {turns: 20}}]
      - id: failing
        steps: [{id: late, tool: pass_turns, parameters: {turns: "{{ turns }}", fails: true}}]
"""


def test_a_check_may_be_stopped_at_any_moment(tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path, tools=[pass_turns]) as client:
        pipeline = client.compile(PIPELINE)
        for turns in range(MOMENTS):
            run = pipeline.start(turns=turns)
            with pytest.raises(orc.RunFailed, match="late"):
                run.result(timeout=20)
            assert run.status().active == ()
