"""Compares the names in a test file with those that its pipeline has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.compiler.passes.calls import returned_type
from orchestrator.diagnostics import suggest
from orchestrator.expressions.types.operators import alternatives
from orchestrator.models.messages import JUDGE
from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.steps import Agent, Approve, Ask, SubPipeline, ToolCall
from orchestrator.plan.walk import without_brackets
from orchestrator.testing.reader import file_problem
from orchestrator.testing.stubs import asks_models, own_work, split_field, steps_of
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.diagnostics import Diagnostic
    from orchestrator.expressions import Type
    from orchestrator.plan.model import Plan
    from orchestrator.testing.files import CaseFile
    from orchestrator.testing.reader import Named

_WORKS: Final[dict[str, tuple[type[Any], ...]]] = {"call": (ToolCall, DetachedRun), "question": (Ask, Approve)}
_TOLD: Final = {
    "input": "input",
    "output": "output",
    "step": "step",
    "field": "step",
    "call": "step that calls a tool or starts a run",
    "question": "step that asks a person",
}
_LISTED: Final = 20


class PipelineNames:
    """The names of a pipeline."""

    def __init__(self, plan: Plan) -> None:
        self._steps = steps_of(plan)
        self._names = {"input": list(plan.inputs), "output": list(plan.outputs)}
        for kind in ("field", "call", "question"):
            works = _WORKS.get(kind, (object,))
            self._names[kind] = [path for path, step in self._steps.items() if isinstance(own_work(step), works)]
        self._names["step"] = [path for path, step in self._steps.items() if asks_models(step)]
        self._judges = [f"{path}{JUDGE}" for path, step in self._steps.items() if step.check and step.check.judge]

    def problem(self, file: CaseFile, named: Named) -> Diagnostic | None:
        """Return the problem of a name, if it has one."""
        known = self._names[named.kind]
        name = named.name if named.kind in ("input", "output") else without_brackets(named.name)
        if named.kind == "step" and name in self._steps and name not in known:
            stub = "`stub` replaces the result of a step that calls a tool"
            help = stub if name in self._names["call"] else "leave it out"
            return file_problem(file.source, named.place, f"step `{name}` calls no model that could be scripted", help)
        if name in known or (named.kind == "step" and name in self._judges):
            return None
        if (named.kind == "field" and self._may_be_field(named.name)) or (
            named.kind != "call" and self._may_be_turn(name)
        ):
            return None
        fields = self._fields(named.name) if named.kind == "field" else []
        judges = self._judges if named.kind == "step" else []
        near = suggest(name, [*fields, *known, *judges])
        what = _TOLD[named.kind]
        listed = quoted_list(known[:_LISTED])
        help = f"did you mean `{near}`?" if near else f"it has: {listed}" if listed else f"it has no {what}"
        message = f"the pipeline `{file.pipeline.name}` has no {what} `{name}`"
        return file_problem(file.source, named.place, message, help, fix=near)

    def _may_be_field(self, path: str) -> bool:
        """Whether a path is that of a part that the value of a step may have."""
        step, keys = split_field(path, self._steps)
        if not keys:
            return False
        work = own_work(self._steps[without_brackets(step)])
        if not isinstance(work, ToolCall):  # the names in a group, a loop or a switch are steps
            return isinstance(work, SubPipeline | Ask | Approve) or isinstance(keys[0], int)
        result = returned_type(work.action, work.parameters)
        value = result.properties.get(work.action.primary or "", result)
        if keys[0] in result.properties:
            return True
        if value.kind == "any" and suggest(str(keys[0]), result.properties):
            return False  # it is more likely a misspelt field of the result than a field of the value
        return any(_may_have(option, keys[0]) for option in alternatives(value))

    def _fields(self, path: str) -> list[str]:
        """Return the paths of the fields that the result of the step is known to have."""
        step, keys = split_field(path, self._steps)
        work = own_work(self._steps[without_brackets(step)]) if keys else None
        return [f"{step}.{name}" for name in work.action.returns.properties] if isinstance(work, ToolCall) else []

    def _may_be_turn(self, path: str) -> bool:
        """Whether a path may be that of what an agent does in a turn, which is known only when it is done."""
        above = path.rpartition(".")[0]
        return above in self._steps and isinstance(self._steps[above].work, Agent)


def _may_have(value: Type, key: str | int) -> bool:
    """Whether a value of a type may have a field or an item."""
    if value.kind == "object":
        return not value.closed or key in value.properties
    return value.kind == "any" or (value.kind == "array" and isinstance(key, int))
