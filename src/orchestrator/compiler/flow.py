"""In which order steps can run: dependencies, jumps, cycles, and which steps may be skipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from orchestrator.compiler.templates import child
from orchestrator.diagnostics import Span, suggest
from orchestrator.language.nodes import Node, Scalar
from orchestrator.language.nodes import Sequence as SequenceNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.compiler.findings import Findings
    from orchestrator.language.spec import StepSpec

JumpKind = Literal["on_success", "on_false", "on_failure"]
JUMP_KINDS: tuple[JumpKind, ...] = ("on_success", "on_false", "on_failure")


@dataclass(frozen=True, slots=True)
class Edge:
    """`step` waits for `on`, because of what stands in `node`; `reason` says it in words.

    `part` are the offsets in the text of `node`, where it is an expression; None: all of it.
    """

    step: str
    on: str
    node: Node
    reason: str
    part: tuple[int, int] | None = None

    @property
    def span(self) -> Span:
        """The place, computed when it is asked for: few edges are ever shown."""
        return self.node.span_of(*self.part) if self.part and isinstance(self.node, Scalar) else self.node.span


@dataclass(slots=True)
class Flow:
    """The order of one pipeline's steps: the edges by step and by dependency, the jumps, and what they skip."""

    edges: dict[str, dict[str, Edge]] = field(default_factory=dict)
    jumps: dict[str, dict[JumpKind, str]] = field(default_factory=dict)
    skips: dict[str, dict[JumpKind, tuple[str, ...]]] = field(default_factory=dict)
    skippers: dict[str, set[str]] = field(default_factory=dict)

    def add(self, edge: Edge) -> None:
        """Record that a step waits for another; the first reason is kept."""
        self.edges.setdefault(edge.step, {}).setdefault(edge.on, edge)

    def dependencies(self, step: str) -> tuple[str, ...]:
        """The ids of all steps that `step` waits for."""
        return tuple(self.edges.get(step, ()))


def add_declared(flow: Flow, steps: Sequence[StepSpec], ids: Mapping[str, int], findings: Findings) -> None:
    """Add the edges that `dependencies:` declares."""
    for step in steps:
        listed = child(step.node, "dependencies")
        if not isinstance(listed, SequenceNode):
            continue
        for node in listed.items:
            name = node.value if isinstance(node, Scalar) else None
            if not isinstance(name, str):
                continue
            if name == step.id:
                findings.add(
                    "ORC304",
                    node.span,
                    f"step `{name}` depends on itself",
                    label="itself",
                    help=f"remove `{name}` from its own dependencies",
                )
            elif name not in ids:
                report_unknown_step(findings, "ORC302", node.span, f"there is no step `{name}`", name, ids)
            elif step.id:
                flow.add(Edge(step.id, name, node, f"`{step.id}` lists `{name}` in its dependencies"))


def add_jumps(flow: Flow, steps: Sequence[StepSpec], ids: Mapping[str, int], findings: Findings) -> None:
    """Check the jumps, and add the edges that make them safe.

    A jump from A to B skips every step between them in the file's order. So that the decision never depends on
    timing, each of these steps, and B itself, waits for A.
    """
    for position, step in enumerate(steps):
        for kind in JUMP_KINDS:
            found = _jump(step, kind)
            if found is None:
                continue
            target, node = found
            if target not in ids:
                message = f"`{kind}` jumps to `{target}`, and there is no such step"
                report_unknown_step(findings, "ORC306", node.span, message, target, ids)
            elif ids[target] <= position:
                where = "itself" if target == step.id else f"the earlier step `{target}`"
                findings.add(
                    "ORC307",
                    node.span,
                    f"`{kind}` jumps from `{step.id}` back to {where}",
                    label="jumps only go forward",
                    help="name a later step; to try a step again use `retry:`",
                    related=[("the step is here", _id_span(steps[ids[target]]))] if target != step.id else [],
                )
            elif step.id:
                _add_jump(flow, steps, step.id, kind, ids[target], position, node)


def _add_jump(
    flow: Flow, steps: Sequence[StepSpec], source: str, kind: JumpKind, to: int, position: int, node: Node
) -> None:
    between = tuple(other.id for other in steps[position + 1 : to] if other.id)
    target = steps[to].id
    flow.jumps.setdefault(source, {})[kind] = target
    flow.skips.setdefault(source, {})[kind] = between
    for other in between:
        flow.skippers.setdefault(other, set()).add(source)
    for other in (*between, target):
        flow.add(Edge(other, source, node, f"`{source}` may jump to `{target}`, so `{other}` waits for it"))


def _jump(step: StepSpec, kind: JumpKind) -> tuple[str, Node] | None:
    if kind == "on_failure":
        if step.on_failure is None or step.on_failure.kind != "jump" or not step.on_failure.target:
            return None
        return step.on_failure.target, child(step.node, kind, "target") or child(step.node, kind) or step.node
    target = getattr(step, kind)
    node = child(step.node, kind)
    return (target, node) if isinstance(target, str) and node is not None else None


def report_cycles(flow: Flow, order: Sequence[str], findings: Findings) -> None:
    """Report each group of steps that wait for one another, once, with the whole path of a shortest cycle."""
    for group in _components(flow.edges, order):
        cycle = _shortest_cycle(flow.edges, group)
        edges = [flow.edges[step][on] for step, on in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        first, *others = edges
        findings.add(
            "ORC305",
            first.span,
            f"steps wait for one another in a circle: {' -> '.join(f'`{name}`' for name in [*cycle, cycle[0]])}",
            label=first.reason,
            help="remove one of these references; a step can only read steps that end before it starts",
            related=[(edge.reason, edge.span) for edge in others],
        )


def _components(edges: Mapping[str, Mapping[str, Edge]], order: Sequence[str]) -> Iterator[list[str]]:
    """Yield the strongly connected components of more than one step (Tarjan 1972, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for root in order:
        if root in index:
            continue
        work: list[tuple[str, Iterator[str]]] = [(root, iter(edges.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            step, remaining = work[-1]
            for on in remaining:
                if on not in index:
                    index[on] = low[on] = len(index)
                    stack.append(on)
                    on_stack.add(on)
                    work.append((on, iter(edges.get(on, ()))))
                    break
                if on in on_stack:
                    low[step] = min(low[step], index[on])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[step])
                if low[step] == index[step]:
                    group = [stack.pop()]
                    while group[-1] != step:
                        group.append(stack.pop())
                    group.reverse()
                    on_stack.difference_update(group)
                    if len(group) > 1:
                        yield group


def _shortest_cycle(edges: Mapping[str, Mapping[str, Edge]], group: Sequence[str]) -> list[str]:
    """A shortest cycle through the first step of the group, by breadth-first search."""
    start, members = group[0], set(group)
    came_from: dict[str, str] = {}
    queue = [start]
    for step in queue:
        for on in edges.get(step, ()):
            if on == start:
                path = [step]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if on in members and on not in came_from:
                came_from[on] = step
                queue.append(on)
    return list(group)


def _id_span(step: StepSpec) -> Span:
    return (child(step.node, "id") or step.node).span


def report_unknown_step(
    findings: Findings, code: str, span: Span, message: str, name: str, ids: Mapping[str, int], *, fix: bool = True
) -> None:
    """Report that no step is called `name`; with `fix`, what stands at `span` may be replaced by a near id."""
    near = suggest(name, ids)
    known = ", ".join(f"`{other}`" for other in list(ids)[:12]) + (", …" if len(ids) > 12 else "")
    help = f"did you mean `{near}`?" if near else f"steps: {known}"
    findings.add(code, span, message, label="unknown step", help=help, replacement=near if fix else None)
