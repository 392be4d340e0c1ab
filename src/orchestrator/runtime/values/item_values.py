"""The values of the items of a loop that have ended: in memory while they are few, otherwise read from the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.journal import ItemEnds
from orchestrator.plan.steps import Block
from orchestrator.runtime.values.step_values import value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.journal.state.resume_state import ItemState
    from orchestrator.plan.steps import ForEach, RepeatLoop

KEPT = 1_000_000
"""Characters of JSON: a loop whose values are longer reads them from the journal when they are asked for."""


class ItemValues:
    """The values of the items of a loop that have ended, in their order.

    They are kept while they are few. Otherwise only the numbers of the events that hold them are, and `load` reads
    those events' outputs; `value_of` makes the item's value of an output.
    """

    def __init__(
        self, ends: ItemEnds, load: Callable[[Sequence[int]], list[Any]], value_of: Callable[[Any], Any]
    ) -> None:
        self.ends = ends
        self._load = load
        self._value_of = value_of
        self._kept: dict[int, Any] | None = None if len(ends) else {}
        self._size = 0

    @classmethod
    def of_loop(
        cls, loop: ForEach | RepeatLoop, ends: ItemEnds | None, load: Callable[[Sequence[int]], list[Any]]
    ) -> ItemValues:
        """Return the values of a loop, given the ends of its items that are recorded already."""
        body = loop.body

        def item_value(output: Any) -> Any:
            return output if isinstance(body, Block) else value_of(body.work, output)

        return cls(ends or ItemEnds(), load, item_value)

    def __len__(self) -> int:
        return len(self.ends)

    def add(self, index: int, state: ItemState, seq: int, output: Any, size: int) -> None:
        """Take the output of an item that has ended, recorded by the event `seq` in `size` characters."""
        self.ends.set(index, state, seq)
        if self._kept is None:
            return
        self._size += size
        if self._size > KEPT:
            self._kept = None
        else:
            self._kept[index] = self._value_of(output) if state == "succeeded" else output

    @property
    def counts(self) -> dict[str, int]:
        """How many items have ended, and how, as the end of the loop records it."""
        failed = self.ends.failed
        return {"count": len(self), "succeeded": len(self) - failed, "failed": failed}

    @property
    def are_stored(self) -> bool:
        """Whether they are read from the journal."""
        return self._kept is None

    def values(self) -> list[Any]:
        """All values, in the order of the items; those of items that have not ended are left out."""
        indexes = list(self.ends)
        if self._kept is not None:
            return [self._kept[index] for index in indexes]
        outputs = self._load([self.ends.seq(index) for index in indexes])
        pairs = zip(indexes, outputs, strict=True)
        return [self._value_of(output) if self.ends.state(i) == "succeeded" else output for i, output in pairs]
