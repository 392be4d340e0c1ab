"""The steps that are ready: in the order of their arrival where slots are free, else the longest path first."""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.runtime.run.run_graph import StepNode

AGEING: Final = 8
"""Of so many slots that steps wait for, one is given to the step that has waited longest."""

_MOST_TAKEN = 64
"""Numbers of steps that were taken by age are removed when there are more, and more than steps that wait."""


class ReadyQueue:
    """Ready steps, of which the one to start next is taken.

    If more wait than slots are free, that is the one with the longest remaining path, and of several with the same the
    one that came first. Every eighth time it is the one that has waited longest, whatever its path: so a step that `n`
    others wait before is the last of at most 8 (n + 1) that are taken.
    """

    def __init__(self, path_length: Callable[[StepNode], float]) -> None:
        """`path_length` is only called for steps that may have to wait."""
        self._path_length = path_length
        self._waiting: OrderedDict[int, StepNode] = OrderedDict()
        """By the number of their arrival."""
        self._arrivals = 0
        self._unranked: list[int] = []
        self._ranked: dict[float, deque[int]] = {}
        """By the length of their path; few lengths are different where no durations are known."""
        self._lengths: list[float] = []
        """A heap of the lengths, with a minus."""
        self._chosen = 0
        self._taken_by_age = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[StepNode]:
        """The steps in the order of their arrival."""
        return iter(self._waiting.values())

    def add(self, node: StepNode) -> None:
        """Take a step that has become ready."""
        self._arrivals += 1
        self._waiting[self._arrivals] = node
        self._unranked.append(self._arrivals)

    def put_back(self, node: StepNode) -> None:
        """Take a step whose attempt was interrupted: it comes before all others."""
        self._arrivals += 1
        self._waiting[self._arrivals] = node
        self._waiting.move_to_end(self._arrivals, last=False)
        self._rank(self._arrivals, math.inf)

    def take(self, free: int) -> StepNode:
        """Remove the step that starts next, as `free` slots are free, and return it. There must be one."""
        waiting = self._waiting
        if len(waiting) > free:
            node = self._choose()
        else:
            _, node = waiting.popitem(last=False)
        if not waiting:
            self._unranked.clear()
            self._ranked.clear()
            self._lengths.clear()
            self._taken_by_age = 0
        return node

    def _choose(self) -> StepNode:
        waiting = self._waiting
        for number in self._unranked:
            node = waiting.get(number)
            if node is not None:
                self._rank(number, self._path_length(node))
        self._unranked.clear()
        self._chosen += 1
        if self._chosen % AGEING == 0:
            return self._oldest()
        while True:
            numbers = self._ranked[-self._lengths[0]]
            while numbers:
                node = waiting.pop(numbers.popleft(), None)
                if node is not None:
                    return node
            del self._ranked[-heapq.heappop(self._lengths)]

    def _rank(self, number: int, length: float) -> None:
        numbers = self._ranked.get(length)
        if numbers is None:
            self._ranked[length] = deque((number,))
            heapq.heappush(self._lengths, -length)
        else:
            numbers.append(number)

    def _oldest(self) -> StepNode:
        """Take the step that has waited longest; its number is removed from its rank later."""
        waiting = self._waiting
        _, node = waiting.popitem(last=False)
        self._taken_by_age += 1
        if self._taken_by_age > max(_MOST_TAKEN, len(waiting)):
            self._taken_by_age = 0
            left = {length: [n for n in numbers if n in waiting] for length, numbers in self._ranked.items()}
            self._ranked = {length: deque(numbers) for length, numbers in left.items() if numbers}
            self._lengths = [-length for length in self._ranked]
            heapq.heapify(self._lengths)
        return node
