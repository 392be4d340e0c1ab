"""What the store keeps in addition to events: new runs, leases, commands, batches, cached results, statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.errors import RunError
from orchestrator.journal.events import RunState
from orchestrator.journal.process_identity import Owner
from orchestrator.journal.run_payloads import RunCreatedPayload
from orchestrator.models.budget import Spent

CommandKind = Literal["pause", "resume", "cancel", "answer"]

LEASE_SECONDS = 10.0
"""How long an owner may fail to renew its lease before another process may take its run."""


class EventTooLarge(Exception):
    """The data of an event exceed the limit: they have `size` characters of JSON."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size:,} characters")
        self.size = size


def label_key(label: str) -> str:
    """Return the name of the option that marks a run with a label."""
    return f"{_LABEL}{label}"


_LABEL = "label:"


class RunFilter(Struct, frozen=True):
    """Selects runs that match every given criterion. `since` and `until` in seconds since the epoch.

    `text` is part of the pipeline's id, the beginning of a run's id, or a label. `before` is the id of a run: only
    those that were created before it, whether or not it still exists. `single`: only runs that are not part of a batch.
    `asks`: only runs with an unanswered question, whatever else they do.
    """

    state: RunState | None = None
    pipeline: str | None = None
    batch: str | None = None
    since: float | None = None
    until: float | None = None
    text: str = ""
    labels: tuple[str, ...] = ()
    before: str | None = None
    single: bool = False
    asks: bool = False


class RunLimit(Struct, frozen=True):
    """How many runs with the same `key` may be executed at once, and what a new one does if there are that many."""

    key: str
    max: int
    on_full: Literal["queue", "skip", "cancel_oldest"] = "queue"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"key": self.key, "max": self.max, "on_full": self.on_full}

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> RunLimit | None:
        """Return the limit that is recorded in the options of a run."""
        recorded = options.get(CONCURRENCY)
        return None if recorded is None else cls(recorded["key"], recorded["max"], recorded["on_full"])


CONCURRENCY: Final = "concurrency"
"""The name of the option of a run that has its limit."""


class Submission(Struct, frozen=True):
    """That a run is executed by a worker which has the labels `runs_on`, not before the time `due_at`.

    Those with a higher `priority` come first. The time is in seconds since the epoch.
    """

    runs_on: tuple[str, ...] = ()
    priority: int = 0
    due_at: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Submission | None:
        """Return what the options of a run record of it; None for a run that was not submitted."""
        runs_on = options.get(RUNS_ON)
        if runs_on is None:
            return None
        return cls(tuple(runs_on), int(options.get("priority") or 0), float(options.get("not_before") or 0.0))


RUNS_ON: Final = "runs_on"
"""The name of the option of a submitted run that has the labels which its worker needs."""


class RowProblem(Struct, frozen=True):
    """Why a row of a batch has no run: its inputs are invalid. Rows are counted from 1."""

    row: int
    code: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"row": self.row, "code": self.code, "message": self.message}


class BatchProgress(Struct, frozen=True):
    """How much of a batch was read: `rows`, of which some are `invalid`, with the `problems` of the first of those.

    `complete`: the end of the input was reached.
    """

    rows: int
    invalid: int = 0
    complete: bool = False
    problems: Sequence[RowProblem] = ()


class BatchStatus(Struct, frozen=True):
    """The state of a batch: `rows` were started, or have invalid inputs; `states` counts those by their state.

    `pending` rows were read and never started; the input may have more of them, unless it was read to its end
    (`complete`). `spent` is the spending of all its runs on models, `created_at` in seconds since the epoch.
    `problems` are those of the first invalid rows.
    """

    batch: str
    pipeline: str
    created_at: float
    rows: int
    states: Mapping[str, int]
    spent: Spent
    pending: int = 0
    complete: bool = True
    problems: tuple[RowProblem, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "batch": self.batch,
            "pipeline": self.pipeline,
            "created_at": self.created_at,
            "rows": self.rows,
            "states": dict(self.states),
            "pending": self.pending,
            "complete": self.complete,
            "usd": self.spent.usd,
            "tokens": self.spent.tokens,
            "requests": self.spent.requests,
            "problems": [each.to_dict() for each in self.problems],
        }


