"""Dependency cycles of steps and pipelines, and topological order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.compiler.ir.dependency import Flow
    from orchestrator.compiler.ir.diagnostics import Diagnostics


def report_cycles(flow: Flow, order: Sequence[str], diagnostics: Diagnostics) -> None:
    """Report each group of steps that depend on one another once, with a shortest cycle."""
    for cycle in find_cycles(flow.edges, order):
        edges = [flow.edges[step][on] for step, on in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        first, *others = edges
        diagnostics.add(
            codes.DEPENDENCY_CYCLE,
            first.span,
            f"dependency cycle: {' -> '.join(f'`{name}`' for name in [*cycle, cycle[0]])}",
            label=first.reason,
            help="remove one of these references; a step can read only steps that end before it starts",
            related=[(edge.reason, edge.span) for edge in others],
        )


def find_cycles(edges: Mapping[str, Mapping[str, object]], order: Sequence[str]) -> Iterator[list[str]]:
    """Yield a shortest cycle of each strongly connected group of nodes."""
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
    """Return a shortest cycle through the first step of the group, by breadth-first search."""
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


def topological_order(edges: Mapping[str, Mapping[str, object]], order: Sequence[str]) -> list[str]:
    """Return the nodes in topological order, each after its targets; cycles and what leads to them come last."""
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
