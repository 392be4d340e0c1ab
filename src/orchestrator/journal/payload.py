"""The base of what events record: frozen classes that are written and read as JSON data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, NoReturn, Self, dataclass_transform

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
    "run.notice",
    "run.notified",
    "run.compensating",
    "run.compensated",
    "run.queued",
    "step.started",
    "step.progress",
    "step.log",
    "step.file",
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
    "step.undone",
]

RevisionReason = Literal["retry", "with"]
"""Why a run was revised: a step is run again, or the pipeline or its inputs were edited."""

CompositeKind = Literal["for_each", "while", "until", "switch", "group", "parallel", "pipeline", "agent", "detached"]
"""The kind of a step that consists of other steps, or starts another run."""

Handling = Literal["fail", "continue", "value", "jump"]
"""What follows a failure: it ends what the step is in, or the run continues without a value, with one, elsewhere."""

SkipReason = Literal["condition", "jump", "end"]

QuestionKind = Literal["ask", "approve", "resume"]

WaitReason = str
"""`retry`, `human`, `time`, `handler`, or what a model call waits for, in words."""

Json = Mapping[str, Any]

EMPTY: Final[Json] = {}


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


def said(*texts: str | None) -> list[str]:
    """Return the texts that say something."""
    return [text for text in texts if text]


def message_of(error: Json | None) -> list[str]:
    """Return the message of an error, if there is one."""
    return [] if error is None else [str(error.get("message", ""))]


def counted(items: Mapping[str, int] | None) -> list[str]:
    """Return numbers with their names, in one text."""
    return [] if items is None else [", ".join(f"{count} {name}" for name, count in items.items())]
