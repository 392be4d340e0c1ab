"""What a resumed run needs of its recorded events, and no more: a loop's items take a few bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator import codes
from orchestrator.errors import StoreError
from orchestrator.journal.run_payloads import (
    RunCompensatedPayload,
    RunCompensatingPayload,
    RunRevisedPayload,
    RunStartedPayload,
)
from orchestrator.journal.state.accumulators import RoundState
from orchestrator.journal.state.notice_history import NoticeHistory
from orchestrator.journal.state.step_history import StepRecord, apply
from orchestrator.journal.step_payloads import (
    StepAnsweredPayload,
    StepCancelledPayload,
    StepFailedPayload,
    StepModelPayload,
    StepRequeuedPayload,
    StepSkippedPayload,
    StepStartedPayload,
    StepSucceededPayload,
    StepUndonePayload,
    StepWaitingPayload,
)
from orchestrator.paths import ancestors, end_block_of, is_at_or_below, item_of, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.journal.events import Event
    from orchestrator.journal.payload import Payload

ItemState = Literal["", "succeeded", "failed", "skipped"]

_STATES: tuple[ItemState, ...] = ("", "succeeded", "failed", "skipped")
_TOO_FEW_BRANCHES = codes.TOO_FEW_BRANCHES
_ROUNDS = ("while", "until")
_MOST_IN_FLIGHT = 1_000_000
"""How many items of a loop can be in flight: the others end in their order."""

_OF_NOTICES = frozenset({"run.notice", "run.notified", "run.succeeded", "run.failed", "run.cancelled"})
_BEYOND_ATTEMPT = ("retry", "human", "time", "handler")


class ItemEnds:
    """How the items of one loop ended, by index, and the numbers of their last events: nine bytes for each.

    `mark` is the digest of the file that the loop iterates over.
    """

    __slots__ = ("_seqs", "_settled", "_states", "failed", "mark")

    def __init__(self) -> None:
        self._states = bytearray()
        self._seqs = array("q")
        self._settled = 0
        self.failed = 0
        self.mark: str | None = None

    def set(self, index: int, state: ItemState, seq: int) -> None:
        """Record that the item has ended; with the state "", that it has not."""
        missing = index + 1 - len(self._states)
        if missing > 0 and not state:
            return
        if missing > _MOST_IN_FLIGHT:
            raise StoreError(
                f"the store is damaged: item {index:,} of a loop has ended, but none of the {missing - 1:,} before it",
                help="restore a backup; other runs can still be read",
            )
        if missing > 0:
            self._states.extend(bytes(missing))
            self._seqs.extend([0] * missing)
        before = _STATES[self._states[index]]
        self._settled += (state != "") - (before != "")
        self.failed += (state == "failed") - (before == "failed")
        self._states[index] = _STATES.index(state)
        self._seqs[index] = seq

    def state(self, index: int) -> ItemState:
        """Return how the item ended, "" if it has not."""
        return _STATES[self._states[index]] if 0 <= index < len(self._states) else ""

    def seq(self, index: int) -> int:
        """Return the number of the event that ended the item, 0 if it has not."""
        return self._seqs[index] if 0 <= index < len(self._seqs) else 0

    def copy(self) -> ItemEnds:
        """Return a copy."""
        copy = ItemEnds()
        copy._states, copy._seqs = self._states[:], self._seqs[:]
        copy._settled, copy.failed, copy.mark = self._settled, self.failed, self.mark
        return copy

    def __len__(self) -> int:
        """Return how many items have ended."""
        return self._settled

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of the items that have ended, in order."""
        return (index for index, state in enumerate(self._states) if state)

    def __eq__(self, other: object) -> bool:
        """Whether the same items ended in the same way."""
        if not isinstance(other, ItemEnds):
            return NotImplemented
        mine, theirs = ((list(ends), [(ends.state(i), ends.seq(i)) for i in ends]) for ends in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the counts."""
        return f"<{self._settled} items ended, {self.failed} failed>"


class UndoableSuccess(Struct):
    """A success that can be undone: the path of the step, and what the event recorded for its `undo`."""

    path: str
    undo: Mapping[str, Any]


class ResumeState(Struct):
    """What a run has achieved, and which of its steps are in progress.

    `steps` has, by path, the steps that are settled, those that wait for a person or a time, those that were running,
    and those with failed attempts that are retried. `items` has the ended items of each loop, by its path. Nothing is
    kept of the steps within an ended item, except in the last round of a loop that continues, because the next round
    reads them as `previous`. A step whose failure ended the run is missing: it runs again.

    `kept` has, by path, intermediate answers of models for steps that are not settled, by the digests of the requests.
    `rounds` has, by the path of a loop, what its last rounds recorded of the accumulators: `folded` gives the values.
    `notices` are those that were recorded. `ends` has, by the path of a pipeline, the step that has ended it early.

    `undoable` has the successes that were not undone, by the numbers of their events, in their order. `compensating`
    has, by the path of a group, "" for the run, why its steps are being undone. `again` has the paths that were
    forgotten because a step was undone, with the number of the last event that says so.
    """

    steps: dict[str, StepRecord] = field(default_factory=dict)
    items: dict[str, ItemEnds] = field(default_factory=dict)
    kept: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    rounds: dict[str, list[RoundState]] = field(default_factory=dict)
    notices: NoticeHistory = field(default_factory=NoticeHistory)
    undoable: dict[int, UndoableSuccess] = field(default_factory=dict)
    compensating: dict[str, RunCompensatingPayload] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)

    def early_end(self, pipeline: str) -> StepRecord | None:
        """Return the step that has ended the pipeline at a path early, None if none has."""
        record = self.steps.get(self.ends.get(pipeline, ""))
        return record if record is not None and record.state == "succeeded" else None

    def keep(self, path: str, digest: str, answer: Mapping[str, Any]) -> None:
        """Keep an intermediate answer of a step: `{reply, cost}`."""
        self.kept.setdefault(path, {})[digest] = answer

    def without(self, paths: Iterable[str]) -> ResumeState:
        """Return what remains without these paths, everything below them, and the ends of what contains them."""
        items = {loop: ends.copy() for loop, ends in self.items.items()}
        copies = {name: dict(getattr(self, name)) for name in ("steps", "kept", "rounds", "ends")}
        tree = _Tree(replace(self, items=items, **copies))
        for path in paths:
            tree.forget(path)
        return tree.recorded


def resume_state(events: Iterable[Event]) -> ResumeState:
    """Fold all events of a run. Outputs stay as they are in the events: resolved or not."""
    tree = _Tree(ResumeState())
    for event in events:
        tree.take(event)
    tree.drop_end_blocks()  # they run again for the next owner
    return tree.recorded


def failed_for_branches(path: str, failure: StepFailedPayload) -> bool:
    """Return whether a group failed because fewer of its branches succeeded than it requires."""
    error = failure.error or {}
    return (error.get("code"), error.get("step")) == (_TOO_FEW_BRANCHES, path)


class _Tree:
    """The records, with the paths inside each path: the end of a step costs only what is below it."""

    def __init__(self, found: ResumeState) -> None:
        self.recorded = found
        self._inner: dict[str, dict[str, None]] = {}
        self._rounds: dict[str, int] = {}
        self._end_blocks: set[str] = set()
        for path in (*found.steps, *found.items, *found.kept):
            self._grow(path)

    def take(self, event: Event) -> None:
        path = event.path
        payload = event.payload
        if event.type in _OF_NOTICES or self.recorded.notices.asked:
            self.recorded.notices.take(event)
        match payload:
            case RunStartedPayload():
                self.drop_end_blocks()
            case RunRevisedPayload():
                self._revise(payload)
            case RunCompensatingPayload():
                self.recorded.compensating[payload.within] = payload
            case RunCompensatedPayload():
                self._compensated(payload.within)
            case StepUndonePayload():
                self._undone(event.seq, payload)
            case StepStartedPayload():
                self._started(event, payload)
            case StepModelPayload() if payload.kept is not None:
                self.recorded.keep(path, payload.kept, {"reply": payload.reply, "cost": payload.cost})
                self._grow(path)
            case StepWaitingPayload() if payload.reason not in _BEYOND_ATTEMPT:
                pass  # its attempt is still in flight
            case StepWaitingPayload() | StepAnsweredPayload():
                record = self._record(path)
                apply(record, event)
                if not record.outlives_owner and not record.failed_attempts:
                    del self.recorded.steps[path]
            case StepRequeuedPayload() | StepCancelledPayload():
                self._stopped(path)
            case StepSucceededPayload() | StepFailedPayload() | StepSkippedPayload():
                self._ended(event, payload)

    def drop_end_blocks(self) -> None:
        """Drop the blocks that run at the end of pipelines."""
        for block in self._end_blocks:
            self._drop(block)
        self._end_blocks.clear()

    def forget(self, path: str) -> None:
        """Drop a path, everything below it, and the ends of what contains it."""
        self._drop(path)
        item = item_of(path)
        if item is not None and item[0] in self.recorded.items:
            self.recorded.items[item[0]].set(item[1], "", 0)
        around = parent_of(path)
        while around:
            self.recorded.steps.pop(around, None)
            item = item_of(around)
            if item is not None and item[0] in self.recorded.items:
                self.recorded.items[item[0]].set(item[1], "", 0)
            around = parent_of(around)

    def _revise(self, revised: RunRevisedPayload) -> None:
        """Forget what the revision says; the retry of a step gives up undoing what it is in.

        The limits of an edited pipeline count.
        """
        for forgotten in revised.forget:
            self.forget(forgotten)
            if revised.reason == "retry":
                for around in (*ancestors(forgotten), ""):
                    self.recorded.compensating.pop(around, None)
        if revised.source is not None:
            for record in self.recorded.steps.values():
                record.limits = None

    def _compensated(self, within: str) -> None:
        """Forget why the steps in a group, or in the run, are undone, and those in the groups inside it."""
        found = self.recorded.compensating
        for path in [path for path in found if not within or is_at_or_below(path, within)]:
            del found[path]

    def _undone(self, seq: int, undone: StepUndonePayload) -> None:
        self.recorded.undoable.pop(undone.of, None)
        for forgotten in undone.forget:
            self.forget(forgotten)
            self.recorded.again[forgotten] = seq

    def _started(self, event: Event, started: StepStartedPayload) -> None:
        path = event.path
        if started.kind:
            self._drop(f"{path}.on_error")
        else:
            self._drop_below(path)
        apply(self._record(path), event)
        if started.mark is not None:
            self._ends(path).mark = started.mark

    def _stopped(self, path: str) -> None:
        """Forget an attempt that was stopped, but keep how many failed, the limits, and the run that it started."""
        record = self.recorded.steps.get(path)
        if record is None or (record.state == "waiting" and record.reason == "retry"):
            return  # it still waits for its next attempt
        if record.failed_attempts or record.limits or record.run:
            record.state = "cancelled"
        else:
            del self.recorded.steps[path]

    def _ends(self, loop: str) -> ItemEnds:
        ends = self.recorded.items.get(loop)
        if ends is None:
            ends = self.recorded.items[loop] = ItemEnds()
            self._grow(loop)
        return ends

    def _ended(self, event: Event, end: Payload) -> None:
        path, steps = event.path, self.recorded.steps
        record = self._record(path)
        apply(record, event)
        if not record.settled:
            del steps[path]
            self._try_again(path)
            if isinstance(end, StepFailedPayload) and failed_for_branches(path, end):
                self._try_branches_again(path)
            return
        self.recorded.kept.pop(path, None)
        self.recorded.ends.pop(path, None)
        if isinstance(end, StepSucceededPayload) and end.undo is not None:
            self.recorded.undoable[event.seq] = UndoableSuccess(path, end.undo)
        if isinstance(end, StepSucceededPayload) and end.ends is not None:
            self.recorded.ends[end.ends] = path
        self._drop(f"{path}.on_error")
        item = item_of(path)
        if item is None:
            if path in self.recorded.items:
                self._end_loop(path)
            return
        loop, index = item
        ends = self._ends(loop)
        ends.set(index, _item_state(record), event.seq)
        around = steps.get(loop)
        if around is not None and around.kind in _ROUNDS:
            before = self._rounds.get(loop, index - 1)
            if before != index:
                self._drop(f"{loop}[{before}]")
            self._rounds[loop] = index
        else:
            self._drop(path)
        if isinstance(end, StepSucceededPayload) and end.state is not None:
            self._take_state(loop, RoundState(end.state, end.appended or {}))

    def _take_state(self, loop: str, state: RoundState) -> None:
        """Keep what a round recorded of the accumulators: only what readers of the latest values need."""
        if state.appended:
            self.recorded.rounds.setdefault(loop, []).append(state)
        else:
            self.recorded.rounds[loop] = [state]

    def _try_again(self, loop: str) -> None:
        """Forget the failed items of a loop that failed because of them."""
        ends = self.recorded.items.get(loop)
        for index in [index for index in ends if ends.state(index) == "failed"] if ends else ():
            self.recorded.items[loop].set(index, "", 0)

    def _try_branches_again(self, group: str) -> None:
        """Forget the failed branches of a group that failed because of them."""
        for inner in list(self._inner.get(group, ())):
            record = self.recorded.steps.get(inner)
            if record is not None and record.state == "failed":
                self._drop(inner)

    def _end_loop(self, path: str) -> None:
        """Drop everything inside the items of a loop that has ended."""
        for inner in list(self._inner.get(path, ())):
            self._drop_below(inner)
            if inner != f"{path}[{self._rounds.get(path)}]":
                self._drop(inner)

    def _record(self, path: str) -> StepRecord:
        record = self.recorded.steps.get(path)
        if record is None or record.seq:
            record = self.recorded.steps[path] = StepRecord(path)
            self._grow(path)
            if (block := end_block_of(path)) is not None:
                self._end_blocks.add(block)
        return record

    def _grow(self, path: str) -> None:
        around = parent_of(path)
        while around:
            inner = self._inner.setdefault(around, {})
            if path in inner:
                return
            inner[path] = None
            path, around = around, parent_of(around)

    def _drop(self, path: str) -> None:
        self._drop_below(path)
        self.recorded.steps.pop(path, None)
        self.recorded.kept.pop(path, None)
        inner = self._inner.get(parent_of(path))
        if inner is not None:
            inner.pop(path, None)

    def _drop_below(self, path: str) -> None:
        for inner in self._inner.pop(path, ()):
            self._drop_below(inner)
            self.recorded.steps.pop(inner, None)
            self.recorded.kept.pop(inner, None)
        self.recorded.items.pop(path, None)
        self.recorded.rounds.pop(path, None)
        self._rounds.pop(path, None)


def _item_state(record: StepRecord) -> ItemState:
    return "failed" if record.state == "failed" else "skipped" if record.state == "skipped" else "succeeded"
