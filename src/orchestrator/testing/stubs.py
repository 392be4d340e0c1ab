"""The steps of a plan by their paths, and plans in which some steps give what a test says instead of doing their work.

Here a path has no numbers: `translate.draft` is that step of all items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from orchestrator.errors import StepError
from orchestrator.expressions import Constant
from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.steps import (
    Agent,
    ForEach,
    RepeatLoop,
    StepPlan,
    ToolCall,
    Work,
)
from orchestrator.plan.substitution import substitute
from orchestrator.plan.values import Computation
from orchestrator.plan.walk import item_step, walk, without_brackets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.plan.model import Plan
    from orchestrator.tools.contract import Action


def steps_of(plan: Plan) -> dict[str, StepPlan]:
    """Return all steps of a plan, at any depth, by path; those of a pipeline that calls itself once."""
    found: dict[str, StepPlan] = {}
    for visit in walk(plan, calls="each"):
        found.setdefault(visit.shape, visit.step)
    return found


def asks_models(step: StepPlan) -> bool:
    """Whether a step, or each item of it, calls models."""
    match step.work:
        case ToolCall(action=action):
            return action.uses_model
        case Agent():
            return True
        case _:
            return (item := item_step(step)) is not None and asks_models(item)


def own_work(step: StepPlan) -> Work:
    """Return what a step does, or what it does with each item, where that is one call or one question."""
    return (item_step(step) or step).work


def split_field(path: str, steps: Mapping[str, StepPlan]) -> tuple[str, tuple[str | int, ...]]:
    """Return the step that a path names, and the keys of the part of its value after it: `sum.tags[0]`, `sum.tags.0`.

    The numbers of items belong to the path of the step.
    """
    for end in (len(path), *(found.start() for found in reversed([*_KEY.finditer(path)]))):
        step = steps.get(without_brackets(path[:end]))
        if step is None or not _KEYS.fullmatch(path, end):
            continue
        if not path[:end].endswith("]") or isinstance(step.work, ForEach | RepeatLoop):
            keys = (found[1] or found[2] for found in _KEY.finditer(path, end))
            return path[:end], tuple(int(key) if key.isdecimal() else key for key in keys)
    return path, ()


_KEY: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_KEYS: Final = re.compile(rf"(?:{_KEY.pattern})*")


def part_of(value: Any, keys: Iterable[str | int]) -> Any:
    """Return a part of a value, null where there is none."""
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(str(key))
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key] if key < len(value) else None
        else:
            return None
    return value


def stubbed(plan: Plan, values: Mapping[str, Any]) -> Plan:
    """Return a plan in which steps that call tools give these values, by path; the numbers of items may be in it.

    A value is the tool's result, or the primary value of one; an error is raised. No test starts a run of its own: a
    step that would gives an id that no run has.
    """
    wanted = {without_brackets(path) for path in values}

    def change(written: str, step: StepPlan) -> StepPlan:
        path, work = without_brackets(written), step.work
        if isinstance(work, DetachedRun):
            tells = path in wanted and not isinstance(values[path], BaseException)
            return replace(step, work=Computation(Constant(values[path] if tells else f"run-of-{step.id}")))
        if path not in wanted or not isinstance(work, ToolCall):
            return step
        return replace(step, work=replace(work, action=_stub(work.action, path, values)), cache=None, produces=())

    return substitute(plan, change)


def _stub(action: Action, within: str, values: Mapping[str, Any]) -> Action:
    async def stub(context: Any, **_: Any) -> Any:
        path = context.step
        # An agent numbers the further calls of a tool in one turn.
        value = next((values[each] for each in (path, without_brackets(path), within) if each in values), _NONE)
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
