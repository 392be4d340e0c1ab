"""Runs, steps, events and batches, as the API returns them and as requests start and control them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from orchestrator.api.arguments import END_OF_TIME
from orchestrator.journal.events import EventType, RunState, StepState
from orchestrator.journal.state.status import NoticeState
from orchestrator.journal.worker_records import LABEL_PATTERN
from orchestrator.journal.worker_records import MOST_LABELS as MOST_WORKER_LABELS
from orchestrator.plan.labels import LONGEST_LABEL, MOST_LABELS, reserved_beginning
from orchestrator.server.schemas.base import Json, RequestBody, ResponseBody, SourceName


def _not_reserved(label: str) -> str:
    """Refuse the labels by which the server itself recognizes runs."""
    beginning = reserved_beginning(label)
    if beginning is not None:
        raise ValueError(f"labels that begin with `{beginning}` are reserved")
    return label


WorkerLabel = Annotated[str, Field(pattern=f"^{LABEL_PATTERN}$")]

Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL), AfterValidator(_not_reserved)]


class BudgetBody(RequestBody):
    """What a run may spend on models. Without a number there is no limit of that kind."""

    usd: Annotated[float | None, Field(ge=0, description="US dollars.")] = None
    tokens: Annotated[int | None, Field(ge=1, description="Tokens, input and output together.")] = None
    requests: Annotated[int | None, Field(ge=1, description="Calls of models.")] = None


class StartBody(RequestBody):
    """A run to start: of a pipeline that the server offers, or of the YAML in the request (scope `admin`)."""

    pipeline: Annotated[str | None, Field(description="The name of a pipeline, as `GET /v1/pipelines` lists it.")] = (
        None
    )
    source: Annotated[str | None, Field(max_length=5_000_000, description="YAML text, instead of a name.")] = None
    inputs: Annotated[Json, Field(default_factory=dict, description="The inputs of the pipeline.")]
    labels: Annotated[
        list[Label],
        Field(default_factory=list, max_length=MOST_LABELS, description="Words by which the run can be found."),
    ]
    budget: BudgetBody | None = None
    timeout: Annotated[float | None, Field(gt=0, description="Seconds after which the run fails.")] = None
    max_parallel: Annotated[int | None, Field(ge=1, description="How many steps run at once.")] = None
    cache: Annotated[bool | None, Field(description="False: neither read nor write cached results.")] = None
    priority: Annotated[
        int,
        Field(ge=-100, le=100, description="Where runs wait for slots of the server, higher ones come first."),
    ] = 0
    not_before: Annotated[
        float | None,
        Field(
            ge=0,
            le=END_OF_TIME,
            description="The time before which nothing of the run starts, in seconds since the epoch.",
        ),
    ] = None
    refresh: Annotated[
        list[str],
        Field(default_factory=list, max_length=1_000, description="Paths of steps whose cached results are replaced."),
    ]
    runs_on: Annotated[
        list[WorkerLabel] | None,
        Field(
            max_length=MOST_WORKER_LABELS,
            description="Leave the run to a worker that has these labels, or any worker if there are none. Without "
            "this, the server executes the run.",
        ),
    ] = None
    name: SourceName = None


class PauseBody(RequestBody):
    """Pause a run."""

    now: Annotated[bool, Field(description="Stop running steps too; they run again when the run is resumed.")] = False


class CancelBody(RequestBody):
    """Cancel a run."""

    reason: Annotated[str, Field(max_length=1_000, description="Recorded with the run.")] = ""


class ResumeBody(RequestBody):
    """Resume a run, also with an edited pipeline or a larger budget."""

    inputs: Annotated[
        Json, Field(default_factory=dict, description="Its secrets, and the inputs that an edited pipeline adds.")
    ]
    pipeline: Annotated[
        str | None,
        Field(description="Continue with this pipeline of the server; one that is not that of the run: scope `admin`."),
    ] = None
    source: Annotated[
        str | None, Field(max_length=5_000_000, description="Continue with this YAML text (scope `admin`).")
    ] = None
    name: SourceName = None
    budget: BudgetBody | None = None
    dry_run: Annotated[
        bool, Field(description="Change nothing; only report what the server lacks: tools, permissions, secrets.")
    ] = False


class RetryBody(RequestBody):
    """Run a step again, with all that depends on it."""

    step: Annotated[str, Field(min_length=1, description="Its path, such as `draft` or `translate[17].draft`.")]
    inputs: Annotated[Json, Field(default_factory=dict, description="The run's secrets.")]


class ForkBody(RequestBody):
    """Start a new run that shares the results of another one."""

    step: Annotated[str, Field(min_length=1, description="The path of the first step that is not shared.")]
    inputs: Annotated[Json, Field(default_factory=dict, description="The inputs that differ, and the secrets.")]


class AnswerBody(RequestBody):
    """Answer the question of a step."""

    step: Annotated[str, Field(min_length=1, description="The path of the step that asks.")]
    value: Annotated[Any, Field(description="The answer; of an approval true, false or an object.")]
    resume: Annotated[bool, Field(description="Continue a run that no process executes.")] = True


class StepActivity(ResponseBody):
    """A step that runs or waits now. Times in seconds."""

    path: str
    state: StepState
    attempt: int
    started_at: float = Field(description="When this attempt or wait started, in seconds since the epoch.")
    elapsed: float
    fraction: float | None = Field(description="Its progress, from 0 to 1, if it reports it.")
    message: str
    waiting_on: str
    waiting_until: float | None
    kind: str = Field(description="Of a step that consists of others, such as `for_each`; else empty.")
    of: int | None = Field(description="How many items or steps it has, if that is known.")
    done: int
    failed: int
    question: Json | None = Field(description="What a person is asked.")
    answered: bool


class UsageView(ResponseBody):
    """What models have used."""

    input: int
    output: int
    cached: int
    reasoning: int
    requests: int


class NoticeView(ResponseBody):
    """A notice of a run to one target."""

    id: str
    occasion: str = Field(description="`failed`, `waiting` or `budget`.")
    to: str = Field(description="The target.")
    state: NoticeState
    error: str = Field(description="Why it was not sent; empty if it was.")
    title: str = Field(description="The first line of what it says.")
    at: float = Field(description="When it was recorded.")
    ended_at: float | None = Field(description="When it was sent or given up.")


class QueuedView(ResponseBody):
    """What a run waits for before it begins: other runs with its concurrency key."""

    key: str = Field(description="The concurrency key.")
    max: int = Field(description="How many runs with the key may be executed at once.")
    runs: list[str] = Field(description="The runs that come before it, at most twenty; the executed ones first.")
    ahead: int = Field(description="How many runs come before it.")


class RunView(ResponseBody):
    """The status of a run. Times in seconds since the epoch, `elapsed` in seconds."""

    run_id: str
    pipeline: str
    name: str
    state: RunState
    progress: float = Field(description="From 0 to 1.")
    total: int = Field(description="How many steps there are at the top level.")
    counts: dict[StepState, int]
    active: list[StepActivity]
    running: list[StepActivity] = Field(description="Those of `active` that work now.")
    created_at: float
    not_before: float | None = Field(description="The time before which nothing starts, while the run waits for it.")
    runs_on: list[str] | None = Field(description="The labels that its worker needs; null: no worker executes it.")
    queued: QueuedView | None = Field(description="The runs that it waits for, because they have its concurrency key.")
    started_at: float | None
    ended_at: float | None
    elapsed: float = Field(description="Working time: without pauses, and without waiting for people.")
    error: Json | None = Field(description="Why it failed: `code`, `message`, `help`, `step`, `remedies`.")
    reason: str = Field(description="Why it was cancelled.")
    failures: list[str] = Field(description="Paths of steps that failed, and that the run continued after.")
    waiting_on: list[str]
    owner: str | None = Field(description="The process that executes it.")
    failed_on_purpose: bool = Field(description="Whether a step with `fail` ended it: resumed, it would fail again.")
    resumable: bool = Field(description="Whether resuming it may achieve more.")
    last_seq: int = Field(description="The number of its newest event.")
    metadata: Json
    usage: UsageView
    cost: float | None = Field(description="US dollars; null if a price is unknown.")
    known_cost: float
    model_calls: int
    unpriced: int
    budget: dict[str, int | float] | None
    warnings: list[str]
    notices: list[NoticeView]
    compensating: bool = Field(description="Whether steps that had succeeded are being undone, or remain to be.")
    damage: str = Field(description="Why the store cannot read the run; empty if it can.")


class RunPage(ResponseBody):
    """Some runs, newest first."""

    runs: list[RunView]
    labels: dict[str, list[str]] = Field(description="The labels of those of the runs that have any, by their ids.")
    rows: dict[str, int] = Field(
        description="In a list of a batch, the numbers of their rows, counted from 1, by their ids."
    )
    next: str | None = Field(description="Give it as `before` to receive the following runs; null: there are none.")


class StartedRun(ResponseBody):
    """A run that was started. With `wait`, as it was when it ended or when the time was over."""

    run: RunView
    outputs: Json | None = Field(description="What the run returned, if it succeeded while the request waited.")


class ResultView(ResponseBody):
    """What a run has achieved so far: its outputs if it succeeded."""

    run_id: str
    state: RunState
    outputs: Json
    error: Json | None
    warnings: list[str]
    usage: UsageView
    cost: float | None
    known_cost: float
    model_calls: int
    unpriced: int


class StepView(ResponseBody):
    """One step of a run. `output` is only in the response for that one step."""

    path: str
    state: StepState
    output: Any = None
    attempts: int
    started_at: float | None
    ended_at: float | None
    duration: float
    error: Json | None
    reason: str
    warnings: list[str]
    kind: str
    case: Any
    items: dict[str, int] | None
    question: Json | None
    until: float | None
    cached: Json | None
    run: str | None = Field(description="The id of the run that the step has started.")
    usage: UsageView
    cost: float | None
    known_cost: float
    model_calls: int
    unpriced: int


class StepList(ResponseBody):
    """The steps of a run in the file's order. Of a long loop: the first items, and those that failed or are active."""

    steps: list[StepView]


