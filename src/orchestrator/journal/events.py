"""The events of a run: everything that is ever recorded about it, in order.

The data of each type, as JSON; keys in brackets may be absent. Times are seconds since the epoch, durations seconds.
Paths are those of `paths`.

    run.created     {pipeline, name, source_name, source, directory, digest, plan, inputs, options, now, steps,
                     [sources {key: text}], [forked_from {run_id, step}], [batch {id, row}]}
                    `steps` is the number of top-level steps in the plan, `now` the one time that the whole run reads as
                    now, `sources` the texts of the pipelines that it calls
    run.revised     {reason: "retry" | "with", [step], forget: [paths], settled: {succeeded, skipped, failed}, [by],
                     [source, source_name, sources, directory, plan, digest, steps, inputs]}
                    between two owners: the run forgets what is recorded at these paths and below, and that what
                    contains them has ended. `settled` says how many top-level steps still have ended so. With another
                    source, the run is of all that from now on
    run.started     {owner, resumed, [budget], [allowed]}  once per owner; `resumed` is true when an earlier owner had
                    begun. What is recorded below `finally` and `error_handlers` is forgotten. `budget` is what the run
                    may spend on models, `allowed` the part of it that was said when it was started or resumed, and
                    that holds for later owners too: {[usd], [tokens], [requests]}
    run.paused      {[by]}
    run.resumed     {[by]}  the same owner goes on after a pause
    run.succeeded   {outputs}
    run.failed      {error, [step]}  error: {code, type, message, help, step, attempt}
    run.cancelled   {[reason], [by]}
    run.warning     {message, [code]}
    step.ready      {}  only when the step must wait for a free place
    step.started    {[tool], [action]}  once per attempt; what is recorded below
                    it, by handlers of its errors, is forgotten. Of a step that consists of steps, each time that it is
                    taken up: {kind: "for_each" | "while" | "until" | "switch" | "group" | "parallel" | "pipeline" |
                    "agent", [of], done, failed, [case], [mark]}
                    `of` is how many items or steps there will be where that is known, `done` how many of them have
                    ended already, `failed` how many of those failed; `mark` tells the file that a loop goes through
    step.progress   {[fraction], [message]}  fraction from 0 to 1
    step.log        {level, message}
    step.warning    {message, [code]}
    step.model      {model, usage {input, output, cached, reasoning, requests}, cost, latency, finish, why, error,
                     [kept, reply]}
                    one call of a model, also one that failed: then `error` is {code, type, message}, else null. `cost`
                    in USD, null where no price is known. It may follow the end of its step, if that was abandoned.
                    An answer on the way to that of the step is in `reply`, and `kept` is the digest of its request: a
                    step that is begun again, and was not forgotten, takes it from there
    step.waiting    {reason: "retry" | "human" | "time" | "handler" | in words what a call of a model waits for,
                     [until], [error], [question {kind: "ask" | "approve" | "resume", prompt, [answer], [choices],
                                                  [default], [content], [editable]}]}
                    `answer` is the specification of what is asked for, as of an input
    step.running    {}  the attempt goes on after it has waited to be allowed a call of a model
    step.answered   {value, by}  the step still waits, until the owner takes the answer
    step.succeeded  {output, duration, [cache {key, parts {name: digest}}], [cached {key, run_id, path, at}]}
                    `cache` is what its result was looked up by, `cached` where it was found. A loop has also {items
                    {count, succeeded, failed}}, and the output of `for_each` is null: it is those of its items; a round
                    {state: the accumulators}; a group {values: by the ids of its steps}
    step.failed     {error, duration, handled: "fail" | "continue" | "value" | "jump", [value], [target], [cache]}
                    the last attempt failed; `handled` other than "fail" means that the run goes on
    step.skipped    {reason: "condition" | "jump", [by]}
    step.cancelled  {[reason]}
    step.requeued   {reason}  it was interrupted and is pending again

The end of an item, as `loop[2]`, is recorded as that of a step. A failure within a block with `handled: "fail"` ends
the block; what contains it then records how it dealt with that.

`step.partial {text}` is a piece of an answer that a model is just giving. It is not recorded and has the `seq` 0: only
who looks at a run in the process that executes it sees such events.

In the store, a value of the first level that is longer than `blobs.LIMIT` characters of JSON is replaced by
`{"$blob": sha256, "size": characters}`; `Store.events(..., resolve=True)` and `Store.resolve` put it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

EventType = Literal[
    "run.created",
    "run.revised",
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
    "step.model",
    "step.partial",
    "step.waiting",
    "step.running",
    "step.answered",
    "step.succeeded",
    "step.failed",
    "step.skipped",
    "step.cancelled",
    "step.requeued",
]

RunState = Literal["running", "waiting", "paused", "succeeded", "failed", "cancelled", "interrupted"]
StepState = Literal["pending", "ready", "running", "waiting", "succeeded", "failed", "skipped", "cancelled"]

ENDS: frozenset[EventType] = frozenset({"run.succeeded", "run.failed", "run.cancelled"})
"""The events after which nothing more happens unless somebody resumes the run."""


@dataclass(frozen=True, slots=True)
class Event:
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
