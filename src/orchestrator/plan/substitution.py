"""Replaces steps of a plan: what a test does with the steps that it stubs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from orchestrator.plan.agent_tools import AgentRole
from orchestrator.plan.steps import (
    Agent,
    Block,
    ForEach,
    Handler,
    RepeatLoop,
    StepGroup,
    StepPlan,
    SubPipeline,
    Switch,
    ToolCall,
    Work,
)
from orchestrator.plan.walk import top_level

if TYPE_CHECKING:
    from orchestrator.plan.children import Children
    from orchestrator.plan.model import Plan

Change = Callable[[str, StepPlan], StepPlan]
"""Returns the step that replaces the step at a path; the path is that of `walk`."""


def substitute(plan: Plan, change: Change) -> Plan:
    """Return a plan in which each step, called pipelines included, is what `change` returns for it.

    A called pipeline with changed steps is copied for the call, because other steps may call it too.
    """
    return _Substitution(plan, change).plan()


class _Substitution:
    def __init__(self, plan: Plan, change: Change) -> None:
        self._plan = plan
        self._change = change
        self._called: dict[str, Plan] = dict(plan.pipelines)
        self._within: list[str] = []

    def plan(self) -> Plan:
        plan = self._pipeline(self._plan, "")
        return plan if self._called == dict(plan.pipelines) else replace(plan, pipelines=self._called)

    def _pipeline(self, plan: Plan, path: str) -> Plan:
        blocks = [(block.role, self._steps(block, path)) for block in top_level(plan)]
        steps = blocks[0][1]
        handlers = _with_bodies(plan.error_handlers, [steps for role, steps in blocks if role == "handler"])
        last = next((Block(steps) for role, steps in blocks if role == "finally"), None)
        if (steps, handlers, last) == (plan.steps, plan.error_handlers, plan.finally_):
            return plan
        return replace(plan, steps=steps, error_handlers=handlers, finally_=last)

    def _steps(self, block: Children[StepPlan], parent: str) -> tuple[StepPlan, ...]:
        return tuple(self._step(step, block.path(parent, step.id)) for step in block.steps)

    def _step(self, step: StepPlan, path: str) -> StepPlan:
        blocks = [(block, self._steps(block, path)) for block in step.children()]
        work = self._call(step.work, path) if isinstance(step.work, SubPipeline) else step.work
        if any(new is not old for block, steps in blocks for new, old in zip(steps, block.steps, strict=True)):
            work = _with_children(work, [steps for block, steps in blocks if block.role not in ("handler", "undo")])
            bodies = [steps for block, steps in blocks if block.role == "handler"]
            undo = next((Block(steps) for block, steps in blocks if block.role == "undo"), None)
            step = replace(step, on_error=_with_bodies(step.on_error, bodies), undo=undo)
        return self._change(path, step if work is step.work else replace(step, work=work))

    def _call(self, work: SubPipeline, path: str) -> SubPipeline:
        if work.source in self._within:
            return work
        called = self._plan.pipelines[work.source]
        self._within.append(work.source)
        changed = self._pipeline(called, path)
        self._within.pop()
        if changed is called:
            return work
        source = f"{work.source} as called by {path}"
        self._called[source] = changed
        return replace(work, source=source)


def _with_children(work: Work, blocks: Sequence[tuple[StepPlan, ...]]) -> Work:
    if isinstance(work, Agent) and blocks:
        calls = {step.id: step.work for steps in blocks for step in steps}
        return replace(_with_calls(work, calls), roles=tuple(_with_calls(role, calls) for role in work.roles))
    return (
        work.with_children(blocks) if isinstance(work, ForEach | RepeatLoop | Switch | StepGroup) and blocks else work
    )


_A = TypeVar("_A", Agent, AgentRole)


def _with_calls(agent: _A, works: Mapping[str, Work]) -> _A:
    """Return an agent with other calls of its tools and pipelines, by their names."""
    tools = tuple(
        replace(one, action=work.action) if isinstance(work := works[one.name], ToolCall) else one
        for one in agent.tools
    )
    pipelines = tuple(
        replace(one, source=work.source) if isinstance(work := works[one.name], SubPipeline) else one
        for one in agent.pipelines
    )
    return replace(agent, tools=tools, pipelines=pipelines)


def _with_bodies(handlers: Sequence[Handler], bodies: Sequence[tuple[StepPlan, ...]]) -> tuple[Handler, ...]:
    """Return handlers with other steps; one without steps stays as it is."""
    left = iter(bodies)
    return tuple(handler if handler.body is None else replace(handler, body=Block(next(left))) for handler in handlers)
