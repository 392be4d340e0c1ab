"""What the events of steps record."""

# ruff: noqa: D102 - `describe` is documented in `Payload`

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - the types of the fields are evaluated
from typing import Any, ClassVar

from orchestrator.journal.audience import audience_in_words
from orchestrator.journal.payload import (
    EMPTY,
    CompositeKind,
    EventType,
    Handling,
    Json,
    Payload,
    SkipReason,
    StepEndPayload,
    WaitReason,
    counted,
    message_of,
    said,
)
from orchestrator.journal.state.usage import Spending, spending_of


class StepStartedPayload(Payload):
    """An attempt starts, or with a `kind` a composite step, each time an owner starts or continues it.

    What error handlers below it have recorded is forgotten. `of` is the number of its items or steps, where that is
    known, `done` how many of them have ended already, `failed` how many of those failed. `mark` is the digest of the
    file that a loop iterates over. `run` is the id of the run that a step with `detach` is about to start.
    `limits` are those of its limits that were computed, by name; durations in seconds.
    """

    type: ClassVar[EventType] = "step.started"
    kind: CompositeKind | None = None
    of: int | None = None
    done: int = 0
    failed: int = 0
    case: Any = None
    mark: str | None = None
    run: str | None = None
    limits: Json | None = None

    def describe(self) -> list[str]:
        return [f"{name} {limit}" for name, limit in (self.limits or {}).items()]


class StepProgressPayload(Payload):
    """Progress that a tool reported: `fraction` is from 0 to 1."""

    type: ClassVar[EventType] = "step.progress"
    fraction: float | None = None
    message: str | None = None

    def describe(self) -> list[str]:
        done = "" if self.fraction is None else f"{self.fraction:.0%}"
        return said(done, self.message)


class StepLogPayload(Payload):
    """A line that a tool logged."""

    type: ClassVar[EventType] = "step.log"
    level: str = "info"
    message: str = ""

    def describe(self) -> list[str]:
        return said(self.level, self.message)


class StepFilePayload(Payload):
    """A file that a tool has written.

    `path` is relative to the working directory, if the file is below it. `size` is in bytes, `modified` when the file
    was written: microseconds since the epoch, by the clock of its file system. A file that the step declares in
    `produces` has a `digest`: the SHA-256 of its content when the step ended.
    """

    type: ClassVar[EventType] = "step.file"
    path: str = ""
    size: int = 0
    modified: int = 0
    digest: str | None = None

    def describe(self) -> list[str]:
        return said(self.path)


class StepWarningPayload(Payload):
    """A warning about the step."""

    type: ClassVar[EventType] = "step.warning"
    message: str = ""
    code: str | None = None

    def describe(self) -> list[str]:
        return said(self.message)


class StepModelPayload(Payload):
    """One model call, also one that failed: then `error` is `{code, type, message}`.

    `usage` is `{input, output, cached, reasoning, requests}`; `cost` is null where the price is unknown. It may follow
    the end of its step, if that was abandoned. `reply` is an intermediate answer, and `kept` the digest of its request:
    a step that is started again, and was not forgotten, reuses it.
    """

    type: ClassVar[EventType] = "step.model"
    model: str = ""
    usage: Mapping[str, int] = EMPTY
    cost: float | None = None
    latency: float | None = None
    finish: str | None = None
    why: str | None = None
    error: Json | None = None
    kept: str | None = None
    reply: Json | None = None

    @property
    def spending(self) -> Spending:
        """The usage and the cost of the call."""
        return spending_of({"usage": self.usage, "cost": self.cost})

    def describe(self) -> list[str]:
        return [self.model, str(self.spending), self.why or "", *message_of(self.error)]


class StepPartialPayload(Payload):
    """A piece of an answer that a model is streaming. It is not recorded: its event has the `seq` 0."""

    type: ClassVar[EventType] = "step.partial"
    text: str = ""


