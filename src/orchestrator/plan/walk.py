"""The one traversal of a plan: every step with its path, for dataclasses and for recorded JSON.

Paths are those of a run, with `[*]` for every item or round: `loop[*].draft`. The single step that a loop repeats has
the path of the item, `loop[*]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Generic, Literal, TypeVar, overload

from msgspec import Struct

from orchestrator.plan.children import Children
from orchestrator.plan.model import Plan
from orchestrator.plan.steps import EACH, StepPlan, SubPipeline, handler_children

Data = Mapping[str, Any]
"""A plan, or a step of one, as JSON data."""

S = TypeVar("S")

_BRACKETS: Final = re.compile(r"\[[^\[\]]*\]")


class Visit(Struct, Generic[S], frozen=True):
    """A step that the traversal has reached, its path, and the block that contains it."""

    path: str
    step: S
    within: Children[S]

    @property
    def shape(self) -> str:
        """The path without the brackets of items, rounds and handlers."""
        return without_brackets(self.path)


def without_brackets(path: str) -> str:
    """Return a path without its brackets: `loop.draft` for `loop[2].draft` and for `loop[*].draft`."""
    return _BRACKETS.sub("", path)


@overload
def children(step: StepPlan) -> Iterator[Children[StepPlan]]: ...


@overload
def children(step: Data) -> Iterator[Children[Data]]: ...


def children(step: Any) -> Iterator[Children[Any]]:
    """Yield the blocks of steps inside a step: those of its work, that handle its errors, that undo it."""
    return step.children() if isinstance(step, StepPlan) else _children_of_data(step)


def _children_of_data(step: Data) -> Iterator[Children[Data]]:
    each = EACH if step.get("kind") in ("for_each", "while", "until") else ""
    if "step" in step:
        yield Children("item", (step["step"],), segment=each)
    if "steps" in step:
        yield Children("body", step["steps"], segment=each)
    for case in step.get("cases", ()):
        yield Children("case", case["steps"], case["case"])
    if step.get("kind") == "switch" and "default" in step:
        yield Children("default", step["default"], "default")
    if step.get("kind") == "agent" and (called := tools_of_agent(step, "pipelines")):
        yield Children("turn", [call_of_agent(one, one["name"]) for one in called.values()], segment=EACH)
    yield from _handlers_of_data(step.get("on_error", ()), ".on_error")
    if "undo" in step:
        yield Children("undo", step["undo"], "undo", ".undo")


def _handlers_of_data(handlers: Sequence[Data], segment: str) -> Iterator[Children[Data]]:
    for number, handler in enumerate(handlers):
        if "steps" in handler:
            yield Children("handler", handler["steps"], segment=f"{segment}[{number}]")


@overload
def top_level(plan: Plan) -> Iterator[Children[StepPlan]]: ...


@overload
def top_level(plan: Data) -> Iterator[Children[Data]]: ...


def top_level(plan: Any) -> Iterator[Children[Any]]:
    """Yield the blocks of a pipeline: its steps, the handlers of its errors, `finally`."""
    if isinstance(plan, Plan):
        yield Children("body", plan.steps)
        yield from handler_children(plan.error_handlers, ".error_handlers")
        if plan.finally_ is not None:
            yield Children("finally", plan.finally_.steps, segment=".finally")
        return
    yield Children("body", plan.get("steps", ()))
    yield from _handlers_of_data(plan.get("error_handlers", ()), ".error_handlers")
    if "finally" in plan:
        yield Children("finally", plan["finally"], segment=".finally")


Calls = Literal["none", "once", "each"]
"""Whether a traversal enters called pipelines: never, each pipeline at its first call, or at every call."""


@overload
def walk(plan: Plan, *, calls: Calls = "none") -> Iterator[Visit[StepPlan]]: ...


@overload
def walk(plan: Data, *, calls: Calls = "none") -> Iterator[Visit[Data]]: ...


def walk(plan: Any, *, calls: Calls = "none") -> Iterator[Visit[Any]]:
    """Yield every step of a plan at any depth, each before the steps inside it.

    The steps of a called pipeline follow the call; a pipeline that calls itself is entered once.
    """
    pipelines = plan.pipelines if isinstance(plan, Plan) else plan.get("pipelines", {})
    return _Traversal({} if calls == "none" else pipelines, every_call=calls == "each").blocks(top_level(plan), "")


def walk_step(step: Data, pipelines: Mapping[str, Data]) -> Iterator[Visit[Data]]:
    """Yield every step inside a step as JSON data, at any depth; each of the `pipelines` that they call once."""
    return _Traversal(pipelines).inside(step, "")


def item_step(step: StepPlan) -> StepPlan | None:
    """Return the single step that a loop runs for each item, None for other steps and for loops with a block."""
    return next((block.steps[0] for block in step.work.children() if block.role == "item"), None)


def inner_steps(step: Data, pipelines: Mapping[str, Data]) -> list[Data]:
    """Return the steps directly inside a step as JSON data, or of the pipeline that it calls; no handlers or `undo`."""
    source = called_pipeline(step)
    if source is not None:
        return list(pipelines.get(source, {}).get("steps", ()))
    outside = ("item", "handler", "undo", "turn")
    return [inner for block in children(step) if block.role not in outside for inner in block.steps]


def tools_of_agent(agent: Data, kind: Literal["tools", "pipelines"]) -> dict[str, Data]:
    """Return the tools or the pipelines, by name, of an agent as JSON data and of those that it can hand over to."""
    return {one["name"]: one for each in (agent, *agent.get("roles", ())) for one in each.get(kind, ())}


def call_of_agent(pipeline: Data, id: str) -> Data:
    """Return the step as JSON data in which an agent calls one of its pipelines."""
    return {"id": id, "kind": "pipeline", "pipeline": pipeline["pipeline"], "inputs": {}, "dependencies": ["answer"]}


def called_pipeline(step: Any) -> str | None:
    """Return the key of the pipeline that a step calls, None for other steps."""
    if isinstance(step, StepPlan):
        return step.work.source if isinstance(step.work, SubPipeline) else None
    return step["pipeline"] if step.get("kind") == "pipeline" else None


class _Traversal:
    """Visits blocks of steps; `_entered` are the pipelines that are not entered again."""

    def __init__(self, pipelines: Mapping[str, Any], *, every_call: bool = False) -> None:
        self._pipelines = pipelines
        self._every_call = every_call
        self._entered: set[str] = set()

    def blocks(self, blocks: Iterator[Children[Any]], parent: str) -> Iterator[Visit[Any]]:
        for block in blocks:
            for step in block.steps:
                path = block.path(parent, _id_of(step))
                yield Visit(path, step, block)
                yield from self.inside(step, path)

    def inside(self, step: Any, path: str) -> Iterator[Visit[Any]]:
        source = called_pipeline(step)
        if source is not None and source in self._pipelines and source not in self._entered:
            self._entered.add(source)
            yield from self.blocks(top_level(self._pipelines[source]), path)
            if self._every_call:
                self._entered.discard(source)
        yield from self.blocks(children(step), path)


def _id_of(step: Any) -> str:
    found: str = step.id if isinstance(step, StepPlan) else step["id"]
    return found
