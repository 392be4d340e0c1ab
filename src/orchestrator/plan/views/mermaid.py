"""A plan as a Mermaid flowchart: text that documents and code hosts draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.plan.views.graph import LABELS, graph_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.plan.model import Plan
    from orchestrator.plan.views.graph import GraphNode, GraphSection, States

_ENTITIES: Final = {
    ord(c): f"#{name};" for c, name in {"#": "35", "&": "amp", "<": "lt", ">": "gt", '"': "quot"}.items()
}


_CLASSES: Final = {
    "succeeded": "stroke:#1a7f37,stroke-width:2px",
    "failed": "stroke:#cf222e,stroke-width:3px",
    "running": "stroke:#0969da,stroke-width:3px",
    "waiting": "stroke:#9a6700,stroke-width:3px",
    "cancelled": "stroke:#9a6700,stroke-dasharray:4 3",
    "skipped": "stroke-dasharray:2 3,opacity:0.6",
}
"""The styles of step states; steps that have not started look as they do without a run."""


def to_mermaid(plan: Plan, states: States | None = None) -> str:
    """Return the plan as a Mermaid flowchart; with `states`, the state of a run of it.

    Boxes are steps, subgraphs are steps that contain steps, their cases and their handlers; a step with a condition is
    a rounded box; dotted arrows are jumps.
    """
    graph = graph_of(plan, states)
    lines = ["flowchart TD", *_section(graph.steps, 1)]
    for node in graph.afterwards:
        lines += _node(node, 1)
    if states is not None:
        lines += _classes([*graph.steps.nodes, *graph.afterwards])
    return "\n".join(lines) + "\n"


def _classes(nodes: Iterable[GraphNode]) -> Iterator[str]:
    """Yield the styles that are used, and the boxes that have them."""
    by_state: dict[str, list[str]] = {}
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node.state in _CLASSES:
            by_state.setdefault(node.state, []).append(node.key)
        waiting += [inner for section in node.sections for inner in section.nodes]
    for state, keys in sorted(by_state.items()):
        yield f"    classDef {state} {_CLASSES[state]}"
        yield f"    class {','.join(sorted(keys, key=lambda key: int(key[1:])))} {state}"


def _section(section: GraphSection, depth: int) -> Iterator[str]:
    for node in section.nodes:
        yield from _node(node, depth)
    for edge in section.edges:
        arrow = f'-. "{LABELS[edge.kind]}" .->' if edge.kind != "data" else "-->"
        yield f"{_indent(depth)}{edge.source} {arrow} {edge.target}"


def _node(node: GraphNode, depth: int) -> Iterator[str]:
    label = f'"{_escaped(node.title)}<br/><small>{_escaped(node.what)}</small>"'
    if not node.sections:
        opening, closing = ("([", "])") if node.conditional else ("[[", "]]") if node.many else ("[", "]")
        yield f"{_indent(depth)}{node.key}{opening}{label}{closing}"
        return
    yield f"{_indent(depth)}subgraph {node.key}[{label}]"
    for number, section in enumerate(node.sections):
        if section.label:
            yield f'{_indent(depth + 1)}subgraph {node.key}_{number}["{_escaped(section.label)}"]'
            yield from _section(section, depth + 2)
            yield f"{_indent(depth + 1)}end"
        else:
            yield from _section(section, depth + 1)
    yield f"{_indent(depth)}end"


def _indent(depth: int) -> str:
    return "    " * depth


def _escaped(text: str) -> str:
    """Escape text for a quoted Mermaid label, where `#` begins an entity."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split()).translate(_ENTITIES)
