"""A plan in words: the same plan is always described in the same ones, and nothing in it is left out."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.compiler import compile_pipeline
from orchestrator.plan.model import Plan
from orchestrator.plan.steps import ToolCall
from orchestrator.plan.summary import architecture, every_step, intention, models_of
from orchestrator.tools import Permissions, builtin_registry
from tests.compiler.test_plan_data import every_construct

EXAMPLES = sorted(path for path in Path("examples").glob("*.yaml") if not path.name.endswith(".test.yaml"))


def plan_of(source: Any) -> Plan:
    plan = compile_pipeline(
        source, registry=builtin_registry(), permissions=Permissions(Path.cwd()), directory=Path.cwd()
    ).plan
    assert plan is not None
    return plan


REPORT = {
    "id": "report",
    "name": "A report",
    "description": "Writes a report on a topic.",
    "inputs": {"topic": {"type": "string", "description": "What about."}, "key": {"type": "string", "secret": True}},
    "steps": [
        {"id": "read", "tool": "log", "parameters": {"message": "{{ topic }} {{ key }}"}},
        {"id": "think", "tool": "log", "parameters": {"message": "{{ topic }}"}},
        {
            "id": "each",
            "for_each": "{{ [topic, key] }}",
            "steps": [{"id": "say", "tool": "log", "parameters": {"message": "{{ item }}"}}],
        },
        {"id": "ok", "approve": "Good?", "dependencies": ["read", "think"], "condition": "topic != ''"},
    ],
    "outputs": {"done": {"value": "{{ ok }}", "description": "Whether it is good."}},
}


def test_the_intention_describes_inputs_work_and_outputs() -> None:
    assert intention(plan_of(REPORT)) == (
        "A report: Writes a report on a topic. It takes `topic` and `key`. "
        "It uses the tool `log`, repeats work in 1 loop and asks a person once. It returns `done`."
    )


def test_an_architecture_names_every_part_and_what_it_waits_for() -> None:
    text = architecture(plan_of(REPORT))
    assert "4 steps and 1 step inside them, in 2 stages, up to 3 steps in parallel." in text
    assert "- `topic` (string, required): What about." in text
    assert "- `key` (string, secret, required)" in text
    assert "- `each`: for each item of [topic, key]\n  - `say`: log write\n" in text
    assert "- `ok`: approval: Good? (conditional), after `read` and `think`" in text
    assert "- a person who answers" in text
    assert "- secrets: `key`" in text


def test_every_step_at_every_depth_is_counted_once() -> None:
    plan = every_construct()
    found = list(every_step(plan))
    assert len(found) == len({id(step) for step in found})
    text = architecture(plan)
    assert all(f"`{step.id}`" in text for step in plan.steps)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_are_described_the_same_way_each_time(file: Path) -> None:
    import orchestrator as orc
    from orchestrator.testing import FakeModel

    with orc.Orchestrator(tools=["examples.tools"], models=FakeModel()) as client:  # needs no keys
        first, second = (client.compile(file).plan for _ in range(2))
    assert (intention(first), architecture(first)) == (intention(second), architecture(second))
    asking = {step.id for step in every_step(first) if isinstance(step.work, ToolCall) and models_of(step.work)}
    assert ("models:" in architecture(first)) == bool(asking) or "Agent" in repr(first)
