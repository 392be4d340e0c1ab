"""The events of a run: everything that is ever recorded about it, in order.

`payloads` has what each type of event records. The end of an item, such as `loop[2]`, is recorded like that of a step.

In the store, a value of the first level that is longer than `blob_codec.LIMIT` characters of JSON is replaced by
`{"$blob": sha256, "size": characters}`. An object whose length is that of a few fields is `{"$parts": {name: value}}`,
with such references for its large fields, at any depth. `Store.events(..., resolve=True)` and `Store.resolve` put all
values back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from orchestrator.journal.payload import EventType as EventType
from orchestrator.journal.payload import Payload
from orchestrator.journal.payloads import PAYLOADS

RunState = Literal["queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled", "interrupted"]
StepState = Literal["pending", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"]

ENDS: frozenset[EventType] = frozenset({"run.succeeded", "run.failed", "run.cancelled"})
"""The events after which nothing more happens unless the run is resumed."""


class Event(Struct, frozen=True):
    """One fact. `seq` counts from 1 without gaps in each run, 0: not recorded; `at` is seconds since the epoch, UTC.

    `path` is the step's (empty for the run itself), `attempt` counts from 1 (0 where it means nothing).
    """

    run_id: str
    seq: int
    at: float
    type: EventType
    path: str = ""
    attempt: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, run_id: str, seq: int, at: float, payload: Payload, path: str = "", attempt: int = 0) -> Event:
        """Return the event that records a payload."""
        return cls(run_id, seq, at, payload.type, path, attempt, payload.to_data())

    @property
    def payload(self) -> Payload:
        """What the event records, as the class of its type; without fields if that is unknown."""
        return PAYLOADS.get(self.type, Payload).from_data(self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return the event as JSON data."""
        return {
            "run_id": self.run_id,
            "seq": self.seq,
            "at": self.at,
            "type": self.type,
            "path": self.path,
            "attempt": self.attempt,
            "data": dict(self.data),
        }
