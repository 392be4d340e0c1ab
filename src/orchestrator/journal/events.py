"""The events of a run: everything that is ever recorded about it, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

EventType = Literal[
    "run.created",  # {pipeline, name, source, digest, plan, inputs, now, options, steps: number of steps in the plan}
    "run.started",  # {owner, resumed: bool}; once per owner
    "run.paused",  # {by}
    "run.resumed",  # {by}; the same owner goes on after a pause
    "run.succeeded",  # {outputs}
    "run.failed",  # {error, step}
    "run.cancelled",  # {reason, by}
    "run.warning",  # {message, code}
    "step.ready",  # {}; only when it must wait for a free place
    "step.started",  # {tool, action}
    "step.progress",  # {fraction, message}
    "step.log",  # {level, message}
    "step.warning",  # {message, code}
    "step.waiting",  # {reason: "retry" | "human" | "rate limit", until, error}
    "step.succeeded",  # {output, duration}
    "step.failed",  # {error, duration, handled: "fail" | "continue" | "value" | "jump", value, target}
    "step.skipped",  # {reason: "condition" | "jump", by}
    "step.cancelled",  # {reason}
]

RunState = Literal["running", "paused", "succeeded", "failed", "cancelled", "interrupted"]
StepState = Literal["pending", "ready", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"]


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
