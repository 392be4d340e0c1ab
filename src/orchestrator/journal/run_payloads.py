"""What the events of a run record."""

# ruff: noqa: D102 - `describe` is documented in `Payload`

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - the types of the fields are evaluated
from typing import ClassVar, Literal

from orchestrator.journal.payload import (
    EMPTY,
    EventType,
    Json,
    Payload,
    RevisionReason,
    RunEndPayload,
    message_of,
    said,
)


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
    plan: Json = EMPTY
    inputs: Json = EMPTY
    options: Json = EMPTY
    now: float = 0.0
    steps: int = 0
    metadata: Json = EMPTY
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
    settled: Mapping[str, int] = EMPTY
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
        return said(self.reason, self.by)


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
        return said(self.by, self.owner)


class RunQueuedPayload(Payload):
    """Before `run.started`: the run waits until fewer than `max` others with its `key` are executed.

    `runs` are those that come before it, the first twenty; `ahead` counts all of them. A resumed run also records it at
    once, before it is known whether it has to wait.
    """

    type: ClassVar[EventType] = "run.queued"
    key: str = ""
    max: int = 1
    runs: Sequence[str] = ()
    ahead: int = 0

    def describe(self) -> list[str]:
        return said(self.key, ", ".join(self.runs))


class RunPausedPayload(Payload):
    """A person paused the run. `idle`: no process executed it then, and none had since the event before."""

    type: ClassVar[EventType] = "run.paused"
    by: str | None = None
    idle: bool = False

    def describe(self) -> list[str]:
        return said(self.by)


class RunResumedPayload(Payload):
    """The same owner continues after a pause."""

    type: ClassVar[EventType] = "run.resumed"
    by: str | None = None

    def describe(self) -> list[str]:
        return said(self.by)


class RunSucceededPayload(RunEndPayload):
    """The run ended with its declared outputs."""

    type: ClassVar[EventType] = "run.succeeded"
    outputs: Json = EMPTY


class RunFailedPayload(RunEndPayload):
    """The run ended with an error: `{code, type, message, help, step, attempt}`."""

    type: ClassVar[EventType] = "run.failed"
    error: Json | None = None
    step: str | None = None

    def describe(self) -> list[str]:
        return message_of(self.error)


class RunCancelledPayload(RunEndPayload):
    """A person cancelled the run. `idle`: no process executed it then, and none had since the event before."""

    type: ClassVar[EventType] = "run.cancelled"
    reason: str | None = None
    by: str | None = None
    idle: bool = False

    def describe(self) -> list[str]:
        return said(self.reason, self.by)


class RunWarningPayload(Payload):
    """A warning about the run as a whole."""

    type: ClassVar[EventType] = "run.warning"
    message: str = ""
    code: str | None = None

    def describe(self) -> list[str]:
        return said(self.message)


class RunNoticePayload(Payload):
    """A notice that is to be sent to a target: `occasion` is `failed`, `waiting` or `budget`.

    All deliveries have the id `notice`. `about` are the paths of the steps that ask, or the limits of the budget. If
    people had been notified of any of these questions before, `reminders` has for each how often.
    `details` is `{run: {id, pipeline, name, [url]}, [error], [questions], [budget]}`.
    """

    type: ClassVar[EventType] = "run.notice"
    notice: str = ""
    occasion: str = ""
    about: Sequence[str] = ()
    to: str = ""
    title: str = ""
    text: str = ""
    details: Json = EMPTY
    reminders: Sequence[int] = ()

    def describe(self) -> list[str]:
        return said(self.to, self.title)


class RunNotifiedPayload(Payload):
    """The target has accepted a notice, or with an `error` (`{code, message}`) it is not sent any more."""

    type: ClassVar[EventType] = "run.notified"
    notice: str = ""
    to: str = ""
    attempts: int = 0
    error: Json | None = None

    def describe(self) -> list[str]:
        return said(self.to) + message_of(self.error)


class RunCompensatingPayload(Payload):
    """From now on, the steps that succeeded are undone: those in the group `within`, or without it all of the run.

    `state` is how the run or the group ends when that is done, with the `error` of a failure and the `names` by which
    handlers know it, or the `reason` of a cancellation. A later owner continues to undo them.
    """

    type: ClassVar[EventType] = "run.compensating"
    within: str = ""
    state: Literal["failed", "cancelled"] = "failed"
    error: Json | None = None
    names: Sequence[str] = ()
    reason: str = ""
    by: str = ""

    def describe(self) -> list[str]:
        return said(self.within) + (message_of(self.error) or said(self.reason))


class RunCompensatedPayload(Payload):
    """All steps that succeeded in the group `within`, or in the run, have been undone."""

    type: ClassVar[EventType] = "run.compensated"
    within: str = ""

    def describe(self) -> list[str]:
        return said(self.within)
