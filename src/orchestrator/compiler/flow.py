"""In which order the steps of a block can run: dependencies, jumps, cycles, and which steps may be skipped."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.jumps import JUMP_KINDS, Cover, Jump, JumpKind, covers, last_jumps
from orchestrator.compiler.rules.unresolved_names import around, report_unknown_step
from orchestrator.compiler.templates import child
from orchestrator.diagnostics import suggest
from orchestrator.language.aliases import keys
from orchestrator.language.yaml.nodes import Node, Scalar
from orchestrator.language.yaml.nodes import Sequence as SequenceNode
from orchestrator.plan.auto_values import auto_id, is_auto
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.compiler.context import Unit
    from orchestrator.compiler.findings import Findings
    from orchestrator.compiler.ir import BlockParts, StepParts
    from orchestrator.compiler.templates import PlacedTemplate
    from orchestrator.diagnostics import Span
    from orchestrator.expressions import Reference
    from orchestrator.language.spec.pipeline import StepSpec


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
    """The order of one block's steps: the edges by step and by dependency, and the jumps.

    `covers` are the innermost jumps over each position that a jump may skip.
    """

    edges: dict[str, dict[str, Edge]] = field(default_factory=dict)
    jumps: dict[str, dict[JumpKind, Jump]] = field(default_factory=dict)
    covers: dict[int, Cover] = field(default_factory=dict)

    def add(self, edge: Edge) -> None:
        """Record that a step waits for another; the first reason is kept."""
        self.edges.setdefault(edge.step, {}).setdefault(edge.on, edge)

    def dependencies(self, step: str) -> tuple[str, ...]:
        """The ids of all steps that `step` waits for."""
        return tuple(self.edges.get(step, ()))


def add_reads(unit: Unit, step: StepParts) -> None:
    """Add the edges that the expressions of a step make: in its own block, or in the one around it that is read."""
    for place in step.places():
        for reference in place.template.references:
            unit.note_read(place, reference)
            target = place.scope.target(reference)
            if target is not None and target.block is not None and step.id:
                _add_read(unit, step, target.block, target.name, place, reference)


def _add_read(
    unit: Unit, reader: StepParts, block: BlockParts, on: str, place: PlacedTemplate, reference: Reference
) -> None:
    step = reader.within(block)
    if step is None or not step.id:  # what runs after all of the block: `finally`, or the loop that it is the body of
        return
    part = (reference.start, reference.end)
    if step.id == on:
        if on not in unit.shared:  # it may be the input of the same name that is read
            in_check = reader.check is not None and any(place is each for each in reader.check.places)
            _report_own(unit, reader, step, place.scalar.span_of(*part), "is `output`" if in_check else "reads")
    elif on not in block.flow.edges.get(step.id, ()):
        block.flow.add(Edge(step.id, on, place.scalar, f"{_within(reader, step)} reads `{on}`", part))


def _within(reader: StepParts, step: StepParts) -> str:
    return f"`{step.id}`" if reader is step else f"`{reader.id}` in `{step.id}`"


def _report_own(unit: Unit, reader: StepParts, step: StepParts, span: Span, verb: str) -> None:
    """Report a step that waits for itself, or for the step that it is a part of."""
    if reader is step:
        message = f"step `{step.id}` reads its own result, which does not exist before it has run"
        help = "read an earlier step"
        if verb == "is `output`":
            help = f"in `check` it is called `output`: write that in place of `{step.id}`"
        elif verb != "reads":
            message, help = f"step `{step.id}` depends on itself", f"remove `{step.id}` from its own dependencies"
        label = "itself"
    elif any(part.block.kind == "handler" and part.block.owner is step for part in reader.outwards()):
        message = f"`{reader.id}` handles a failure of `{step.id}`, which has no result before that is done"
        help, label = "read `error`: it says what has failed and why", "the step itself"
    else:
        message = f"`{reader.id}` is a part of `{step.id}`, which has no result before all of its parts have ended"
        help, label = "read a step that ends before", "the step around it"
    unit.findings.add(codes.SELF_REFERENCE, span, message, label=label, help=help)


def add_declared(unit: Unit, block: BlockParts) -> None:
    """Add the edges that `dependencies:` declares; on a step outside, they hold for the whole of what is inside."""
    for step in block.steps:
        listed = child(step.spec.node, "dependencies")
        if not isinstance(listed, SequenceNode):
            continue
        for node in listed.items:
            name = node.value if isinstance(node, Scalar) else None
            if not isinstance(name, str):
                continue
            target = block.scope.step(name)
            if target is None or target.block is None:
                message = f"there is no step `{name}`"
                report_unknown_step(unit, codes.UNKNOWN_STEP, node.span, message, name, block.scope, holder=step)
                continue
            waiting = step.within(target.block)
            if waiting is None:
                continue
            if waiting.id == name:
                _report_own(unit, step, waiting, node.span, "depends")
            elif waiting.id:
                reason = f"{_within(step, waiting)} lists `{name}` in its dependencies"
                target.block.flow.add(Edge(waiting.id, name, node, reason))


def add_jumps(unit: Unit, block: BlockParts) -> None:
    """Check the jumps, and add the edges that make them safe.

    A jump from A to B skips every step between them in the file's order. So that the decision never depends on
    timing, each of these steps, and B itself, waits for A, or for a later step that may jump over it and waits for A.
    """
    ids, jumps = block.ids, []
    for position, step in enumerate(block.steps):
        for kind in JUMP_KINDS:
            found = _written_jump(step.spec, kind)
            if found is None:
                continue
            target, node = found
            if target not in ids:
                _report_no_target(unit, block, position, kind, target, node)
            elif ids[target] <= position:
                where = "itself" if target == step.id else f"the earlier step `{target}`"
                unit.findings.add(
                    codes.BACKWARD_JUMP,
                    node.span,
                    f"`{kind}` jumps from `{step.id}` back to {where}",
                    label="jumps only go forward",
                    help="name a later step; to try a step again use `retry:`",
                    related=[("the step is here", block.steps[ids[target]].id_span)] if target != step.id else [],
                )
            elif step.id:
                jump = _jump_to(block, position, ids[target], kind, node)
                block.flow.jumps.setdefault(step.id, {})[kind] = jump
                jumps.append(jump)
    for position, jump in last_jumps(jumps).items():
        step = block.steps[position]
        if step.id and (position < jump.end or position == jump.target):
            source, target = block.steps[jump.source].id, block.steps[jump.target].id
            reason = f"`{source}` may jump to `{target}`, so `{step.id}` waits for it"
            block.flow.add(Edge(step.id, source, jump.node, reason))
    block.flow.covers = covers(jumps)


def _report_no_target(unit: Unit, block: BlockParts, position: int, kind: JumpKind, target: str, node: Node) -> None:
    step = block.steps[position]
    if block.scope.step(target) is None and target not in unit.inside:
        _report_no_step(unit, block, position, kind, target, node)
        return
    outer = around(unit, target, block.scope) if block.scope.step(target) is None else None
    help = "a jump stays within its own list of steps"
    if outer is not None:
        help += f"; jump to the step that it is a part of: `{outer.id}`"
    elif block.owner is not None:
        help += f"; to leave `{block.owner.id}` let `{block.owner.id}` itself jump"
    unit.findings.add(
        codes.UNKNOWN_JUMP_TARGET,
        node.span,
        f"`{kind}` of `{step.id}` jumps to `{target}`, which is not in the same list of steps",
        label="in another list",
        help=help,
    )


def _report_no_step(unit: Unit, block: BlockParts, position: int, kind: JumpKind, target: str, node: Node) -> None:
    """Report a jump to a step that is nowhere. What is no id is hardly one: a text to go on with, or a sentence."""
    key = block.steps[position].spec.node.key(kind)
    written = keys.written(key) if key is not None else kind
    near = suggest(target, _after(block, position))
    later = [*islice(_after(block, position), 13)]
    others = ""
    if kind == "on_failure":
        meant = suggest(target, _OUTCOMES)
        others = (
            f"write `{written}: continue`, `{written}: fail` or `{written}: {{value: {json.dumps(shorten(target))}}}`"
        )
        if near is None and meant is not None:
            near = meant
    if near is not None:
        help = f"did you mean `{near}`?"
    elif later and (_ID.fullmatch(target) or not others):
        help = f"later steps: {quoted_list(later, most=12)}" + (f"; or {others}" if others else "")
    else:
        help = others or "name a later step; none follows this one"
    message = f"`{written}` jumps to `{shorten(target)}`, and there is no such step"
    if not _ID.fullmatch(target):
        message = f"`{written}` is `{shorten(target)}`, and there is no step of this name to jump to"
    unit.findings.add(codes.UNKNOWN_JUMP_TARGET, node.span, message, label="unknown step", help=help, replacement=near)


def _after(block: BlockParts, position: int) -> Iterator[str]:
    """The ids of the steps of the file after a position."""
    steps = (block.steps[later] for later in range(position + 1, len(block.steps)))
    return (step.id for step in steps if step.id and not is_auto(step.id))


_OUTCOMES: Final = ("continue", "fail")
_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def _jump_to(block: BlockParts, source: int, target: int, kind: JumpKind, node: Node) -> Jump:
    """A jump of a step; the step that asks for the target's `<AUTO>` values, right before it, is not skipped."""
    asked = block.steps[target - 1].id == auto_id(block.steps[target].id)
    return Jump(source, target - 1 if asked else target, target, kind, node)


