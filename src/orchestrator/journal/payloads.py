"""What each type of event records, as frozen classes that are written and read as JSON data.

Times are seconds since the epoch, durations seconds, money USD; paths are those of `orchestrator.paths`. In a stored
event, a large value may be a reference to a blob: `{"$blob": sha256, "size": characters}`. An object with such
references is `{"$parts": {name: value}}`.
"""

# ruff: noqa: D102 - `describe` is documented in `Payload`

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, NoReturn, Self, dataclass_transform

from orchestrator.journal.state.usage import Spending, spending_of

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

RevisionReason = Literal["retry", "with"]
"""Why a run was revised: a step is run again, or the pipeline or its inputs were edited."""

CompositeKind = Literal["for_each", "while", "until", "switch", "group", "parallel", "pipeline", "agent"]
"""The kind of a step that consists of other steps."""

Handling = Literal["fail", "continue", "value", "jump"]
"""What follows a failure: it ends what the step is in, or the run continues without a value, with one, elsewhere."""

SkipReason = Literal["condition", "jump"]

QuestionKind = Literal["ask", "approve", "resume"]

WaitReason = str
"""`retry`, `human`, `time`, `handler`, or what a model call waits for, in words."""

Json = Mapping[str, Any]

_EMPTY: Final[Json] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Payload:
    """The data of one event: written to JSON as they were given. A field that was not given has its default value.

    Immutable. `fields` are the names of all fields. Not a struct: that does not know which of its fields were given.
    """

    type: ClassVar[EventType]
    fields: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls.fields |= cls.__annotations__.keys() - {"type"}

    def __init__(self, **values: Any) -> None:
        if not values.keys() <= self.fields:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(values.keys() - self.fields))}")
        object.__setattr__(self, "__dict__", values)  # a dictionary of its own: nothing is copied

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def to_data(self) -> dict[str, Any]:
        """Return the payload as JSON data."""
        return dict(vars(self))

    @classmethod
    def from_data(cls, data: Json) -> Self:
        """Read the payload from JSON data; unknown keys are ignored."""
        payload = cls.__new__(cls)
        known = data.keys() <= cls.fields
        own = dict(data) if known else {name: data[name] for name in data if name in cls.fields}
        object.__setattr__(payload, "__dict__", own)
        return payload

    def describe(self) -> list[str]:
        """Return in a few words what a log says of the event, in addition to its type and its step."""
        return []

    def replace(self, **values: Any) -> Self:
        """Return the payload with other or further values."""
        return type(self)(**{**vars(self), **values})

    def without_nulls(self) -> Self:
        """Return the payload without the values that are null."""
        return type(self)(**{name: value for name, value in vars(self).items() if value is not None})


class RunEndPayload(Payload):
    """How the run ended."""


class StepEndPayload(Payload):
    """How a step ended."""


class RunCreatedPayload(Payload):
    """A new run. `steps` counts the top-level steps of the plan, `now` is the one time that the run reads as now.

    `sources` are the texts of the pipelines that it calls, by their keys in the plan. `forked_from` has the run and the
    step that it was forked from: `{run_id, step}`, `batch` the row that it runs: `{id, row}`.
    """

    type: ClassVar[EventType] = "run.created"
    pipeline: str = ""
    name: str = ""
    source_name: str = ""
    source: str = ""
    directory: str = ""
    digest: str = ""
    plan: Json = _EMPTY
    inputs: Json = _EMPTY
    options: Json = _EMPTY
    now: float = 0.0
    steps: int = 0
    metadata: Json = _EMPTY
    sources: Mapping[str, str] | None = None
    forked_from: Mapping[str, str] | None = None
    batch: Json | None = None


class RunRevisedPayload(Payload):
    """Between two owners, the run forgets what is recorded at the paths `forget`, below them, and the ends around them.

    `settled` counts the top-level steps that remain ended: `{succeeded, skipped, failed}`. With another `source`, the
    run consists of the new source, plan and inputs from now on.
    """

    type: ClassVar[EventType] = "run.revised"
    reason: RevisionReason | None = None
    step: str | None = None
    forget: Sequence[str] = ()
    settled: Mapping[str, int] = _EMPTY
    by: str | None = None
    source: str | None = None
    source_name: str | None = None
    sources: Mapping[str, str] | None = None
    directory: str | None = None
    plan: Json | None = None
    digest: str | None = None
    steps: int | None = None
    inputs: Json | None = None

    def describe(self) -> list[str]:
        return _said(self.reason, self.by)