def unknown_batch(batch_id: str, url: str) -> RunError:
    """Return the error of a batch that a store does not have."""
    return RunError(
        f"unknown batch `{batch_id}` in {url}",
        code=codes.BATCH_NOT_FOUND,
        help="use the id that was printed when the batch started, or omit it to start a new batch",
    )


class NewRun(Struct, frozen=True):
    """Everything that a run is created from.

    `plan` is the plan as JSON data, `inputs` are bound and without secrets, `now` is the one time that the whole run
    reads as now (seconds since the epoch), `total` is the number of steps, `metadata` the pipeline's own. `sources` are
    the texts of the pipelines that it calls, by their keys in the plan. `forked_from` names the run and the
    step that it was forked from, `batch` and `row` the row that it runs.
    """

    run_id: str
    pipeline: str
    name: str
    source_name: str
    source_text: str
    directory: str
    digest: str
    plan: Mapping[str, Any]
    inputs: Mapping[str, Any]
    options: Mapping[str, Any]
    now: float
    total: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    forked_from: Mapping[str, str] | None = None
    batch: str | None = None
    row: int | None = None

    @property
    def labels(self) -> list[str]:
        """The labels by which the run can be found."""
        return [name.removeprefix(_LABEL) for name in self.options if name.startswith(_LABEL)]

    @property
    def payload(self) -> RunCreatedPayload:
        """What the event `run.created` records."""
        payload = RunCreatedPayload(
            pipeline=self.pipeline,
            name=self.name,
            source_name=self.source_name,
            source=self.source_text,
            directory=self.directory,
            digest=self.digest,
            plan=self.plan,
            inputs=self.inputs,
            options=self.options,
            now=self.now,
            steps=self.total,
            metadata=self.metadata,
            sources=self.sources or None,
            forked_from=self.forked_from,
            batch=None if self.batch is None else {"id": self.batch, "row": self.row},
        )
        return payload.without_nulls()


class RunRecord(NewRun, frozen=True):
    """What a run was created from, as stored; `created_at` in seconds since the epoch."""

    created_at: float = 0.0

    @classmethod
    def of(cls, run_id: str, created_at: float, created: RunCreatedPayload) -> RunRecord:
        """Build the record from what the event `run.created` recorded."""
        batch = created.batch or {}
        return cls(
            run_id=run_id,
            pipeline=created.pipeline,
            name=created.name,
            source_name=created.source_name,
            source_text=created.source,
            directory=created.directory,
            digest=created.digest,
            plan=created.plan,
            inputs=created.inputs,
            options=created.options,
            now=created.now,
            total=created.steps,
            metadata=created.metadata,
            sources=created.sources or {},
            forked_from=created.forked_from,
            batch=batch.get("id"),
            row=batch.get("row"),
            created_at=created_at,
        )


class Lease(Struct, frozen=True):
    """The right to record events of a run. `fence` grows with every owner: an older one is refused. `ttl` in seconds.

    `key` is the store's own number for the run.
    """

    run_id: str
    owner: Owner
    fence: int
    ttl: float = LEASE_SECONDS
    key: int = 0


class Command(Struct, frozen=True):
    """A command for a run, from any process. `by` names the person who gave it."""

    kind: CommandKind
    data: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""


class CacheEntry(Struct, frozen=True):
    """A cached result: of the step at `path` of a run, recorded at the time `at` (seconds since the epoch)."""

    key: str
    run_id: str
    path: str
    at: float
    output: Any


class Pruned(Struct, frozen=True):
    """What was removed: runs, cached results, large values and their bytes, and expired values of the memory."""

    runs: int = 0
    cache_entries: int = 0
    blobs: int = 0
    bytes: int = 0
    memories: int = 0


class StoreStats(Struct, frozen=True):
    """What a store holds.

    `runs` counts them by state, `blobs` are large values and `blob_bytes` their size. `size_bytes` is the size of the
    database, `free_bytes` the part of it that is free for new data. `oldest` and `newest` are when the first
    and the last run were created, in seconds since the epoch.
    """

    runs: Mapping[str, int]
    events: int
    blobs: int
    blob_bytes: int
    cache_entries: int
    size_bytes: int
    free_bytes: int
    oldest: float | None
    newest: float | None
