"""The fold of a run's events: its size grows with the number of active steps, not with the number of events.

Only steps that can still change their state are kept by name. Those that succeeded or were skipped are counted, and of
nested steps only the active ones are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, convert, field
from msgspec.structs import asdict

from orchestrator.journal.events import RunState, StepState
from orchestrator.journal.payload_types import END_OF_TIME, LARGEST
from orchestrator.journal.state.status import NoticeStatus, QueuedRun
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.paths import is_top_level, parent_of

FAILURES = 100
"""How many paths of handled failures are kept."""

WARNINGS = 20
"""How many warnings of the run as a whole are kept."""

NOTICES = 20
"""How many notices are kept, the latest ones."""

Mode = Literal["composite", "running", "person", "time", "moment"]
"""What an active step does: it consists of other steps, works, or waits for a person, for a time, or for a moment."""

MODES: tuple[Mode, ...] = ("composite", "running", "person", "time", "moment")

_QUESTION_UNIT = 100  # characters of a question that count as one path


Count = Annotated[int, Meta(ge=0, le=LARGEST)]
"""How many; what is read back is checked."""

Time = Annotated[float, Meta(ge=-END_OF_TIME, le=END_OF_TIME)]
"""Seconds, since the epoch or of duration; what is read back is checked."""


class ActiveState(Struct):
    """An active step in the fold; `since` is when its attempt or its wait started.

    `kind`, `of`, `done` and `failed` are those of a composite step; `question` is what a person is asked, and whether
    it was `answered`.
    """

    state: StepState
    attempt: Count
    since: Time
    fraction: float | None = None
    message: str = ""
    waiting_on: str = ""
    waiting_until: Time | None = None
    kind: str = ""
    of: Count | None = None
    done: Count = 0
    failed: Count = 0
    question: Mapping[str, Any] | None = None
    answered: bool = False

    @property
    def mode(self) -> Mode:
        """What the step does."""
        if self.kind or self.waiting_on == "handler":
            return "composite"
        if self.state == "running":
            return "running"
        if self.waiting_on == "human" and not self.answered:
            return "person"
        return "time" if self.waiting_on == "time" else "moment"

    @property
    def outlives_owner(self) -> bool:
        """Whether its wait continues when the process has ended."""
        return self.state == "waiting" and self.waiting_on in ("human", "time")

    @property
    def weight(self) -> int:
        """Its size in a snapshot, as a number of paths."""
        return 1 if self.question is None else 1 + len(str(self.question)) // _QUESTION_UNIT


class RunFold(Struct):
    """The state of a run after `last_seq` events. `fold` changes it in place; `to_dict` returns it as JSON data.

    The dicts with None values are ordered sets of paths, of top-level steps except for `handled`: `failed` ended the
    run; `handled` did not, at any depth, the first `FAILURES` of them; `continued` counts those of top-level steps.
    `revised` is the number of the event that last changed the source, 0 if none did. `spending` is the usage and cost
    of all model calls, `budget` and `allowed` are those of `run.started`, `warnings` the first messages of
    `run.warning`, `notices` the latest ones by their ids.

    A submitted run is executed by workers that have the labels `runs_on`; None for other runs. Nothing starts before
    the time `not_before`, if there is one, and while the run is `queued`. `compensating` counts what is being undone:
    the run, or groups.

    `spent` is the closed working time, `since` the start of the open one, `before` the time spent when the run last
    ended. Only `enter` and `leave` change `active`, because `modes`, `below` and `weight` are derived from it: the
    number of active steps by mode and below each path, and their total weight.
    """

    run_id: str = ""
    pipeline: str = ""
    name: str = ""
    state: RunState = "running"
    total: Count = 0
    created_at: Time = 0.0
    not_before: Time | None = None
    runs_on: tuple[str, ...] | None = None
    queued: QueuedRun | None = None
    started_at: Time | None = None
    ended_at: Time | None = None
    spent: Time = 0.0
    since: Time | None = None
    before: Time = 0.0
    last_seq: Count = 0
    last_at: Time = 0.0
    error: Mapping[str, Any] | None = None
    paused_by: str = ""
    reason: str = ""
    succeeded: Count = 0
    skipped: Count = 0
    left_out: Count = 0
    continued: Count = 0
    revised: Count = 0
    compensating: Count = 0
    active: dict[str, ActiveState] = field(default_factory=dict)
    failed: dict[str, None] = field(default_factory=dict)
    handled: dict[str, None] = field(default_factory=dict)
    cancelled: dict[str, None] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    spending: Spending = NOTHING
    budget: Mapping[str, float] | None = None
    allowed: Mapping[str, float] | None = None
    warnings: list[str] = field(default_factory=list)
    notices: dict[str, NoticeStatus] = field(default_factory=dict)
    modes: dict[Mode, int] = field(default_factory=lambda: dict.fromkeys(MODES, 0))
    below: dict[str, int] = field(default_factory=dict)
    weight: int = 0

    @property
    def size(self) -> int:
        """The size of a snapshot, as a number of paths."""
        paths = len(self.failed) + len(self.handled) + len(self.cancelled)
        return self.weight + paths + len(self.warnings) + len(self.notices)

    @property
    def is_working(self) -> bool:
        """Whether a step is working."""
        return self.modes["running"] > 0

    @property
    def is_waiting(self) -> bool:
        """Whether nothing can continue before a person answers or a time comes."""
        modes = self.modes
        if modes["running"] or modes["moment"]:
            return False
        return modes["person"] + modes["time"] > 0

    @property
    def awaits_time(self) -> bool:
        """Whether the run has not begun, and may wait for its time."""
        return self.not_before is not None and self.started_at is None and self.queued is None

    @property
    def is_held(self) -> bool:
        """Whether the run waits for its time or its turn before it begins."""
        return self.queued is not None or self.awaits_time

    @property
    def needs_person(self) -> bool:
        """Whether nothing can continue, and a person's answer would change that."""
        return self.modes["person"] > 0 and self.is_waiting

    def enter(self, path: str, step: ActiveState) -> None:
        """Add an active step, or replace its state."""
        before = self.active.get(path)
        if before is not None:
            self.modes[before.mode] -= 1
            self.weight -= before.weight
        elif not is_top_level(path):
            around = parent_of(path)
            while around:
                self.below[around] = self.below.get(around, 0) + 1
                around = parent_of(around)
        self.active[path] = step
        self.modes[step.mode] += 1
        self.weight += step.weight

    def leave(self, path: str) -> ActiveState | None:
        """Remove an active step."""
        step = self.active.pop(path, None)
        if step is None:
            return None
        self.modes[step.mode] -= 1
        self.weight -= step.weight
        if not is_top_level(path):
            around = parent_of(path)
            while around:
                left = self.below.get(around, 0) - 1
                if left > 0:
                    self.below[around] = left
                else:
                    del self.below[around]
                around = parent_of(around)
        return step

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON data, without what is as at the beginning: this is written often."""
        data = {name: value for name in _WRITTEN if (value := getattr(self, name)) != getattr(_BEGINNING, name)}
        if self.active:
            data["active"] = {path: _compact(step) for path, step in self.active.items()}
        for name in _PATHS:
            if paths := getattr(self, name):
                data[name] = list(paths)
        if self.notices:
            data["notices"] = {id: notice.to_dict() for id, notice in self.notices.items()}
        if self.queued is not None:
            data["queued"] = self.queued.to_dict()
        if self.spending:
            data["spending"] = self.spending.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunFold:
        """Build the state that `to_dict` described. Unknown fields are ignored.

        Raises:
            msgspec.ValidationError: A field has the wrong type.
        """
        fields = dict(data)
        active = convert(fields.pop("active", {}), dict[str, ActiveState])
        for name in _PATHS:
            fields[name] = dict.fromkeys(convert(fields.get(name, ()), list[str]))
        if "spending" in fields:
            fields["spending"] = Spending.from_dict(fields["spending"])
        state = convert(fields, cls)
        for path, step in active.items():
            state.enter(path, step)
        return state


_BEGINNING = RunFold()
_PATHS = ("failed", "handled", "cancelled")
_OF_STEPS = (*_PATHS, "active", "notices", "queued", "spending", "modes", "below", "weight")
_WRITTEN = tuple(name for name in RunFold.__struct_fields__ if name not in _OF_STEPS)

_ALWAYS = ("state", "attempt", "since")
_UNSAID = asdict(ActiveState("running", 0, 0.0))


def _compact(step: ActiveState) -> dict[str, Any]:
    """Return the step as JSON data, without default values."""
    return {name: value for name, value in asdict(step).items() if name in _ALWAYS or value != _UNSAID[name]}
