"""What a picture of a plan shows: steps, the blocks within them, and the edges between the steps of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final, Literal

from orchestrator.plan.model import (
    Agent,
    Approve,
    Ask,
    Block,
    FileItems,
    ForEach,
    Group,
    Plan,
    RangeItems,
    Repeat,
    StepPlan,
    SubPipeline,
    Switch,
    ToolCall,
    Wait,
)
from orchestrator.plan.serialization import source_of
from orchestrator.plan.views.layout import without_implied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.plan.model import Handler, Work

EdgeKind = Literal["data", "on_success", "on_false", "on_failure"]
SectionKind = Literal["body", "case", "handler"]

LABELS: Final = {"data": "", "on_success": "on success", "on_false": "if false", "on_failure": "on failure"}
"""The words beside an edge."""

MOST_STEPS: Final = 2_000
"""Beyond so many steps called pipelines are drawn closed: one that calls another twice doubles it at each level."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One step must end before another, or jumps to it."""

    source: str
    target: str
    kind: EdgeKind = "data"


@dataclass(frozen=True, slots=True)
class Section:
    """A block within a step: its body, one of its cases, what handles its errors. `edges` are between keys of nodes."""

    label: str
    kind: SectionKind
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A step, or a part of the pipeline that is no step. `key` is unique in the picture.

    `title` and `what` are the two lines that are read in its box, `hint` is what there is to say besides. `state` is
    that of the step in a run, of many items the one that matters most; empty where no run is drawn.
    """

    key: str
    title: str
    what: str
    hint: str = ""
    conditional: bool = False
    many: bool = False
    sections: tuple[Section, ...] = ()
    state: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole: the steps, and below them what runs when they have ended."""

    title: str
    steps: Section
    afterwards: tuple[Node, ...] = ()


States = Mapping[str, Mapping[str, int]]
"""How many steps of a run stand how, by their paths, in which `[*]` stands for all items of a loop."""

STATES: Final = ("failed", "running", "waiting", "cancelled", "ready", "pending", "skipped", "succeeded")
"""The states of steps, the one that matters most first."""


def graph_of(plan: Plan, states: States | None = None) -> Graph:
    """Return what a picture of the plan shows, called pipelines included; with `states`, how a run of it stands."""
    reader = _Reader(plan.pipelines, states)
    steps = reader.section("", "body", plan.steps, "")
    afterwards = []
    if plan.error_handlers:
        handlers = reader.handlers(plan.error_handlers, "error_handlers")
        afterwards.append(Node(reader.key(), "error_handlers", "when the run has failed", sections=tuple(handlers)))
    if plan.finally_ is not None:
        section = reader.section("", "body", plan.finally_.steps, "finally.")
        afterwards.append(Node(reader.key(), "finally", "however the run ends", sections=(section,)))
    return Graph(plan.name or plan.id, steps, tuple(afterwards))


def edges(steps: Sequence[StepPlan]) -> list[Edge]:
    """Return a block's edges by ids: dependencies, without those that longer paths imply, and jumps with their kind."""
    known = {step.id for step in steps}
    jumps = [jump for step in steps for jump in _jumps(step) if jump.target in known]
    jumping = {(jump.source, jump.target) for jump in jumps}
    pairs = [(dependency, step.id) for step in steps for dependency in step.dependencies if dependency in known]
    pairs = list(dict.fromkeys([*pairs, *jumping]))
    kept = without_implied([step.id for step in steps], pairs) - jumping
    return [*(Edge(*pair) for pair in pairs if pair in kept), *jumps]


def _jumps(step: StepPlan) -> Iterator[Edge]:
    if step.on_success:
        yield Edge(step.id, step.on_success, "on_success")
    if step.on_false:
        yield Edge(step.id, step.on_false, "on_false")
    if step.on_failure.kind == "jump" and step.on_failure.target:
        yield Edge(step.id, step.on_failure.target, "on_failure")


