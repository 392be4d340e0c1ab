"""Jumps: what they skip, what waits for them, and how little there is to keep of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.compiler.ir.jumps import Between, Jump, covers, last_jumps
from orchestrator.language.yaml.layout import TextLayout
from orchestrator.language.yaml.nodes import Scalar
from tests.compiler.test_compilation import compiled

if TYPE_CHECKING:
    from orchestrator.plan.model import Plan

NODE = Scalar("x", "x", "", 0, 1, TextLayout("x"))


@st.composite
def jump_lists(draw: st.DrawFn) -> list[Jump]:
    count = draw(st.integers(2, 12))
    pairs = draw(st.lists(st.tuples(st.integers(0, count - 2), st.integers(1, count - 1)), max_size=8))
    return [Jump(a, b, b, "on_success", NODE) for a, b in pairs if a < b]


@given(jump_lists())
def test_a_step_waits_for_every_jump_over_it_if_not_directly_then_through_others(jumps: list[Jump]) -> None:
    waits = {position: jump.source for position, jump in last_jumps(jumps).items()}
    for jump in jumps:
        for position in range(jump.source + 1, jump.target + 1):
            reached, at = set(), position
            while at in waits:
                at = waits[at]
                reached.add(at)
            assert jump.source in reached


@given(jump_lists())
def test_the_innermost_jumps_over_a_step_are_found(jumps: list[Jump]) -> None:
    found = covers(jumps)
    for position in range(14):
        over = [jump for jump in jumps if jump.source < position < jump.end]
        assert (position in found) == bool(over)
        if over:
            assert (found[position].last.source, found[position].first.end) == (
                max(jump.source for jump in over),
                min(jump.end for jump in over),
            )


@given(st.lists(st.text(max_size=2), max_size=6), st.integers(0, 6), st.integers(0, 6))
def test_ids_between_two_steps_are_a_slice_of_all(ids: list[str], start: int, end: int) -> None:
    between = Between(tuple(ids), min(start, len(ids)), min(end, len(ids)))
    assert [*between] == ids[start:end] == [between[i] for i in range(len(between))]
    assert between[:] == tuple(ids[start:end])


def far_jumps(count: int) -> Plan:
    jump = {"on_failure": f"s{count}"}
    steps = [
        {"id": f"s{n}", "tool": "echo", "parameters": {"value": n}, **(jump if n < count else {})}
        for n in range(count + 1)
    ]
    plan = compiled(json.dumps({"steps": steps})).plan
    assert plan is not None
    return plan


def test_many_far_jumps_make_one_dependency_for_each_step() -> None:
    plan = far_jumps(300)
    assert [step.dependencies for step in plan.steps] == [(), *((f"s{n}",) for n in range(300))]
    assert [*plan.steps[297].skips["on_failure"]] == ["s298", "s299"]
