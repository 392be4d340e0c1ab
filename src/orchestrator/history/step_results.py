"""The steps of a run, read from its events in the file's order; outputs are read on access."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.history.step_order import StepOrder
from orchestrator.journal import Event, StepRecord, step_records
from orchestrator.journal.events import StepState
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.paths import item_of, parent_of

if TYPE_CHECKING:
    from orchestrator.history.event_log import EventSource
    from orchestrator.journal import RunRecord
    from orchestrator.models.messages import Usage

LOOPS: Final = frozenset({"for_each", "while", "until", "agent"})
"""The kinds of steps that have items."""

EVENTS_AT_ONCE: Final = 1_000
OUTPUTS_AT_ONCE: Final = 64
"""How many steps' outputs are read together when steps are accessed in order."""

RESULTS: Final = frozenset({"output", "value", "values", "state", "appended", "undo"})
"""The fields of events that are left out where results are not needed."""

_ITEM: Final = re.compile(r"(?<!\.on_error)(?<!^error_handlers)(?<!\.error_handlers)\[\d+\]")


class EventReader(Protocol):
    """Reads a page of events of a run."""

    def __call__(self, run_id: str, *, after: int, limit: int) -> list[Event]:
        """Return up to `limit` events after the one numbered `after`."""


class StepResult(Struct, frozen=True):
    """How one step ended. Times in seconds since the epoch; `duration` in seconds, of the last attempt.

    `output` is the whole result of its tool, or the value that the run continued with after its failure; that of a
    `for_each` is the list of its items' outputs. `reason` is why it was skipped or cancelled, or what it waits for:
    with `question` a person, with `until` a time. A composite step has a `kind`, the chosen `case` of a switch, and the
    counts of a loop's `items` (`count`, `succeeded`, `failed`). `cached` names the run whose result was reused:
    `{key, run_id, path, at}`. `run` is the id of the run that a step with `detach` has started. `spending` is the usage
    and cost of all model calls of the step and the steps inside it, in all attempts.
    """

    path: str
    state: StepState
    output: Any = None
    attempts: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    duration: float = 0.0
    error: Mapping[str, Any] | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()
    kind: str = ""
    case: Any = None
    items: Mapping[str, int] | None = None
    question: Mapping[str, Any] | None = None
    until: float | None = None
    cached: Mapping[str, Any] | None = None
    run: str | None = None
    spending: Spending = NOTHING

    @property
    def usage(self) -> Usage:
        """The tokens and requests of its model calls."""
        return self.spending.usage

    @property
    def cost(self) -> float | None:
        """The cost of its model calls in USD; None where the price of one is unknown."""
        return self.spending.cost

    @property
    def elapsed(self) -> float:
        """Seconds from the first start to the last end: all attempts, and the waits between them."""
        if self.ended_at is None:
            return 0.0
        if self.started_at is None:  # an item: its own steps start
            return self.duration
        return max(0.0, self.ended_at - self.started_at)

    def to_dict(self) -> dict[str, Any]:
        """Return the step as JSON data."""
        return {
            "path": self.path,
            "state": self.state,
            "output": self.output,
            "attempts": self.attempts,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "duration": self.duration,
            "error": dict(self.error) if self.error is not None else None,
            "reason": self.reason,
            "warnings": list(self.warnings),
            "kind": self.kind,
            "case": self.case,
            "items": dict(self.items) if self.items is not None else None,
            "question": dict(self.question) if self.question is not None else None,
            "until": self.until,
            "cached": dict(self.cached) if self.cached is not None else None,
            "run": self.run,
            **self.spending.to_dict(),
        }