@dataclass(slots=True)
class _Reader:
    """Reads the steps of a plan. `_trail` names the pipelines that it is inside of."""

    pipelines: Mapping[str, Plan]
    states: States | None = None
    _numbers: Iterator[int] = field(default_factory=count)
    _read: int = 0
    _trail: tuple[str, ...] = ()

    def key(self) -> str:
        return f"s{next(self._numbers)}"

    def section(self, label: str, kind: SectionKind, steps: Sequence[StepPlan], within: str) -> Section:
        """Read a block; `within` is what its steps' paths begin with."""
        self._read += len(steps)
        key_of = {step.id: self.key() for step in steps}
        nodes = tuple(self.node(key_of[step.id], step, within + step.id) for step in steps)
        drawn = (Edge(key_of[edge.source], key_of[edge.target], edge.kind) for edge in edges(steps))
        return Section(label, kind, nodes, tuple(drawn))

    def node(self, key: str, step: StepPlan, path: str) -> Node:
        what = describe(step.work)
        state, told = self.state(path)
        what += f" · {told}" if told else ""
        hint = f"{step.name or step.id}: {what}"
        if step.condition is not None:
            hint += f"\nonly if {step.condition.text}"
        if step.description:
            hint += f"\n{step.description}"
        return Node(
            key,
            step.id,
            what,
            hint,
            conditional=step.condition is not None,
            many=isinstance(step.work, ForEach),
            sections=(*self.sections(step.work, path), *self.handlers(step.on_error, f"{path}.on_error")),
            state=state,
        )

    def state(self, path: str) -> tuple[str, str]:
        """Return the state of a step in the run that is drawn, and the words for it."""
        counts = self.states.get(path) if self.states is not None else None
        if counts is None:  # no run is drawn, or it has not come to this step
            return "", ""
        state = next((each for each in STATES if counts.get(each)), "pending")
        if sum(counts.values()) == 1:
            return state, state
        return state, ", ".join(f"{counts[each]} {each}" for each in reversed(STATES) if counts.get(each))

    def sections(self, work: Work, path: str) -> Iterator[Section]:
        match work:
            case ForEach(body=StepPlan() as step):
                yield from self.sections(step.work, f"{path}[*]")
                yield from self.handlers(step.on_error, f"{path}[*].on_error")
            case ForEach(body=Block(steps)) | Repeat(body=Block(steps)):
                yield self.section("", "body", steps, f"{path}[*].")
            case Group(body=Block(steps)):
                yield self.section("", "body", steps, f"{path}.")
            case Switch(_, cases, default):
                for key, block in cases:
                    yield self.section(key.text, "case", block.steps, f"{path}.")
                if default is not None:
                    yield self.section("default", "case", default.steps, f"{path}.")
            case SubPipeline(source):
                called = self.pipelines.get(source)
                if called is not None and source not in self._trail and self._read + len(called.steps) <= MOST_STEPS:
                    outside, self._trail = self._trail, (*self._trail, source)
                    yield self.section("", "body", called.steps, f"{path}.")
                    self._trail = outside

    def handlers(self, handlers: Sequence[Handler], path: str) -> Iterator[Section]:
        for number, handler in enumerate(handlers):
            if handler.body is not None:
                yield self.section(_errors(handler), "handler", handler.body.steps, f"{path}[{number}].")


def _errors(handler: Handler) -> str:
    """Which errors a handler is for."""
    kinds = [*handler.error_types, *(f"/{pattern}/" for pattern in handler.error_patterns)]
    return f"on error: {', '.join(kinds)}" if kinds else "on any error"


def describe(work: Work) -> str:
    """Say what a step does, in a few words."""
    match work:
        case ToolCall(tool, action):
            return tool.name if tool.name == action.name else f"{tool.name} {action.name}"
        case ForEach():
            each = f"for each {work.name} {_items(work)}"
            return f"{each}: {describe(work.body.work)}" if isinstance(work.body, StepPlan) else each
        case Repeat():
            return f"{work.kind} {work.condition.text}"
        case Switch(subject):
            return f"switch {_expression(source_of(subject))}"
        case Group(parallel=False):
            return "group"
        case Group(wait_for=number):
            return "parallel" if number is None else f"parallel, ends with {number} of {len(work.body.steps)}"
        case SubPipeline(source):
            return f"pipeline {source}"
        case Agent():
            return _agent(work)
        case Ask(prompt):
            return f"asks: {_text(source_of(prompt))}"
        case Approve(title):
            return f"approval: {_text(source_of(title))}"
        case Wait(until, duration):
            words = [("waits until", until), ("sleeps", duration)]
            return " ".join(f"{word} {_moment(source_of(value))}" for word, value in words if value is not None)


def _agent(agent: Agent) -> str:
    """Name the tools; of many, the first ones."""
    names = [one.name for one in agent.tools]
    names += [f"mcp:{one.server}" + (f".{one.tool}" if one.tool else "") for one in agent.servers]
    more = f" and {len(names) - 3} more" if len(names) > 4 else ""
    shown = names[:3] if more else names
    return f"agent with {', '.join(shown)}{more}" if names else "agent without tools"


def _moment(source: object) -> str:
    return f"{source:g} s" if isinstance(source, int | float) else _expression(source)


def _items(loop: ForEach) -> str:
    match loop.items:
        case FileItems(path):
            return f"of {_text(source_of(path))}"
        case RangeItems(start, stop, step):
            first, end, by = (_expression(source_of(value)) for value in (start, stop, step))
            return f"from {first} to below {end}" + (f" by {by}" if by != "1" else "")
        case values:
            source = source_of(values)
            return f"of {len(source)}" if isinstance(source, list | dict) else f"of {_expression(source)}"


def _expression(source: object) -> str:
    """A template that is one expression without its braces, as it is read more easily."""
    text = _text(source).strip()
    inner = text.removeprefix("{{").removesuffix("}}").strip()
    return inner if text == f"{{{{ {inner} }}}}" and "{{" not in inner else text


def _text(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return str(value)