class StepWaitingPayload(Payload):
    """The step waits, for the `reason` given, until a time or an answer.

    `question` is `{kind, prompt, [answer], [choices], [default], [content], [editable], [questions], [assignee]}`:
    `kind` is a `QuestionKind`, `answer` the specification of the answer, like that of an input, `questions` the names
    of several, which are the fields of the answer, `assignee` the people and groups that can answer. With reminders,
    the event is recorded again for each, and `question` has what `orchestrator.journal.audience` describes.
    """

    type: ClassVar[EventType] = "step.waiting"
    reason: WaitReason | None = None
    until: float | None = None
    error: Json | None = None
    question: Json | None = None
    traceback: str | None = None

    def describe(self) -> list[str]:
        asked = [] if self.question is None else [str(self.question.get("prompt", ""))]
        asked += said(audience_in_words(self.question or {}))
        return asked + said(self.reason) + message_of(self.error)


class StepRunningPayload(Payload):
    """The attempt continues after it waited for permission to call a model."""

    type: ClassVar[EventType] = "step.running"


class StepAnsweredPayload(Payload):
    """A person answered; the step waits until the owner of the run takes the answer.

    `idle`: no process executed the run then, and none had since the event before.
    """

    type: ClassVar[EventType] = "step.answered"
    value: Any = None
    by: str | None = None
    idle: bool = False

    def describe(self) -> list[str]:
        return said(self.by)


class StepSucceededPayload(StepEndPayload):
    """The step, item or round ended with an output; that of a `for_each` is null, as its items have their own.

    `cache` is the key of its result, `{key, parts {name: digest}}`, `cached` where the result was found: `{key, run_id,
    path, at}`. A loop has `items` `{count, succeeded, failed}`, a round the accumulators (`state`), a group the
    `values` of its steps by their ids, a switch its `case`. `ends` is the path of the pipeline that the step has ended
    early, with its `output` as values of outputs; empty for that of the run.

    A large accumulator that has only grown since the round before is not in `state`. `appended` has what was added at
    its end: the characters of a text, the items of a list, the fields of an object. All accumulators are in `state` in
    the first round that an owner records, and again when the rounds since then have recorded as much.

    `undo` has what the `undo` of the step needs, if it has one: `{line, names}`, the step's line in the file and the
    values that its steps read.
    """

    type: ClassVar[EventType] = "step.succeeded"
    output: Any = None
    duration: float | None = None
    cache: Json | None = None
    cached: Json | None = None
    items: Mapping[str, int] | None = None
    state: Json | None = None
    appended: Json | None = None
    values: Json | None = None
    case: Any = None
    undo: Json | None = None
    ends: str | None = None

    def describe(self) -> list[str]:
        return counted(self.items)


class StepFailedPayload(StepEndPayload):
    """The last attempt of the step failed, or an item did; the run continues unless it is `handled` as `fail`.

    A failure within a block with `fail` ends the block; the event of what contains it tells how that was handled.
    """

    type: ClassVar[EventType] = "step.failed"
    error: Json | None = None
    duration: float | None = None
    handled: Handling = "fail"
    value: Any = None
    target: str | None = None
    cache: Json | None = None
    items: Mapping[str, int] | None = None
    traceback: str | None = None

    def describe(self) -> list[str]:
        return counted(self.items) + message_of(self.error)


class StepSkippedPayload(StepEndPayload):
    """The step's condition was false, the step `by` jumped over it, or `by` ended the pipeline before it started.

    A step that was skipped by an `end` is pending again when the run is resumed.
    """

    type: ClassVar[EventType] = "step.skipped"
    reason: SkipReason | None = None
    by: str | None = None

    def describe(self) -> list[str]:
        return said(self.reason, self.by)


class StepCancelledPayload(StepEndPayload):
    """The step was stopped."""

    type: ClassVar[EventType] = "step.cancelled"
    reason: str | None = None

    def describe(self) -> list[str]:
        return said(self.reason)


class StepRequeuedPayload(Payload):
    """The step was interrupted by a pause, and is pending again."""

    type: ClassVar[EventType] = "step.requeued"
    reason: str | None = None

    def describe(self) -> list[str]:
        return said(self.reason)


class StepUndonePayload(Payload):
    """The `undo` of the step has ended: the success that the event `of` recorded counts as not done.

    Neither does what depends on it: the run forgets the paths `forget`, what is below them, and the ends around them.
    Of the top-level steps that had ended, those that have not any more are `reopened`: `{succeeded, skipped, failed}`.
    """

    type: ClassVar[EventType] = "step.undone"
    of: int = 0
    forget: Sequence[str] = ()
    reopened: Mapping[str, int] = EMPTY