class StepResults(Mapping[str, StepResult]):
    """The steps of a run by path: all top-level steps of the plan, and the nested steps that have started.

    They are in the file's order, a loop's items below it by index. The first access reads all records, which take about
    0.7 KB of memory for each step; outputs are read on each access, and not kept.
    """

    def __init__(self, source: EventSource, run_id: str, last_seq: int) -> None:
        self.source = source
        self.run_id = run_id
        self.last_seq = last_seq
        self._loaded: dict[str, StepRecord] | None = None
        self._paths: list[str] = []
        self._positions: dict[str, int] = {}
        self._items: dict[str, dict[int, None]] = {}
        self._page: dict[str, StepResult] = {}
        self._last = -2

    def __getitem__(self, path: str) -> StepResult:
        if path not in self._records:
            raise KeyError(path)
        position = self._positions[path]
        if path not in self._page:
            # Access in order reads many outputs at once; a single access reads one, and so does that of a list.
            end = position + (OUTPUTS_AT_ONCE if position == self._last + 1 else 1)
            rest = takewhile(lambda other: not _is_list(self._records[other]), self._paths[position + 1 : end])
            self._page = self._read([path, *rest])
        self._last = position
        return self._page[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, path: object) -> bool:
        return path in self._records

    def __repr__(self) -> str:
        return f"<{len(self)} steps>"

    @property
    def record(self) -> RunRecord:
        """What the run was created from."""
        return self.source.record(self.run_id)

    @property
    def is_read(self) -> bool:
        """Whether the records have been read."""
        return self._loaded is not None

    def head(self, path: str) -> StepResult:
        """Return a step without its output, which is not read."""
        record = self._records[path]
        waits = record.state == "waiting"
        return StepResult(
            path=path,
            state=record.state,
            attempts=record.attempts,
            started_at=record.started_at,
            ended_at=record.ended_at,
            duration=record.duration,
            error=record.error,
            reason=record.reason,
            warnings=tuple(record.warnings),
            kind=record.kind,
            case=record.case,
            items=self._counts(record),
            question=self.source.resolve(record.question) if waits else None,
            until=record.until if waits else None,
            cached=record.cached,
            run=record.run,
            spending=record.spending,
        )

    def items_of(self, path: str) -> Sequence[int]:
        """Return the indices of a loop's items that have started, in order; none of another step."""
        return sorted(self._items.get(path, ())) if self._records else []

    def item_count(self, path: str) -> int:
        """Return how many items of a loop have started."""
        return len(self.items_of(path))

    def item_outputs(self, loop: str) -> list[Any]:
        """Return the values of the items or rounds of a loop that have ended, in order; null where one is missing."""
        record = self._records.get(loop)
        return [] if record is None else self._item_values(record)

    def state_of(self, path: str) -> StepState | None:
        """Return the state of a step or an item, None if there is no record of it."""
        record = self._records.get(path)
        return record.state if record is not None else None

    @property
    def _records(self) -> dict[str, StepRecord]:
        if self._loaded is None:
            order = StepOrder(self.source.record(self.run_id).plan)
            found = {id: StepRecord(id) for id in order.ids}
            found.update(self._read_records())
            self._loaded = {path: found[path] for path in sorted(found, key=order.key)}
            self._paths = list(self._loaded)
            self._positions = {path: position for position, path in enumerate(self._paths)}
            for path in self._paths:
                self._note_items(path)
        return self._loaded

    def _read_records(self) -> Mapping[str, StepRecord]:
        return step_records(lean(self.source.events, self.run_id, self.last_seq))

    def _note_items(self, path: str) -> None:
        """Record the items that contain a path: unfinished ones have no record."""
        while path:
            item = item_of(path)
            if item is not None:
                known = self._items.setdefault(item[0], {})
                if item[1] in known:
                    return
                known[item[1]] = None
            path = parent_of(path)

    def _read(self, paths: Sequence[str]) -> dict[str, StepResult]:
        records = [self._records[path] for path in paths]
        ended = [record for record in records if record.seq and not _is_list(record)]
        outputs = dict(zip((r.path for r in ended), self._values([r.seq for r in ended]), strict=True))
        outputs |= {record.path: self._item_values(record) for record in records if _is_list(record)}
        return {path: replace(self.head(path), output=outputs.get(path)) for path in paths}

    def _item_values(self, loop: StepRecord) -> list[Any]:
        """Return the values of a loop's items, in order; null where one is missing."""
        seqs = {}
        for index in self.items_of(loop.path):
            item = self._records.get(f"{loop.path}[{index}]")
            if item is not None and item.seq:
                seqs[index] = item.seq
        values = dict(zip(seqs, self._values(list(seqs.values())), strict=True))
        count = min((loop.items or {}).get("count", len(values)), self.last_seq)  # each item was recorded
        return [values.get(index) for index in range(count)]

    def _values(self, seqs: Sequence[int]) -> list[Any]:
        return self.source.values_at(self.run_id, seqs) if seqs else []

    def _counts(self, record: StepRecord) -> Mapping[str, int] | None:
        """Return how a loop's items ended: as recorded at its end, before that as counted now."""
        if record.kind not in LOOPS:
            return None
        if record.items is not None and record.state != "running":
            return record.items
        states = [self.state_of(f"{record.path}[{index}]") for index in self.items_of(record.path)]
        failed = states.count("failed")
        return {
            "count": len(states),
            "succeeded": states.count("succeeded") + states.count("skipped"),
            "failed": failed,
        }


def lean(read: EventReader, run_id: str, last_seq: int) -> Iterator[Event]:
    """Yield the events after `run.created` up to `last_seq`, without outputs, and without reading blobs."""
    after = 1
    while batch := read(run_id, after=after, limit=EVENTS_AT_ONCE):
        for event in batch:
            if event.seq > last_seq:
                return
            if event.path and not RESULTS.isdisjoint(event.data):
                yield replace(event, data={key: event.data[key] for key in event.data if key not in RESULTS})
            else:
                yield event
        if len(batch) < EVENTS_AT_ONCE:
            return
        after = batch[-1].seq


def step_states(steps: StepResults) -> dict[str, dict[str, int]]:
    """Count the states of a run's steps, by their paths; the items of a loop are counted together, as `loop[*]`."""
    found: dict[str, dict[str, int]] = {}
    for path in steps:
        counts = found.setdefault(_ITEM.sub("[*]", path), {})
        state = steps.state_of(path) or "pending"
        counts[state] = counts.get(state, 0) + 1
    return found


def _is_list(record: StepRecord) -> bool:
    return record.kind == "for_each" and record.state == "succeeded"
