r"""What a pattern asks of the text around its match: look-ahead and look-behind, where linear time allows for them.

Most of those that people write are at the edges of a pattern, and can be matched with it: `(?<=a)b` is `a(b)`, where
what stands before has one length; `b(?=c)` is `(b)c`, after which the search continues behind `b`; and what is asked at
the start, `^(?=.*\d)(?!.*x).{8,}$`, is one search each. All others are refused.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.patterns.syntax import PatternError
from orchestrator.patterns.tree import Assertion, Atom, GroupNode, Look, PatternNode, RepeatNode, nodes_of

_HELP: Final = (
    "look-ahead can stand at the end of a pattern or after its `^`, and look-behind of one length at its start; else "
    "match the text around it too, in groups, and take the group that you want"
)


class Condition(Struct, frozen=True):
    """What must be found at the start of a text, or must not where it is `negated`."""

    wanted: GroupNode
    negated: bool


class Parts(Struct, frozen=True):
    """A pattern without its surroundings. `before` matches `width` characters.

    For `edge` a text has a byte in front, which no character has: there may be nothing before a match.
    """

    conditions: tuple[Condition, ...]
    before: PatternNode | None
    body: GroupNode
    after: PatternNode | None
    width: int
    edge: bool = False


def separated(root: GroupNode) -> Parts:
    """Take a pattern apart.

    Raises:
        PatternError: It looks around itself where linear time does not allow for it.
    """
    if len(root.branches) != 1:
        _refuse(root)
        return Parts((), None, root, None, 0)
    nodes = list(root.branches[0])
    conditions: list[Condition] = []
    before = after = None
    width, edge = 0, False
    first = nodes[0] if nodes else None
    if first == Assertion("start"):
        while len(nodes) > 1 and isinstance(look := nodes[1], Look) and not look.behind and _plain(look):
            del nodes[1]
            wanted = GroupNode(((Assertion("start"), GroupNode(look.branches)),))
            conditions.append(Condition(wanted, look.negated))
    elif isinstance(first, Look) and first.behind:
        del nodes[0]
        width, edge = _width(first) or 0, first.negated
        before = _beside(first, Assertion("nothing before"))
    last = nodes[-1] if nodes else None
    if isinstance(last, Look) and not last.behind:
        del nodes[-1]
        after = _beside(last, Assertion("end"))
    body = GroupNode((tuple(nodes),))
    for part in (*(each.wanted for each in conditions), before, body, after):
        if part is not None:
            _refuse(part)
    if edge and any(isinstance(node, Assertion) and node.kind in ("start", "line start") for node in nodes_of(body)):
        raise PatternError("a look-behind before the start of the text or of a line is not supported")
    return Parts(tuple(conditions), before, body, after, width, edge)


def _plain(look: Look) -> bool:
    return not any(isinstance(node, GroupNode) and node.number is not None for node in nodes_of(look))


def _beside(look: Look, edge: Assertion) -> PatternNode:
    """Return a pattern for the text next to a match; for a negated look-around, that may be the edge of the text."""
    if look.behind and _width(look) is None:
        raise refusal(look)
    if not look.negated:
        return GroupNode(look.branches)
    only = look.branches[0][0] if len(look.branches) == 1 and len(look.branches[0]) == 1 else None
    if not isinstance(only, Atom):
        raise refusal(look)
    other = replace(only.characters, negated=not only.characters.negated)
    return GroupNode(((edge,), (Atom(other),)))


def _width(node: PatternNode) -> int | None:
    """How many characters a node matches, where that is always the same."""
    match node:
        case Atom():
            return 1
        case Assertion():
            return 0
        case RepeatNode(part, least, most):
            inner = _width(part)
            return inner * least if inner is not None and least == most else None
        case GroupNode(branches) | Look(branches):
            found = {_sum([_width(each) for each in branch]) for branch in branches}
            return found.pop() if len(found) == 1 else None
    raise AssertionError(node)  # there is nothing else


def _sum(widths: list[int | None]) -> int | None:
    return None if None in widths else sum(each for each in widths if each is not None)


def _refuse(part: PatternNode) -> None:
    for node in nodes_of(part):
        if isinstance(node, Look):
            raise refusal(node)


def refusal(look: Look) -> PatternError:
    """Return the error for a look-around that is not supported."""
    return PatternError(f"this look-{'behind' if look.behind else 'ahead'} is not supported", look.place, _HELP)
