"""The status of a run and of its active steps, as data; `fold` derives it from the events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, field
from msgspec.structs import asdict

from orchestrator import codes
from orchestrator.journal.events import RunState, StepState
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from orchestrator.models.messages import Usage


NoticeState = Literal["pending", "sent", "failed"]


def ended_steps(counts: Mapping[StepState, int]) -> int:
    """Return how many steps have ended: succeeded, failed or skipped."""
    return counts["succeeded"] + counts["failed"] + counts["skipped"]


class ActiveStep(Struct, frozen=True):
    """A step that is running or waiting now. Times in seconds; `fraction` from 0 to 1, None when not reported.

    `started_at` is when this attempt, or this wait, started; `elapsed` counts from there. A composite step has a `kind`
    (as in the event `step.started`); of its `of` items or steps (None: unknown), `done` have ended, and `failed` of
    those failed. `question` is what a person is asked, as in `step.waiting`; once it is `answered`, the run's owner
    only has to accept the answer.
    """

    path: str
    state: StepState
    attempt: int
    started_at: float
    elapsed: float
    fraction: float | None = None
    message: str = ""
    waiting_on: str = ""
    waiting_until: float | None = None
    kind: str = ""
    of: int | None = None
    done: int = 0
    failed: int = 0
    question: Mapping[str, Any] | None = None
    answered: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the step as JSON data."""
        return {
            "path": self.path,
            "state": self.state,
            "attempt": self.attempt,
            "started_at": self.started_at,
            "elapsed": self.elapsed,
            "fraction": self.fraction,
            "message": self.message,
            "waiting_on": self.waiting_on,
            "waiting_until": self.waiting_until,
            "kind": self.kind,
            "of": self.of,
            "done": self.done,
            "failed": self.failed,
            "question": dict(self.question) if self.question is not None else None,
            "answered": self.answered,
        }


