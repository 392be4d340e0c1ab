"""Jumps over steps: which steps a jump skips, and which jumps each step depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, Literal, overload

from msgspec import Struct

from orchestrator.language.yaml.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Iterator


JumpKind = Literal["on_success", "on_false", "on_failure"]
JUMP_KINDS: tuple[JumpKind, ...] = ("on_success", "on_false", "on_failure")


class Jump(Struct, frozen=True):
    """A jump from the step at `source` to the step at `target`; it skips the steps after `source` and before `end`.

    All are positions in the block. `node` is the place in the file.
    """

    source: int
    end: int
    target: int
    kind: JumpKind
    node: Node


@dataclass(frozen=True, slots=True)
class Between(Sequence[str]):
    """The ids of the steps between two positions of a block, without a copy, because jumps may skip many."""

    ids: tuple[str, ...]
    start: int
    end: int

    def __len__(self) -> int:
        return max(self.end - self.start, 0)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return an id, or a slice of ids."""
        places = range(self.start, self.end)[index]
        return self.ids[places] if isinstance(places, int) else tuple(self.ids[place] for place in places)

    def __iter__(self) -> Iterator[str]:
        return islice(self.ids, self.start, self.end)


class Cover(Struct, frozen=True):
    """The innermost jumps over a step: the one that starts last, and the one that ends first."""

    last: Jump
    first: Jump


def last_jumps(jumps: Sequence[Jump]) -> dict[int, Jump]:
    """Return for each position the last jump before it that skips or reaches it.

    A step depends only on the source of that jump. All other jumps over the step skip that source too, so it depends on
    theirs in turn: one dependency for each step is enough.
    """
    found: dict[int, Jump] = {}
    open_: list[tuple[int, int]] = []
    for position, started in _sweep(jumps):
        for number in started:
            heappush(open_, (-jumps[number].source, number))
        while open_ and jumps[open_[0][1]].target < position:
            heappop(open_)
        if open_:
            found[position] = jumps[open_[0][1]]
    return found


def covers(jumps: Sequence[Jump]) -> dict[int, Cover]:
    """Return for each position that a jump skips the innermost jumps over it."""
    found: dict[int, Cover] = {}
    starts: list[tuple[int, int]] = []
    ends: list[tuple[int, int]] = []
    for position, started in _sweep(jumps):
        for number in started:
            heappush(starts, (-jumps[number].source, number))
            heappush(ends, (jumps[number].end, number))
        while starts and jumps[starts[0][1]].end <= position:
            heappop(starts)
        while ends and ends[0][0] <= position:
            heappop(ends)
        if starts and ends:
            found[position] = Cover(jumps[starts[0][1]], jumps[ends[0][1]])
    return found


def _sweep(jumps: Sequence[Jump]) -> Iterator[tuple[int, list[int]]]:
    """Yield the positions after the first source, each with the numbers of the jumps from the position before it."""
    by_source: dict[int, list[int]] = {}
    for number, jump in enumerate(jumps):
        by_source.setdefault(jump.source, []).append(number)
    last = max((jump.target for jump in jumps), default=0)
    for position in range(min(by_source, default=0) + 1, last + 1):
        yield position, by_source.get(position - 1, [])
