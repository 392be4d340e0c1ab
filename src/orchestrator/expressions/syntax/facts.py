"""What is known to be true or false at a position in a template, from the conditions that lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.expressions.problem import Fact
from orchestrator.expressions.syntax import nodes

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.expressions.syntax.nodes import Expression

_PLACES: Final = frozenset({"start", "end", "name_start"})
_NAMESPACES: Final = frozenset({"inputs", "variables", "steps"})


def facts(node: Expression, *, holds: bool) -> frozenset[Fact]:
    """Return the facts that follow from an expression being true, or false."""
    if isinstance(node, nodes.Unary) and node.operator == "not":
        return facts(node.operand, holds=not holds)
    own = frozenset({Fact(_text(node), holds, frozenset(_names(node)))})
    if isinstance(node, nodes.Logic) and (node.operator == "and") is holds:
        return own | facts(node.left, holds=holds) | facts(node.right, holds=holds)
    return own


def follows(node: Expression, known: Collection[tuple[str, bool]], *, holds: bool = True) -> bool:
    """Whether known facts imply that an expression is true, or false."""
    if isinstance(node, nodes.Unary) and node.operator == "not":
        return follows(node.operand, known, holds=not holds)
    if (_text(node), holds) in known:
        return True
    if isinstance(node, nodes.Logic):
        parts = [follows(part, known, holds=holds) for part in (node.left, node.right)]
        return all(parts) if (node.operator == "and") is holds else any(parts)
    return False


def _names(node: Expression) -> set[str]:
    if isinstance(node, nodes.Name):
        return {node.name}
    if isinstance(node, nodes.Attribute) and isinstance(node.target, nodes.Name) and node.target.name in _NAMESPACES:
        return {node.name}
    return {name for child in nodes.subexpressions(node) for name in _names(child)}


def _text(node: Any) -> str:
    """Return an expression in canonical form, without its position."""
    if isinstance(node, list | tuple):
        return f"[{','.join(map(_text, node))}]"
    if isinstance(node, dict):
        return f"{{{','.join(f'{key}:{_text(value)}' for key, value in node.items())}}}"
    if isinstance(node, nodes.Attribute) and isinstance(node.target, nodes.Name) and node.target.name in _NAMESPACES:
        return f"Name('{node.name}')"
    if isinstance(node, Struct):
        parts = [_text(getattr(node, name)) for name in node.__struct_fields__ if name not in _PLACES]
        return f"{type(node).__name__}({','.join(parts)})"
    return repr(node)
