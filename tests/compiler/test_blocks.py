"""Nested steps: at any depth they are read, checked and planned like those of a flat list."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.compiler import Compilation, compile_pipeline
from orchestrator.diagnostics import render_text
from orchestrator.plan.steps import Block, ForEach, RepeatLoop, StepGroup, StepPlan, Switch
from orchestrator.tools import Permissions, Registry, builtin_registry, to_tools
from tests.conformance import tools

REGISTRY: Registry = builtin_registry() | Registry(to_tools(tools))
PLANTED = "planted"


def compiled(source: Any, **options: Any) -> Compilation:
    return compile_pipeline(source, registry=REGISTRY, permissions=Permissions(directory=Path("/nowhere")), **options)


@dataclass
class Drawn:
    """A random pipeline: its data, who must wait for whom, and its steps that call a tool."""

    data: dict[str, Any] = field(default_factory=dict)
    edges: dict[str, set[str]] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)


class Drawing:
    """Draws steps within steps. `outer` are the lists of steps around a place, each with the id of the one it is in."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.drawn = Drawn()
        self.count = 0

    def pipeline(self) -> Drawn:
        self.drawn.data = {"inputs": {"topic": "the sun"}, "steps": self.block([], [], 0)}
        self.drawn.data["outputs"] = {"topic": "{{ topic }}"}
        return self.drawn

    def one_of(self, *choices: Any) -> Any:
        return self.data.draw(st.sampled_from(choices))

    def block(self, outer: list[tuple[list[str], str]], names: list[str], depth: int) -> list[dict[str, Any]]:
        before: list[str] = []
        steps = []
        for _ in range(self.one_of(1, 2, 3)):
            self.count += 1
            id = f"s{self.count}"
            self.drawn.edges[id] = set()
            steps.append(self.step(id, [*outer, (before, id)], names, depth))
            before.append(id)
        return steps

    def step(self, id: str, around: list[tuple[list[str], str]], names: list[str], depth: int) -> dict[str, Any]:
        kinds = ["tool", "tool", "own"]
        if depth < 4 and self.count < 25:
            kinds += ["for_each", "while", "until", "switch", "parallel", "steps", "handler"]
        kind = self.one_of(*kinds)
        if kind == "tool":
            return self.call({"id": id}, around, names)
        if kind == "own":
            loop = {"id": id, "for_each": [self.expression(around, names)], "as": f"of_{id}"}
            return self.call(loop, around, [*names, f"of_{id}", "index"])
        if kind == "handler":
            step = self.call({"id": id}, around, names)
            step["on_error"] = [{"steps": self.block(around, [*names, "error.message"], depth + 1)}]
            return step
        if kind == "for_each":
            inner = [*names, f"of_{id}", "is_last"]
            head = {"for_each": [self.expression(around, names)], "as": f"of_{id}"}
            return {"id": id, **head, "steps": self.block(around, inner, depth + 1)}
        if kind in ("while", "until"):
            inner = [*names, "iteration", f"total_{id}"]
            carried = {"initial": {f"total_{id}": 0}, "update": {f"total_{id}": f"{{{{ total_{id} + 1 }}}}"}}
            return {"id": id, kind: "iteration < 3", **carried, "steps": self.block(around, inner, depth + 1)}
        if kind == "switch":
            cases = {"a": self.block(around, names, depth + 1), "b": self.block(around, names, depth + 1)}
            return {"id": id, "switch": f"text: {self.expression(around, names)}", "cases": cases}
        return {"id": id, kind: self.block(around, names, depth + 1)}

    def call(self, step: dict[str, Any], around: list[tuple[list[str], str]], names: list[str]) -> dict[str, Any]:
        step |= {"tool": "echo", "parameters": {"value": self.expression(around, names)}}
        self.drawn.calls.append(step)
        return step

    def expression(self, around: list[tuple[list[str], str]], names: list[str]) -> str:
        """An expression that reads names and earlier steps, and the edges that it makes."""
        read = [self.one_of("topic", *names)]
        for before, within in around:
            if before and self.one_of(True, False):
                target = self.one_of(*before)
                self.drawn.edges[within].add(target)
                read.append(self.one_of(target, f"steps.{target}"))
        return " ".join(f"{{{{ {name} }}}}" for name in read)


