"""The dependencies between the steps of a block, and the order that they and its jumps make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.compiler.ir.jumps import Cover, Jump, JumpKind
from orchestrator.language.yaml.nodes import Node, Scalar

if TYPE_CHECKING:
    from orchestrator.diagnostics import Span


class Dependency(Struct, frozen=True):
    """`step` depends on `on` because of `node`; `reason` describes why.

    `part` are offsets in the text of `node`, if it is an expression; None: the whole node.
    """

    step: str
    on: str
    node: Node
    reason: str
    part: tuple[int, int] | None = None

    @property
    def span(self) -> Span:
        """The place, computed on demand because few dependencies are ever shown."""
        return self.node.span_of(*self.part) if self.part and isinstance(self.node, Scalar) else self.node.span


class Flow(Struct):
    """The order of the steps of one block: dependencies by step, and jumps.

    `covers` are the innermost jumps over each position that may be skipped.
    """

    edges: dict[str, dict[str, Dependency]] = field(default_factory=dict)
    jumps: dict[str, dict[JumpKind, Jump]] = field(default_factory=dict)
    covers: dict[int, Cover] = field(default_factory=dict)

    def add(self, edge: Dependency) -> None:
        """Record a dependency; the first reason is kept."""
        self.edges.setdefault(edge.step, {}).setdefault(edge.on, edge)

    def dependencies(self, step: str) -> tuple[str, ...]:
        """Return the ids of all steps that `step` depends on."""
        return tuple(self.edges.get(step, ()))

    def all_before(self, step: str) -> set[str]:
        """Return the ids of all steps that `step` depends on, directly or through others."""
        found: set[str] = set()
        pending = [step]
        while pending:
            for each in self.edges.get(pending.pop(), ()):
                if each not in found:
                    found.add(each)
                    pending.append(each)
        return found
