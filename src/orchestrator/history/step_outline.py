"""The outline of a long run: its steps, but of each loop only the first items and those that failed or are unfinished.

What it leaves out is left out by the database, and never read.
"""

from __future__ import annotations

import heapq
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from orchestrator.history.event_log import OutlineSource
from orchestrator.history.step_results import LOOPS, StepResults, lean
from orchestrator.journal import step_records
from orchestrator.paths import item_of, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.journal import ActiveStep, Event, StepRecord

OUTLINE_FROM: Final = 10_000
"""From so many events on, a run is read as an outline where that suffices."""

ITEMS_AT_MOST: Final = 50
"""How many later items of a loop are read because they failed or are unfinished."""

_LATER: Final = re.compile(r"\[\d\d+\]")  # as the store: from item 10 on


def outline_of(steps: StepResults, *within: str) -> StepResults:
    """Return the steps that a tree of the run shows, and those of the items that the paths `within` are inside.

    It is all steps, except for a long run in a store: its events are read selectively.
    """
    if steps.is_read or steps.last_seq < OUTLINE_FROM or not isinstance(steps.source, OutlineSource):
        return steps
    return StepOutline(steps, steps.source, *within)


class StepOutline(StepResults):
    """The steps of a long run by path, without most of the items of its loops."""

    def __init__(self, whole: StepResults, source: OutlineSource, *within: str) -> None:
        super().__init__(source, whole.run_id, whole.last_seq)
        self._whole = whole
        self._store = source
        self._within = {path[: later.end()] for path in within if (later := _LATER.search(path))}
        self._status: dict[str, ActiveStep] | None = None

    def item_count(self, path: str) -> int:
        """Return how many items of a loop have started."""
        record = self._records.get(path)
        counts = self._counts(record) if record is not None else None
        return counts["count"] if counts is not None else super().item_count(path)

    def _read_records(self) -> Mapping[str, StepRecord]:
        found = self._fold(self._within)
        loops = {
            record.path
            for record in found.values()
            if record.kind in LOOPS and (record.items is None or record.state != "succeeded" or record.items["failed"])
        }
        if loops and (notable := self._notable(loops)):
            found = self._fold(self._within | notable)
        return found

    def _fold(self, within: set[str]) -> Mapping[str, StepRecord]:
        """Fold the events of the outline, with everything in the items `within`."""
        events = lean(partial(self._store.outline, within=within), self.run_id, self.last_seq)
        return step_records(_at_shown_paths(events, within))

    def _notable(self, loops: set[str]) -> set[str]:
        """Return the first later items of the loops that have not succeeded, and some that have since."""
        found: dict[str, set[int]] = {}
        for path in (*self._active, *self._store.failed_later_items(self.run_id)):
            later = _LATER.search(path)
            item = item_of(path[: later.end()]) if later else None
            if item is None or item[0] not in loops:
                continue
            indices = found.setdefault(item[0], set())
            indices.add(item[1])
            if len(indices) > 2 * ITEMS_AT_MOST:
                found[item[0]] = set(heapq.nsmallest(ITEMS_AT_MOST, indices))
        return {
            f"{loop}[{index}]" for loop, indices in found.items() for index in heapq.nsmallest(ITEMS_AT_MOST, indices)
        }

    @property
    def _active(self) -> Mapping[str, ActiveStep]:
        if self._status is None:
            self._status = {step.path: step for step in self._store.status(self.run_id).active}
        return self._status

    def _counts(self, record: StepRecord) -> Mapping[str, int] | None:
        if record.kind not in LOOPS or (record.items is not None and record.state != "running"):
            return super()._counts(record)
        loop = self._active.get(record.path)
        if loop is not None:
            below = f"{record.path}["
            at_work = {path[: path.index("]", len(below))] for path in self._active if path.startswith(below)}
            return {"count": loop.done + len(at_work), "succeeded": loop.done - loop.failed, "failed": loop.failed}
        ends = self._store.count_items(self.run_id, record.path)
        return {
            "count": sum(ends.values()),
            "succeeded": ends.get("step.succeeded", 0) + ends.get("step.skipped", 0),
            "failed": ends.get("step.failed", 0),
        }

    def _item_values(self, loop: StepRecord) -> list[Any]:
        values: list[Any] = self._whole[loop.path].output
        return values


def _at_shown_paths(events: Iterable[Event], within: set[str]) -> Iterator[Event]:
    """Yield the events, with model calls in items that are left out as those of the loop: its sum includes them."""
    for event in events:
        later = _LATER.search(event.path)
        if later is not None and event.path[: later.end()] not in within:
            if event.type == "step.model":
                yield replace(event, path=parent_of(event.path[: later.end()]))
        else:
            yield event
