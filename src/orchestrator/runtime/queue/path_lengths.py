"""How much work depends on each step: the longest path from its beginning to the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.paths import any_item, parent_of
from orchestrator.plan.steps import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.plan.steps import StepPlan
    from orchestrator.runtime.queue.step_times import StepTimes
    from orchestrator.runtime.run.run_graph import Frame, StepNode

_AT_WORK: Final = ("body", "item", "case", "default")
"""The blocks in a step that belong to its usual work, by role."""


class PathLengths:
    """The lengths of the remaining paths of steps, measured once for each block when they are first asked for.

    In seconds by the durations of the same steps in earlier runs. A step without one counts as a usual step, and one
    that contains others as those on the longest path through it; so if none are known, paths are counted in steps. The
    path of a step in a block continues after the step that contains the block.
    """

    def __init__(self, live: Mapping[str, StepNode], times: StepTimes) -> None:
        """`live` are the steps that are being carried out, by path."""
        self._live = live
        self._times = times
        self._lengths: dict[str, float] = {}

    def of(self, node: StepNode) -> float:
        """Return the length of the longest path from the beginning of this step."""
        lengths = self._lengths
        length = lengths.get(node.path)
        if length is None:
            path = any_item(node.path)
            if path not in lengths:
                self._measure_around(node.frame)
            length = lengths[path]
        return length

    def _measure_around(self, frame: Frame) -> None:
        """Measure a block, and first those around it that were not measured."""
        frames = [frame]
        while (owner := self._owner(frames[-1])) is not None and any_item(owner.path) not in self._lengths:
            frames.append(owner.frame)
        for each in reversed(frames):
            self._measure(each)

    def _owner(self, frame: Frame) -> StepNode | None:
        """Return the step that a block is in."""
        path = frame.path
        if path.endswith("]"):
            path = parent_of(path).removesuffix(".on_error")
        return self._live.get(path)

    def _measure(self, frame: Frame) -> None:
        owner = self._owner(frame)
        after = 0.0 if owner is None else self.of(owner) - self._weight(owner.step, any_item(owner.path))
        around = any_item(frame.path)
        paths: dict[StepNode, str] = {}
        for node in frame.nodes.values():
            inside = f"{around}.{node.step.id}" if around else node.step.id
            paths[node] = around if node.path == frame.path else inside
        try:
            found = self._longest(reversed(paths), paths)
        except KeyError:  # a step depends on one that follows it in the file
            found = self._longest(_last_first(frame), paths)
        for node, length in found.items():
            self._lengths[paths[node]] = after + length

    def _longest(self, nodes: Iterable[StepNode], paths: Mapping[StepNode, str]) -> dict[StepNode, float]:
        """Return the longest path in a block from each node; each comes after its successors."""
        found: dict[StepNode, float] = {}
        for node in nodes:
            weight = self._weight(node.step, paths[node])
            found[node] = weight + max(map(found.__getitem__, node.successors)) if node.successors else weight
        return found

    def _weight(self, step: StepPlan, path: str) -> float:
        past = self._times.past
        known = past.seconds.get(path)
        return _steps_in(step) * past.usual if known is None else known


def _last_first(frame: Frame) -> Iterator[StepNode]:
    """Yield the nodes of a block, each after its successors."""
    waits_for = {node: len(node.successors) for node in frame.nodes.values()}
    ready = [node for node, count in waits_for.items() if not count]
    while ready:
        node = ready.pop()
        yield node
        for id in node.step.dependencies:
            before = frame.nodes[id]
            waits_for[before] -= 1
            if not waits_for[before]:
                ready.append(before)


def _steps_in(step: StepPlan) -> int:
    """Return how many steps there are on the longest path through a step; each item of a loop is like the others."""
    if isinstance(step.work, ToolCall):
        return 1
    return max((_count(block.steps) for block in step.work.children() if block.role in _AT_WORK), default=1)


def _count(steps: Iterable[StepPlan]) -> int:
    """Return how many steps there are on the longest path through a block."""
    plans = {step.id: step for step in steps}
    counts: dict[str, int] = {}
    unfinished = list(plans)
    while unfinished:
        id = unfinished[-1]
        if id in counts:
            unfinished.pop()
            continue
        before = [name for name in plans[id].dependencies if name in plans]
        missing = [name for name in before if name not in counts]
        unfinished += missing
        if not missing:
            counts[id] = _steps_in(plans[id]) + max((counts[name] for name in before), default=0)
    return max(counts.values(), default=1)
