"""A plan as a Mermaid flowchart: text that documents and code hosts draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.compiler.graph import LABELS, graph_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.graph import Node, Section
    from orchestrator.compiler.plan import Plan

_ENTITIES: Final = {
    ord(c): f"#{name};" for c, name in {"#": "35", "&": "amp", "<": "lt", ">": "gt", '"': "quot"}.items()
}


def to_mermaid(plan: Plan) -> str:
    """Return the plan as a Mermaid flowchart.

    Boxes are steps, subgraphs are steps with further steps within, and the cases and handlers of such; a condition
    makes a rounded box; dotted arrows are jumps.
    """
    graph = graph_of(plan)
    lines = ["flowchart TD", *_section(graph.steps, 1)]
    for node in graph.afterwards:
        lines += _node(node, 1)
    return "\n".join(lines) + "\n"


def _section(section: Section, depth: int) -> Iterator[str]:
    for node in section.nodes:
        yield from _node(node, depth)
    for edge in section.edges:
        arrow = f'-. "{LABELS[edge.kind]}" .->' if edge.kind != "data" else "-->"
        yield f"{_indent(depth)}{edge.source} {arrow} {edge.target}"


def _node(node: Node, depth: int) -> Iterator[str]:
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