class RunStartedPayload(Payload):
    """Once per owner; `resumed` after an earlier owner. What is recorded below `finally` and `error_handlers` is reset.

    `budget` is what the run may spend on models, `allowed` the part of it that was given when the run was started or
    resumed, which later owners keep: `{[usd], [tokens], [requests]}`. `by` is who resumed or forked the run.
    """

    type: ClassVar[EventType] = "run.started"
    owner: str = ""
    resumed: bool = False
    by: str | None = None
    budget: Mapping[str, float] | None = None
    allowed: Mapping[str, float] | None = None

    def describe(self) -> list[str]:
        return _said(self.by, self.owner)


class RunPausedPayload(Payload):
    """A person paused the run."""

    type: ClassVar[EventType] = "run.paused"
    by: str | None = None

    def describe(self) -> list[str]:
        return _said(self.by)


class RunResumedPayload(Payload):
    """The same owner continues after a pause."""

    type: ClassVar[EventType] = "run.resumed"
    by: str | None = None

    def describe(self) -> list[str]:
        return _said(self.by)


class RunSucceededPayload(RunEndPayload):
    """The run ended with its declared outputs."""

    type: ClassVar[EventType] = "run.succeeded"
    outputs: Json = _EMPTY


class RunFailedPayload(RunEndPayload):
    """The run ended with an error: `{code, type, message, help, step, attempt}`."""

    type: ClassVar[EventType] = "run.failed"
    error: Json | None = None
    step: str | None = None

    def describe(self) -> list[str]:
        return _message(self.error)


class RunCancelledPayload(RunEndPayload):
    """A person cancelled the run."""

    type: ClassVar[EventType] = "run.cancelled"
    reason: str | None = None
    by: str | None = None

    def describe(self) -> list[str]:
        return _said(self.reason, self.by)


class RunWarningPayload(Payload):
    """A warning about the run as a whole."""

    type: ClassVar[EventType] = "run.warning"
    message: str = ""
    code: str | None = None

    def describe(self) -> list[str]:
        return _said(self.message)


class StepStartedPayload(Payload):
    """An attempt starts, or with a `kind` a composite step, each time an owner starts or continues it.

    What error handlers below it have recorded is forgotten. `of` is the number of its items or steps, where that is
    known, `done` how many of them have ended already, `failed` how many of those failed. `mark` is the digest of the
    file that a loop iterates over.
    """

    type: ClassVar[EventType] = "step.started"
    kind: CompositeKind | None = None
    of: int | None = None
    done: int = 0
    failed: int = 0
    case: Any = None
    mark: str | None = None


class StepProgressPayload(Payload):
    """Progress that a tool reported: `fraction` is from 0 to 1."""

    type: ClassVar[EventType] = "step.progress"
    fraction: float | None = None
    message: str | None = None

    def describe(self) -> list[str]:
        done = "" if self.fraction is None else f"{self.fraction:.0%}"
        return _said(done, self.message)


class StepLogPayload(Payload):
    """A line that a tool logged."""

    type: ClassVar[EventType] = "step.log"
    level: str = "info"
    message: str = ""

    def describe(self) -> list[str]:
        return _said(self.level, self.message)


class StepWarningPayload(Payload):
    """A warning about the step."""

    type: ClassVar[EventType] = "step.warning"
    message: str = ""
    code: str | None = None

    def describe(self) -> list[str]:
        return _said(self.message)


class StepModelPayload(Payload):
    """One model call, also one that failed: then `error` is `{code, type, message}`.

    `usage` is `{input, output, cached, reasoning, requests}`; `cost` is null where the price is unknown. It may follow
    the end of its step, if that was abandoned. `reply` is an intermediate answer, and `kept` the digest of its request:
    a step that is started again, and was not forgotten, reuses it.
    """

    type: ClassVar[EventType] = "step.model"
    model: str = ""
    usage: Mapping[str, int] = _EMPTY
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
        return [self.model, str(self.spending), self.why or "", *_message(self.error)]


