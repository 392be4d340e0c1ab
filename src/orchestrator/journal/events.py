"""The events of a run: everything that is ever recorded about it, in order.

The data of each type, as JSON; keys in brackets may be absent. Times are seconds since the epoch, durations seconds.

    run.created     {pipeline, name, source_name, source, directory, digest, plan, inputs, options, now, steps}
                    `steps` is the number of steps in the plan, `now` the one time that the whole run reads as now
    run.started     {owner, resumed}  once per owner; `resumed` is true when an earlier owner had begun
    run.paused      {[by]}
    run.resumed     {[by]}  the same owner goes on after a pause
    run.succeeded   {outputs}
    run.failed      {error, [step]}  error: {code, type, message, help, step, attempt}
    run.cancelled   {[reason], [by]}
    run.warning     {message, [code]}
    step.ready      {}  only when the step must wait for a free place
    step.started    {[tool], [action]}  once per attempt
    step.progress   {[fraction], [message]}  fraction from 0 to 1
    step.log        {level, message}
    step.warning    {message, [code]}
    step.waiting    {reason: "retry" | "human" | "rate limit", [until], [error]}
    step.succeeded  {output, duration}
    step.failed     {error, duration, handled: "fail" | "continue" | "value" | "jump", [value], [target]}
                    the last attempt failed; `handled` other than "fail" means that the run goes on
    step.skipped    {reason: "condition" | "jump", [by]}
    step.cancelled  {[reason]}

In the store, a value of the first level that is longer than `blobs.LIMIT` characters of JSON is replaced by
`{"$blob": sha256, "size": characters}`; `Store.events(..., resolve=True)` and `Store.resolve` put it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

EventType = Literal[
    "run.created",
    "run.started",
    "run.paused",
    "run.resumed",
    "run.succeeded",
    "run.failed",
    "run.cancelled",
    "run.warning",
    "step.ready",
    "step.started",
    "step.progress",
    "step.log",
    "step.warning",
    "step.waiting",
    "step.succeeded",
    "step.failed",
    "step.skipped",
    "step.cancelled",
]

RunState = Literal["running", "paused", "succeeded", "failed", "cancelled", "interrupted"]
StepState = Literal["pending", "ready", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"]

ENDS: frozenset[EventType] = frozenset({"run.succeeded", "run.failed", "run.cancelled"})
"""The events after which nothing more happens unless somebody resumes the run."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `seq` counts from 1 without gaps in each run; `at` is seconds since the epoch, UTC.

    `path` is the step's (empty for the run itself), `attempt` counts from 1 (0 where it means nothing).
    """

    run_id: str
    seq: int
    at: float
    type: EventType
    path: str = ""
    attempt: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

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
