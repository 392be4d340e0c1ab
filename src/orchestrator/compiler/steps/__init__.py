"""The kinds of steps, one module each: how a step is read, checked and planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.steps.approvals import ApproveWork, AskWork
from orchestrator.compiler.steps.ends import EndWork
from orchestrator.compiler.steps.for_each import ForEachWork
from orchestrator.compiler.steps.groups import GroupWork
from orchestrator.compiler.steps.pipelines import PipelineWork
from orchestrator.compiler.steps.refused import RefusedWork
from orchestrator.compiler.steps.repeat import RepeatWork
from orchestrator.compiler.steps.switch import SwitchWork
from orchestrator.compiler.steps.tool_calls import read_call
from orchestrator.compiler.steps.values import FailWork, ValueWork
from orchestrator.compiler.steps.waits import WaitWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep, SourceWork

__all__ = ["work_of"]

_WORKS: dict[str, Callable[[CompilationContext, SourceStep], SourceWork]] = {
    "for_each": ForEachWork,
    "while": RepeatWork,
    "until": RepeatWork,
    "switch": SwitchWork,
    "parallel": GroupWork,
    "steps": GroupWork,
    "pipeline": PipelineWork,
    "ask": AskWork,
    "approve": ApproveWork,
    "wait_until": WaitWork,
    "sleep": WaitWork,
    "value": ValueWork,
    "fail": FailWork,
    "end": EndWork,
}


def work_of(context: CompilationContext, step: SourceStep) -> SourceWork:
    """Read the work of a step. A step without a kind is read as a call without a tool."""
    kind = step.spec.kind
    if kind in ("ask", "approve", "fail", "end") and getattr(step.spec, kind) is None:
        return RefusedWork(step)
    return _WORKS[kind](context, step) if kind in _WORKS else read_call(context, step)
