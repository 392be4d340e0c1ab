"""The successes of a run that can be undone, in their order, and what has been undone before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from orchestrator.paths import ancestors, is_in_end_block, is_in_undo, parent_of, undone_step
from orchestrator.plan.step_index import StepIndex
from orchestrator.plan.steps import StepPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.journal import ResumeState
    from orchestrator.plan.model import Plan


class UndoableBlock(Protocol):
    """A block of steps that is being carried out, and undone if it ends otherwise than with success."""

    stopped: bool
    enough: int | None
    succeeded: int


class Undoable(Struct):
    """A success that can be undone: the event `seq` recorded it, and `names` of what the `undo` of the step reads.

    Without `step`, the plan that the run continues with has no such step any more, or no `undo` for it.
    """

    seq: int
    path: str
    step: StepPlan | None
    names: Mapping[str, Any]


class UndoLog:
    """What a run could undo. It is empty unless steps have an `undo`."""

    def __init__(self, plan: Plan, recorded: ResumeState) -> None:
        self.scopes: dict[str, UndoableBlock] = {}
        """The blocks that are undone when they end otherwise than with success: of groups by path, of the run by ""."""
        self.steps = StepIndex(plan)
        self._again = recorded.again
        self._at_work: dict[str, int] = {}
        self._found: dict[int, Undoable] = {}
        for seq, success in recorded.undoable.items():
            line, names = success.undo.get("line"), success.undo.get("names") or {}
            steps = [step for step in self.steps.steps_at(success.path) if step.undo is not None]
            step = next((step for step in steps if step.line == line), steps[0] if steps else None)
            self._found[seq] = Undoable(seq, success.path, step, names)

    def __bool__(self) -> bool:
        return bool(self._found)

    def records(self, path: str) -> bool:
        """Whether the success of a step at this path is to be undone: not at the end of the run, and not an undo."""
        return not (is_in_undo(path) or is_in_end_block(path))

    def add(self, seq: int, path: str, step: StepPlan, names: Mapping[str, Any]) -> None:
        """Add a success."""
        self._found[seq] = Undoable(seq, path, step, names)

    def within(self, path: str) -> Iterator[Undoable]:
        """Yield what can be undone of the run, or of a group, the last success first."""
        return (one for one in reversed(self._found.values()) if not path or one.path.startswith(f"{path}."))

    def last(self, path: str) -> Undoable | None:
        """Return the last success of the run, or in a group, that can be undone."""
        return next(self.within(path), None)

    def begin(self, one: Undoable) -> None:
        """Note that a success is being undone."""
        self._at_work[one.path] = one.seq

    def end(self, one: Undoable, forgotten: tuple[str, ...], seq: int) -> None:
        """Remove a success, as the event `seq` says that it and what depends on it count as not done."""
        del self._found[one.seq]
        self._again.update(dict.fromkeys(forgotten, seq))

    def is_undone_around(self, path: str) -> bool:
        """Whether the group or the run around a group is going to undo all that is in it."""
        for around in (*ancestors(parent_of(path)), ""):
            frame = self.scopes.get(around)
            if frame is not None:
                enough = frame.enough is not None and frame.succeeded >= frame.enough
                return frame.stopped and not enough
        return False

    def key(self, path: str) -> str:
        """Return what makes the idempotency key of a step differ from that of its life before it was undone."""
        if not (self._again or self._at_work):
            return ""
        undone = undone_step(path)
        if undone is not None:
            return f":{self._at_work.get(undone, 0)}"
        seq = max((self._again.get(each, 0) for each in ancestors(path)), default=0)
        return f":{seq}" if seq else ""
