"""Steps inside a step: what every traversal of a plan follows, over its dataclasses and over its JSON data alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

S = TypeVar("S", covariant=True)
"""A step: a `StepPlan`, or a step as JSON data."""

ChildrenRole = Literal["body", "item", "case", "default", "handler", "turn", "finally"]


@dataclass(frozen=True, slots=True)
class Children(Generic[S]):
    """A block of steps inside a step or a pipeline.

    `role` is what the block is for: a loop's or group's `body`; the one step that a loop repeats for each `item`; a
    `case` of a switch, or its `default`; the `handler` of an error; what an agent may do in a `turn`; `finally`.
    `segment` is what the path of the parent is followed by in the paths of these steps: `[*]` stands for every item.
    """

    role: ChildrenRole
    steps: Sequence[S]
    label: str = ""
    segment: str = ""

    def path(self, parent: str, step: str) -> str:
        """Return the path of the step with this id, in a parent at the path `parent` ("" for a pipeline)."""
        around = f"{parent}{self.segment}" if parent else self.segment.removeprefix(".")
        if self.role == "item":
            return around
        return f"{around}.{step}" if around else step
