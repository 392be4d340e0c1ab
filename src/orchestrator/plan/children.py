"""The blocks of steps inside a step, which every traversal of a plan follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from msgspec import Struct

S = TypeVar("S", covariant=True)
"""A step: a `StepPlan`, or a step as JSON data."""

ChildrenRole = Literal["body", "item", "case", "default", "handler", "undo", "turn", "finally"]


class Children(Struct, Generic[S], frozen=True):
    """A block of steps inside a step or a pipeline.

    `role` is the purpose of the block: the `body` of a loop or group; the single step that a loop repeats for each
    `item`; a `case` or the `default` of a switch; the `handler` of an error; the `undo` of the step; the tool calls of
    an agent's `turn`; `finally`. `segment` is appended to the path of the parent in the paths of these steps: `[*]`
    means every item.
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