class FileView(ResponseBody):
    """A file that a step has written."""

    path: str = Field(description="Relative to the working directory, unless it is elsewhere.")
    step: str
    attempt: int
    size: int = Field(description="Bytes.")
    written_at: float = Field(description="Seconds since the epoch.")
    digest: str | None = Field(description="The SHA-256 of its content, if the step declares it in `produces`.")
    available: bool = Field(description="False: it was removed, or has changed since the step wrote it.")
    href: str = Field(description="Downloads it.")


class FilePage(ResponseBody):
    """Some of the files that a run wrote. The same path may be on a later page: then that one counts."""

    files: list[FileView]
    next: int | None = Field(description="Give it as `after` to receive the following files; null: there are none.")


class EventView(ResponseBody):
    """One recorded fact. `seq` counts from 1 without gaps."""

    run_id: str
    seq: int
    at: float = Field(description="Seconds since the epoch.")
    type: EventType
    path: str
    attempt: int
    data: Json


class EventPage(ResponseBody):
    """Events in order, without gaps."""

    events: list[EventView]
    next: int = Field(description="Give it as `after` to receive the following events.")


class ReasonView(ResponseBody):
    """One reason for the state of a step."""

    kind: str
    text: str
    at: float | None


class WhyView(ResponseBody):
    """Why a step is in its state; the last reason is that of the state."""

    run_id: str
    path: str
    state: str
    reasons: list[ReasonView]
    compared: Json | None


class RowProblemView(ResponseBody):
    """Why a row of a batch has no run: its inputs are invalid."""

    row: int = Field(description="Counted from 1.")
    code: str
    message: str


class BatchView(ResponseBody):
    """A batch: a pipeline that runs once for each row."""

    batch: str
    pipeline: str
    created_at: float
    rows: int
    states: dict[str, int]
    pending: int
    complete: bool
    usd: float
    tokens: int
    requests: int
    problems: list[RowProblemView] = Field(description="Of the first hundred invalid rows.")


class BatchPage(ResponseBody):
    """The newest batches, newest first."""

    batches: list[BatchView]
