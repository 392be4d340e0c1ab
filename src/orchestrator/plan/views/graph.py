"""The graph of a plan that is drawn: steps, the blocks inside them, and the edges between the steps of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, field

from orchestrator.plan.children import Children
from orchestrator.plan.model import Plan
from orchestrator.plan.steps import ForEach, StepPlan
from orchestrator.plan.views.layout import without_implied
from orchestrator.plan.walk import called_pipeline, children, top_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.plan.children import ChildrenRole


EdgeKind = Literal["data", "on_success", "on_false", "on_failure"]
SectionKind = Literal["body", "case", "handler"]

_KINDS: Final[Mapping[ChildrenRole, SectionKind]] = {
    "case": "case",
    "default": "case",
    "handler": "handler",
    "undo": "handler",
}
"""How blocks are drawn; all others are bodies."""

LABELS: Final = {"data": "", "on_success": "on success", "on_false": "if false", "on_failure": "on failure"}
"""The label of an edge."""

MOST_STEPS: Final = 2_000
"""Above this number of steps, called pipelines are drawn collapsed: nested calls can multiply the steps."""


class GraphEdge(Struct, frozen=True):
    """One step must end before another, or jumps to it."""

    source: str
    target: str
    kind: EdgeKind = "data"


class GraphSection(Struct, frozen=True):
    """A block inside a step: its body, a case, an error handler, its `undo`. `edges` connect the keys of nodes."""

    label: str
    kind: SectionKind
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


class GraphNode(Struct, frozen=True):
    """A step, or another part of the pipeline, such as `finally`. `key` is unique in the graph.

    `title` and `what` are the two lines in its box, `hint` is the tooltip. `state` is the state of the step in a run,
    of many items the most important one; empty if no run is drawn.
    """

    key: str
    title: str
    what: str
    hint: str = ""
    conditional: bool = False
    many: bool = False
    sections: tuple[GraphSection, ...] = ()
    state: str = ""


class Graph(Struct, frozen=True):
    """The whole graph: the steps, and below them what runs when they have ended."""

    title: str
    steps: GraphSection
    afterwards: tuple[GraphNode, ...] = ()


States = Mapping[str, Mapping[str, int]]
"""The number of steps of a run in each state, by path; `[*]` means all items of a loop."""

STATES: Final = ("failed", "running", "waiting", "cancelled", "pending", "skipped", "succeeded")
"""The states of steps, the most important one first."""


def graph_of(plan: Plan, states: States | None = None) -> Graph:
    """Return the graph of a plan, called pipelines included; with `states`, the state of a run of it."""
    reader = _GraphReader(plan.pipelines, states)
    first, *others = top_level(plan)
    steps = reader.section(first, "")
    handlers = [block for block in others if block.role == "handler"]
    afterwards = []
    if plan.error_handlers:
        key = reader.key()
        sections = tuple(reader.section(block, "") for block in handlers)
        afterwards.append(GraphNode(key, "error_handlers", "if the run fails", sections=sections))
    for last in others[len(handlers) :]:
        section = reader.section(last, "")
        afterwards.append(GraphNode(reader.key(), "finally", "always runs last", sections=(section,)))
    return Graph(plan.name or plan.id, steps, tuple(afterwards))


def edges(steps: Sequence[StepPlan]) -> list[GraphEdge]:
    """Return a block's edges by ids: dependencies, without those that longer paths imply, and jumps with their kind."""
    known = {step.id for step in steps}
    jumps = [jump for step in steps for jump in _jumps(step) if jump.target in known]
    jumping = {(jump.source, jump.target) for jump in jumps}
    pairs = [(dependency, step.id) for step in steps for dependency in step.dependencies if dependency in known]
    pairs = list(dict.fromkeys([*pairs, *jumping]))
    kept = without_implied([step.id for step in steps], pairs) - jumping
    return [*(GraphEdge(*pair) for pair in pairs if pair in kept), *jumps]


def _jumps(step: StepPlan) -> Iterator[GraphEdge]:
    if step.on_success:
        yield GraphEdge(step.id, step.on_success, "on_success")
    if step.on_false:
        yield GraphEdge(step.id, step.on_false, "on_false")
    if step.on_failure.kind == "jump" and step.on_failure.target:
        yield GraphEdge(step.id, step.on_failure.target, "on_failure")


class _GraphReader(Struct):
    """Builds the graph of a plan. `_trail` are the pipelines that enclose the current step."""

    pipelines: Mapping[str, Plan]
    states: States | None = None
    _numbers: Iterator[int] = field(default_factory=count)
    _read: int = 0
    _trail: tuple[str, ...] = ()

    def key(self) -> str:
        return f"s{next(self._numbers)}"

    def section(self, block: Children[StepPlan], parent: str) -> GraphSection:
        """Return the section of a block inside the step at the path `parent`."""
        self._read += len(block.steps)
        key_of = {step.id: self.key() for step in block.steps}
        nodes = tuple(self.node(key_of[step.id], step, block.path(parent, step.id)) for step in block.steps)
        drawn = (GraphEdge(key_of[edge.source], key_of[edge.target], edge.kind) for edge in edges(block.steps))
        return GraphSection(block.label, _KINDS.get(block.role, "body"), nodes, tuple(drawn))

    def node(self, key: str, step: StepPlan, path: str) -> GraphNode:
        what = step.work.describe()
        state, told = self.state(path)
        what += f" · {told}" if told else ""
        hint = f"{step.name or step.id}: {what}"
        if step.condition is not None:
            hint += f"\nonly if {step.condition.text}"
        if step.description:
            hint += f"\n{step.description}"
        return GraphNode(
            key,
            step.id,
            what,
            hint,
            conditional=step.condition is not None,
            many=isinstance(step.work, ForEach),
            sections=tuple(self.sections(step, path)),
            state=state,
        )

    def state(self, path: str) -> tuple[str, str]:
        """Return the state of a step in the run that is drawn, and its description."""
        counts = self.states.get(path) if self.states is not None else None
        if counts is None:  # no run is drawn, or it has not come to this step
            return "", ""
        state = next((each for each in STATES if counts.get(each)), "pending")
        if sum(counts.values()) == 1:
            return state, state
        return state, ", ".join(f"{counts[each]} {each}" for each in reversed(STATES) if counts.get(each))

    def sections(self, step: StepPlan, path: str) -> Iterator[GraphSection]:
        source = called_pipeline(step)
        called = self.pipelines.get(source) if source is not None else None
        is_entered = source is None or source in self._trail
        if called is not None and not is_entered and self._read + len(called.steps) <= MOST_STEPS:
            outside, self._trail = self._trail, (*self._trail, str(source))
            yield self.section(Children("body", called.steps), path)
            self._trail = outside
        for block in children(step):
            if block.role == "item":  # drawn as the loop itself
                yield from self.sections(block.steps[0], f"{path}{block.segment}")
            elif block.role != "turn":
                yield self.section(block, path)