def steps_of(block: Block | StepPlan) -> Iterator[StepPlan]:
    """All steps of a block, at every depth."""
    for step in block.steps if isinstance(block, Block) else (block,):
        yield step
        yield from steps_within(step)


def steps_within(step: StepPlan) -> Iterator[StepPlan]:
    blocks = [handler.body for handler in step.on_error if handler.body is not None]
    match step.work:
        case ForEach(body=Block() as body) | RepeatLoop(body=body) | StepGroup(body=body):
            blocks.append(body)
        case ForEach(body=StepPlan() as item):
            yield from steps_within(item)
        case Switch(cases=cases, default=default):
            blocks += [block for _, block in cases] + ([default] if default is not None else [])
    for block in blocks:
        yield from steps_of(block)


@settings(max_examples=150)
@given(st.data())
def test_a_read_makes_the_enclosing_sibling_step_wait(data: st.DataObject) -> None:
    drawn = Drawing(data).pipeline()
    compilation = compiled(drawn.data)
    assert compilation.plan is not None, render_text(compilation.diagnostics)
    assert not compilation.diagnostics, render_text(compilation.diagnostics)
    found = {step.id: set(step.dependencies) for step in steps_of(Block(compilation.plan.steps))}
    assert found == drawn.edges


ERRORS: dict[str, tuple[str, Any]] = {
    "ORC301": ("parameters", {"value": f"{{{{ {PLANTED} }}}}"}),
    "ORC302": ("dependencies", [PLANTED]),
    "ORC306": ("on_success", PLANTED),
    "ORC312": ("parameters", {"value": f"{{{{ topic | {PLANTED} }}}}"}),
    "ORC401": ("tool", PLANTED),
    "ORC403": ("parameters", {PLANTED: 1}),
    "ORC205": ("retry", {"max_attempts": 2, "on": [PLANTED]}),
    "ORC303": ("parameters", {"value": f"{{{{ topic.{PLANTED} }}}}"}),
}


@settings(max_examples=150)
@given(st.data(), st.sampled_from(sorted(ERRORS)))
def test_an_error_at_any_depth_is_reported_once_at_its_line(data: st.DataObject, code: str) -> None:
    drawn = Drawing(data).pipeline()
    step = data.draw(st.sampled_from(drawn.calls))
    key, value = ERRORS[code]
    step[key] = value
    compilation = compiled(drawn.data)
    assert [diagnostic.code for diagnostic in compilation.diagnostics] == [code], render_text(compilation.diagnostics)
    [diagnostic] = compilation.diagnostics
    line = compilation.document.source.lines[diagnostic.span.start.line - 1]
    assert PLANTED in line[diagnostic.span.start.column - 1 :]


@settings(max_examples=60)
@given(st.data())
def test_a_step_inside_of_another_is_out_of_reach_from_outside_of_it(data: st.DataObject) -> None:
    drawn = Drawing(data).pipeline()
    compilation = compiled(drawn.data)
    assert compilation.plan is not None
    top = {step.id for step in compilation.plan.steps}
    for step in steps_of(Block(compilation.plan.steps)):
        if step.id not in top:
            outputs = {"topic": f"{{{{ {step.id} }}}}", "again": "{{ topic }}"}
            again = compiled({**drawn.data, "outputs": outputs})
            if again.plan is not None:  # a plain group of parallel steps is as if its steps were written by themselves
                assert step.id in {each.id for each in again.plan.steps}
            else:
                assert [diagnostic.code for diagnostic in again.diagnostics] == ["ORC308"]