class NoticeStatus(Struct, frozen=True):
    """A notice of a run to one target: still to be sent (`pending`), `sent`, or `failed` for the reason in `error`.

    `title` is the first line of what it says. It was recorded at the time `at`, and sent or given up at `ended_at`.
    """

    id: str
    occasion: str
    to: str
    state: NoticeState = "pending"
    error: str = ""
    title: str = ""
    at: float = 0.0
    ended_at: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the notice as JSON data."""
        return asdict(self)


class QueuedRun(Struct, frozen=True):
    """What a run waits for: until fewer than `max` others with its concurrency key are executed.

    `runs` are those that come before it, the ones that are executed first, at most twenty; `ahead` counts all of them.
    """

    key: str
    max: int
    runs: tuple[str, ...] = ()
    ahead: int = 0

    @property
    def in_words(self) -> str:
        """What it waits for, for people."""
        named = ", ".join(self.runs[:_MOST_NAMED])
        more = self.ahead - len(self.runs[:_MOST_NAMED])
        after = f", after {named}" + (f" and {more} more" if more > 0 else "") if named else ""
        return f"its turn{after}: at most {plural(self.max, 'run')} with the concurrency key `{self.key}` at a time"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"key": self.key, "max": self.max, "runs": list(self.runs), "ahead": self.ahead}


_MOST_NAMED: Final = 3


class RunStatus(Struct, frozen=True):
    """The status of a run.

    Steps are counted at the top level: `counts` has every step state, `total` is how many there are, and `progress`,
    from 0 to 1, is the share of those that have ended (`done`), with the fractions of running ones. `active` lists the
    steps that run or wait now, at any depth (of an interrupted run: when its owner ended). `failures` lists the
    first hundred paths of failed steps and items that the run continued after. `error` is the failure that
    ended the run: `{code, type, message, help, step, attempt}`; `reason` is the reason of a cancellation.
    `last_seq` is the number of the newest event in this status. A run is `waiting` when nothing can continue before a
    person answers, whether or not a process executes it; one that waits only for a time is `running`, or `interrupted`
    if no process executes it. It is `queued` while it waits for its start, for its turn, or for a worker: `not_before`
    is the time of the start, `queued` are the runs that it waits for, with the same concurrency key, and `runs_on` are
    the labels that its worker needs (None: it was not submitted to workers). `waiting_on` describes what a queued,
    paused or waiting run needs. `elapsed` is the working time: without pauses (which start when the last running step
    has ended), waits for people only, and the time between a crash or an end and the resume. `owner` holds the lease.
    `spending` is the usage and cost of all model calls, over all owners, `budget` their limits: `{usd, tokens,
    requests}`, without unlimited ones.
    `warnings` are the first twenty about the run as a whole, `notices` the latest twenty. `compensating`: steps that
    had succeeded are being undone, or remain to be, since an undo failed. `damage` is why the store cannot read the
    run: in a list of runs, it has only its `run_id`, `pipeline`, `created_at` and the `state` that was stored last.
    """

    run_id: str
    pipeline: str
    state: RunState
    progress: float
    counts: Mapping[StepState, int]
    active: tuple[ActiveStep, ...] = ()
    total: int = 0
    created_at: float = 0.0
    not_before: float | None = None
    runs_on: tuple[str, ...] | None = None
    queued: QueuedRun | None = None
    started_at: float | None = None
    ended_at: float | None = None
    elapsed: float = 0.0
    error: Mapping[str, Any] | None = None
    reason: str = ""
    failures: tuple[str, ...] = ()
    waiting_on: tuple[str, ...] = ()
    owner: str | None = None
    last_seq: int = 0
    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    spending: Spending = NOTHING
    budget: Mapping[str, float] | None = None
    warnings: tuple[str, ...] = ()
    notices: tuple[NoticeStatus, ...] = ()
    compensating: bool = False
    damage: str = ""

    @property
    def usage(self) -> Usage:
        """The tokens and requests of all model calls."""
        return self.spending.usage

    @property
    def cost(self) -> float | None:
        """The cost of the model calls in USD; None where the price of one is unknown."""
        return self.spending.cost

    @property
    def running(self) -> tuple[ActiveStep, ...]:
        """The active steps that are working now, without composite steps."""
        return tuple(step for step in self.active if step.state == "running" and not step.kind)

    @property
    def done(self) -> int:
        """How many steps have ended. A cancelled one has not: its work remains to be done."""
        return ended_steps(self.counts)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen unless the run is resumed."""
        return self.state in ("succeeded", "failed", "cancelled")

    @property
    def failed_on_purpose(self) -> bool:
        """Whether a step with `fail` has ended the run: resuming it would fail again."""
        return self.state == "failed" and is_deliberate(self.error)

    @property
    def resumable(self) -> bool:
        """Whether resuming the run may achieve more: it has stopped, and not because a step failed it on purpose."""
        stopped = self.state in ("paused", "failed", "cancelled", "interrupted")
        return stopped and not self.failed_on_purpose and not self.damage

    @property
    def asks(self) -> bool:
        """Whether a person has been asked something and has not answered yet."""
        return any(step.question is not None and not step.answered for step in self.active)

    def to_dict(self) -> dict[str, Any]:
        """Return the status as JSON data."""
        active = [step.to_dict() for step in self.active]
        return {
            "run_id": self.run_id,
            "pipeline": self.pipeline,
            "name": self.name,
            "state": self.state,
            "progress": self.progress,
            "total": self.total,
            "counts": dict(self.counts),
            "active": active,
            "running": [step.to_dict() for step in self.running],
            "created_at": self.created_at,
            "not_before": self.not_before,
            "runs_on": None if self.runs_on is None else list(self.runs_on),
            "queued": self.queued.to_dict() if self.queued is not None else None,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "elapsed": self.elapsed,
            "error": dict(self.error) if self.error is not None else None,
            "reason": self.reason,
            "failures": list(self.failures),
            "waiting_on": list(self.waiting_on),
            "owner": self.owner,
            "failed_on_purpose": self.failed_on_purpose,
            "resumable": self.resumable,
            "last_seq": self.last_seq,
            "metadata": dict(self.metadata),
            **self.spending.to_dict(),
            "budget": dict(self.budget) if self.budget is not None else None,
            "warnings": list(self.warnings),
            "notices": [notice.to_dict() for notice in self.notices],
            "compensating": self.compensating,
            "damage": self.damage,
        }


def is_deliberate(error: Mapping[str, Any] | None) -> bool:
    """Return whether a recorded error is that of a step with `fail`, so that nothing is to be repaired."""
    return error is not None and error.get("code") == codes.FAILED_ON_PURPOSE
