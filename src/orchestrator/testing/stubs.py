"""The steps of a plan by their paths, and plans in which some steps give what a test says instead of doing their work.

Here a path has no numbers: `translate.draft` is that step of all items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from orchestrator.errors import StepError
from orchestrator.expressions import Constant
from orchestrator.plan.model import (
    Agent,
    AgentTool,
    Block,
    ForEach,
    Group,
    Handler,
    Plan,
    Repeat,
    StepPlan,
    SubPipeline,
    Switch,
    ToolCall,
    Work,
)

if TYPE_CHECKING:
    from orchestrator.tools.contract import Action

_Repeated = TypeVar("_Repeated", ForEach, Repeat, Group)

Change = Callable[[str, StepPlan], StepPlan]

_INDEX: Final = re.compile(r"\[\d+\]")


def bare(path: str) -> str:
    """Return a path without its numbers."""
    return _INDEX.sub("", path)


def steps_of(plan: Plan) -> dict[str, StepPlan]:
    """Return all steps of a plan, at any depth, by path; those of a pipeline that calls itself once."""
    found: dict[str, StepPlan] = {}

    def keep(path: str, step: StepPlan) -> StepPlan:
        found[path] = step
        return step

    _Walk(plan, keep).all()
    return found


def asks_models(step: StepPlan) -> bool:
    """Whether a step itself asks models, or each item of it does."""
    match step.work:
        case ToolCall(action=action):
            return action.uses_model
        case ForEach(body=StepPlan() as body):
            return asks_models(body)
        case work:
            return isinstance(work, Agent)


def own_work(step: StepPlan) -> Work:
    """Return what a step does, or what it does with each item, where that is one call or one question."""
    work = step.work
    return work.body.work if isinstance(work, ForEach) and isinstance(work.body, StepPlan) else work


def split_field(path: str, steps: Mapping[str, StepPlan]) -> tuple[str, str]:
    """Return the step that a path names, and the field of its result that stands behind it, if one does."""
    step, _, field = path.rpartition(".")
    return (step, field) if bare(path) not in steps and bare(step) in steps else (path, "")


def stubbed(plan: Plan, values: Mapping[str, Any]) -> Plan:
    """Return a plan in which steps that call tools give these values, by path; the numbers of items may be in it.

    A value is the tool's result, or the primary value of one; an error is raised.
    """
    wanted = {bare(path) for path in values}

    def change(path: str, step: StepPlan) -> StepPlan:
        work = step.work
        if path not in wanted or not isinstance(work, ToolCall):
            return step
        return replace(step, work=replace(work, action=_stub(work.action, path, values)), cache=None)

    return _Walk(plan, change).all() if values else plan


def _stub(action: Action, within: str, values: Mapping[str, Any]) -> Action:
    async def stub(context: Any, **_: Any) -> Any:
        path = context.step
        # An agent numbers the further calls of a tool in one turn.
        value = next((values[each] for each in (path, bare(path), within) if each in values), _NONE)
        if value is _NONE:
            raise StepError(f"the test has no stub for `{path}`", help=f"add `{path}` to `stub`", retryable=False)
        if isinstance(value, BaseException):
            raise value
        return {action.primary: value} if action.primary is not None and not isinstance(value, Mapping) else value

    return replace(
        action,
        function=stub,
        mode="async",
        takes_context=True,
        requires=(),
        refusal=None,
        uses_model=False,
    )


_NONE: Final = object()


class _Walk:
    """Goes through a plan and makes it anew of what `change` makes of each step."""

    def __init__(self, plan: Plan, change: Change) -> None:
        self._plan = plan
        self._change = change
        self._called: dict[str, Plan] = dict(plan.pipelines)
        self._within: list[str] = []

    def all(self) -> Plan:
        plan = self._pipeline(self._plan, "")
        return plan if self._called == dict(plan.pipelines) else replace(plan, pipelines=self._called)

    def _pipeline(self, plan: Plan, path: str) -> Plan:
        steps = self._steps(plan.steps, path)
        handlers = self._handlers(plan.error_handlers, _below(path, "error_handlers"))
        last = plan.finally_ and self._block(plan.finally_, _below(path, "finally"))
        if (steps, handlers, last) == (plan.steps, plan.error_handlers, plan.finally_):
            return plan
        return replace(plan, steps=steps, error_handlers=handlers, finally_=last)

    def _steps(self, steps: tuple[StepPlan, ...], path: str) -> tuple[StepPlan, ...]:
        return tuple(self._step(step, _below(path, step.id)) for step in steps)

    def _block(self, block: Block, path: str) -> Block:
        steps = self._steps(block.steps, path)
        return block if steps == block.steps else Block(steps)

    def _step(self, step: StepPlan, path: str) -> StepPlan:
        work = self._work(step.work, path)
        handlers = self._handlers(step.on_error, _below(path, "on_error"))
        if work is not step.work or handlers != step.on_error:
            step = replace(step, work=work, on_error=handlers)
        return self._change(path, step)

    def _handlers(self, handlers: tuple[Handler, ...], path: str) -> tuple[Handler, ...]:
        return tuple(
            handler if handler.body is None else replace(handler, body=self._block(handler.body, path))
            for handler in handlers
        )

    def _work(self, work: Work, path: str) -> Work:
        match work:
            case ForEach(body=StepPlan() as body):
                return _with_body(work, self._step(body, path))
            case ForEach(body=Block() as block):
                return _with_body(work, self._block(block, path))
            case Repeat():
                return _with_body(work, self._block(work.body, path))
            case Group():
                return _with_body(work, self._block(work.body, path))
            case Switch():
                cases = tuple((key, self._block(block, path)) for key, block in work.cases)
                default = work.default and self._block(work.default, path)
                return replace(work, cases=cases, default=default)
            case SubPipeline() if work.source not in self._within:
                return self._call(work, path)
            case Agent():
                return replace(work, tools=tuple(self._offered(tool, path) for tool in work.tools))
            case _:
                return work

    def _offered(self, offered: AgentTool, path: str) -> AgentTool:
        """A tool of an agent is a step as soon as its model asks for it."""
        call = ToolCall(offered.tool, offered.action, Constant({}))
        changed = self._step(StepPlan(offered.name, call), _below(path, offered.name)).work
        return replace(offered, action=changed.action) if isinstance(changed, ToolCall) else offered

    def _call(self, work: SubPipeline, path: str) -> SubPipeline:
        """A called pipeline that is changed for one call becomes another one, as it may be called elsewhere too."""
        called = self._plan.pipelines[work.source]
        self._within.append(work.source)
        changed = self._pipeline(called, path)
        self._within.pop()
        if changed is called:
            return work
        source = f"{work.source} as called by {path}"
        self._called[source] = changed
        return replace(work, source=source)


def _with_body(work: _Repeated, body: Any) -> _Repeated:
    return work if body is work.body else replace(work, body=body)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