def test_sibling_blocks_can_use_the_same_ids() -> None:
    body = [{"id": "draft", "tool": "echo"}, {"id": "last", "tool": "echo", "parameters": {"value": "{{ draft }}"}}]
    compilation = compiled(
        {
            "inputs": {"kind": "news"},
            "steps": [
                {"id": "one", "steps": body},
                {"id": "two", "for_each": [1], "steps": body},
                {"id": "three", "switch": "{{ kind }}", "cases": {"a": body, "b": body}, "default": body},
            ],
        }
    )
    assert compilation.plan is not None
    assert all(step.dependencies == ("draft",) for step in steps_of(Block(compilation.plan.steps)) if step.id == "last")


def test_the_same_text_has_another_type_in_another_loop() -> None:
    def loop(id: str, items: Any, text: str) -> dict[str, Any]:
        return {"id": id, "for_each": items, "tool": "echo", "parameters": {"value": text}}

    text = "{{ item.name }}"
    assert compiled({"steps": [loop("a", [{"name": "x"}], text)]}).ok
    both = compiled({"steps": [loop("a", [{"name": "x"}], text), loop("b", {"range": 3}, text)]})
    assert [(d.code, d.message) for d in both.diagnostics] == [
        ("ORC303", "`item` is an integer, so it has no field `name`")
    ]


@pytest.mark.parametrize("kind", ["steps", "parallel"])
def test_blocks_nest_as_deep_as_the_file_may(kind: str) -> None:
    inner: list[dict[str, Any]] = [{"id": "s0", "tool": "echo"}]
    for depth in range(1, 45):
        inner = [{"id": f"s{depth}", kind: inner}]
    assert compiled({"steps": inner}).ok


def test_what_holds_for_all_steps_holds_for_calls_at_every_depth_and_for_nothing_else() -> None:
    plan = compiled(
        {
            "defaults": {"timeout": 5, "retry": 4},
            "steps": [
                {"id": "group", "steps": [{"id": "inner", "tool": "echo"}]},
                {"id": "each", "for_each": [1], "tool": "echo"},
                {"id": "ask", "ask": "How many?"},
            ],
        }
    ).plan
    assert plan is not None
    group, each, ask = plan.steps
    [inner] = steps_within(group)
    assert isinstance(each.work, ForEach)
    item = each.work.body
    assert isinstance(item, StepPlan)
    assert [(step.timeout, step.retry.max_attempts) for step in (inner, item)] == [(5, 4), (5, 4)]
    assert [(step.timeout, step.retry.max_attempts) for step in (group, each, ask)] == [(None, 1)] * 3


def test_a_loop_with_its_own_action_passes_on_the_options_of_each_item() -> None:
    plan = compiled(
        {
            "steps": [
                {
                    "id": "each",
                    "for_each": [1, 2],
                    "as": "row",
                    "tool": "echo",
                    "parameters": {"value": "{{ row }}"},
                    "retry": 3,
                    "timeout": 10,
                    "cache": {"ttl": "1d", "key": "{{ row }}"},
                    "on_resume": "ask",
                    "on_item_failure": {"value": "{{ row }}"},
                    "on_failure": "continue",
                    "on_error": {"fallback_value": "{{ row }} {{ error.code }}"},
                }
            ]
        }
    ).plan
    assert plan is not None
    [each] = plan.steps
    assert isinstance(each.work, ForEach)
    item = each.work.body
    assert isinstance(item, StepPlan)
    assert (item.id, item.timeout, item.retry.max_attempts, item.on_resume) == ("each", 10, 3, "ask")
    assert (item.on_failure.kind, each.on_failure.kind) == ("value", "continue")
    assert (len(item.on_error), len(each.on_error)) == (1, 0)
    assert item.cache is not None
    assert item.cache.ttl == 86400
    assert (each.cache, each.timeout) == (None, None)