def _written_jump(step: StepSpec, kind: JumpKind) -> tuple[str, Node] | None:
    if kind == "on_failure":
        if step.on_failure is None or step.on_failure.kind != "jump" or not step.on_failure.target:
            return None
        return step.on_failure.target, child(step.node, kind, "target") or child(step.node, kind) or step.node
    target = getattr(step, kind)
    node = child(step.node, kind)
    return (target, node) if isinstance(target, str) and node is not None else None


def report_cycles(flow: Flow, order: Sequence[str], findings: Findings) -> None:
    """Report each group of steps that wait for one another, once, with the whole path of a shortest cycle."""
    for cycle in circles(flow.edges, order):
        edges = [flow.edges[step][on] for step, on in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        first, *others = edges
        findings.add(
            codes.DEPENDENCY_CYCLE,
            first.span,
            f"steps wait for one another in a circle: {' -> '.join(f'`{name}`' for name in [*cycle, cycle[0]])}",
            label=first.reason,
            help="remove one of these references; a step can only read steps that end before it starts",
            related=[(edge.reason, edge.span) for edge in others],
        )


def circles(edges: Mapping[str, Mapping[str, object]], order: Sequence[str]) -> Iterator[list[str]]:
    """Yield a shortest circle of each group of nodes that lead to one another."""
    for group in _components(edges, order):
        yield _shortest_cycle(edges, group)


def _components(edges: Mapping[str, Mapping[str, object]], order: Sequence[str]) -> Iterator[list[str]]:
    """Yield the strongly connected components that have a cycle (Tarjan 1972, without recursion)."""
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
                    if len(group) > 1 or step in edges.get(step, ()):
                        yield group


def _shortest_cycle(edges: Mapping[str, Mapping[str, object]], group: Sequence[str]) -> list[str]:
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


def in_order(edges: Mapping[str, Mapping[str, object]], order: Sequence[str]) -> list[str]:
    """Return the nodes so that each comes after all that it leads to; those of circles, and before them, come last."""
    missing = {node: len(edges.get(node, ())) for node in order}
    before: dict[str, list[str]] = {}
    for node in order:
        for other in edges.get(node, ()):
            before.setdefault(other, []).append(node)
    ready = [node for node in order if not missing[node]]
    for node in ready:
        for other in before.get(node, ()):
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    return [*ready, *(node for node in order if missing[node] > 0)]
