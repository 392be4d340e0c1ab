"""The parts of a regular expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct

from orchestrator.patterns.characters import Characters

if TYPE_CHECKING:
    from collections.abc import Iterator


class Atom(Struct, frozen=True):
    """One character of a set."""

    characters: Characters


AssertionKind: TypeAlias = Literal[
    "start", "end", "final", "line start", "line end", "boundary", "no boundary", "nothing before"
]


class Assertion(Struct, frozen=True):
    """What must hold at a place. `final` is the end, or the place before a line break that ends the text.

    `nothing before` is the byte that is put before a text for a pattern that looks at the character before its match.
    """

    kind: AssertionKind


class GroupNode(Struct, frozen=True):
    """Branches in parentheses; `number` is that of a group that captures."""

    branches: tuple[tuple[PatternNode, ...], ...]
    number: int | None = None


class RepeatNode(Struct, frozen=True):
    """A part that is repeated; `most` is None for any number of times."""

    part: PatternNode
    least: int
    most: int | None
    greedy: bool = True


class Look(Struct, frozen=True):
    """Look-ahead, or look-behind: what the text around a place must be, or must not be."""

    branches: tuple[tuple[PatternNode, ...], ...]
    behind: bool
    negated: bool
    place: int


PatternNode: TypeAlias = Atom | Assertion | GroupNode | RepeatNode | Look


def nodes_of(root: PatternNode) -> Iterator[PatternNode]:
    """Yield a node and all that are in it."""
    pending: list[PatternNode] = [root]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, GroupNode | Look):
            pending += [each for branch in node.branches for each in branch]
        elif isinstance(node, RepeatNode):
            pending.append(node.part)
