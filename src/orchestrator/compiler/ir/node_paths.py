"""Nodes at a path in the YAML tree of a file."""

from __future__ import annotations

from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence


def child(node: Node | None, *path: str | int) -> Node | None:
    """Return the node at `path` below `node`, None if there is none."""
    for part in path:
        if isinstance(node, Mapping) and isinstance(part, str):
            node = node.get(part)
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            return None
    return node


def child_key(node: Node | None, section: str, name: str) -> Scalar | None:
    """Return the key of `name` in a section below `node`."""
    part = child(node, section)
    return part.key(name) if isinstance(part, Mapping) else None


def is_always_false(node: Scalar) -> bool:
    """Return whether a condition is the constant false."""
    return str(node.value).strip().lower() in ("false", "{{ false }}")
