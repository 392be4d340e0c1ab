"""The branches of a group that needs only some of them (`wait_for`): how many have succeeded, how many may still."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.runtime.run.run_graph import Frame, StepNode


def has_enough(node: StepNode) -> bool:
    """Count a branch that succeeded, and return whether its group needs no other."""
    frame = node.frame
    if frame.enough is None or node.step.is_auto:
        return False
    frame.succeeded += 1
    return frame.succeeded >= frame.enough


def is_tolerated(frame: Frame) -> bool:
    """Count a failed branch, and return whether enough others of the group can still succeed."""
    if frame.enough is None:
        return False
    frame.failed += 1
    return sum(1 for other in frame.nodes.values() if not other.step.is_auto) - frame.failed >= frame.enough