class StepPartialPayload(Payload):
    """A piece of an answer that a model is streaming. It is not recorded: its event has the `seq` 0."""

    type: ClassVar[EventType] = "step.partial"
    text: str = ""


class StepWaitingPayload(Payload):
    """The step waits, for the `reason` given, until a time or an answer.

    `question` is `{kind, prompt, [answer], [choices], [default], [content], [editable]}`: `kind` is a `QuestionKind`,
    `answer` the specification of the answer, like that of an input.
    """

    type: ClassVar[EventType] = "step.waiting"
    reason: WaitReason | None = None
    until: float | None = None
    error: Json | None = None
    question: Json | None = None
    traceback: str | None = None

    def describe(self) -> list[str]:
        asked = [] if self.question is None else [str(self.question.get("prompt", ""))]
        return asked + _said(self.reason) + _message(self.error)


class StepRunningPayload(Payload):
    """The attempt continues after it waited for permission to call a model."""

    type: ClassVar[EventType] = "step.running"


class StepAnsweredPayload(Payload):
    """A person answered; the step waits until the owner of the run takes the answer."""

    type: ClassVar[EventType] = "step.answered"
    value: Any = None
    by: str | None = None

    def describe(self) -> list[str]:
        return _said(self.by)


class StepSucceededPayload(StepEndPayload):
    """The step, item or round ended with an output; that of a `for_each` is null, as its items have their own.

    `cache` is the key of its result, `{key, parts {name: digest}}`, `cached` where the result was found: `{key, run_id,
    path, at}`. A loop has `items` `{count, succeeded, failed}`, a round the accumulators (`state`), a group the
    `values` of its steps by their ids, a switch its `case`.

    A large accumulator that has only grown since the round before is not in `state`. `appended` has what was added at
    its end: the characters of a text, the items of a list, the fields of an object. All accumulators are in `state` in
    the first round that an owner records, and again when the rounds since then have recorded as much.
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

    def describe(self) -> list[str]:
        return _counted(self.items)


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
        return _counted(self.items) + _message(self.error)


class StepSkippedPayload(StepEndPayload):
    """The step's condition was false, or the step `by` jumped over it."""

    type: ClassVar[EventType] = "step.skipped"
    reason: SkipReason | None = None
    by: str | None = None

    def describe(self) -> list[str]:
        return _said(self.reason, self.by)


class StepCancelledPayload(StepEndPayload):
    """The step was stopped."""

    type: ClassVar[EventType] = "step.cancelled"
    reason: str | None = None

    def describe(self) -> list[str]:
        return _said(self.reason)


class StepRequeuedPayload(Payload):
    """The step was interrupted by a pause, and is pending again."""

    type: ClassVar[EventType] = "step.requeued"
    reason: str | None = None

    def describe(self) -> list[str]:
        return _said(self.reason)


PAYLOADS: Final[Mapping[str, type[Payload]]] = {
    each.type: each
    for each in (
        RunCreatedPayload,
        RunRevisedPayload,
        RunStartedPayload,
        RunPausedPayload,
        RunResumedPayload,
        RunSucceededPayload,
        RunFailedPayload,
        RunCancelledPayload,
        RunWarningPayload,
        StepStartedPayload,
        StepProgressPayload,
        StepLogPayload,
        StepWarningPayload,
        StepModelPayload,
        StepPartialPayload,
        StepWaitingPayload,
        StepRunningPayload,
        StepAnsweredPayload,
        StepSucceededPayload,
        StepFailedPayload,
        StepSkippedPayload,
        StepCancelledPayload,
        StepRequeuedPayload,
    )
}
"""The class of each type of event."""


def _said(*texts: str | None) -> list[str]:
    return [text for text in texts if text]


def _message(error: Json | None) -> list[str]:
    return [] if error is None else [str(error.get("message", ""))]


def _counted(items: Mapping[str, int] | None) -> list[str]:
    return [] if items is None else [", ".join(f"{count} {name}" for name, count in items.items())]
