"""Runs, steps, events and batches, as the API returns them and as requests start and control them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from orchestrator.journal.events import EventType, RunState, StepState
from orchestrator.server.schemas.base import Json, RequestBody, ResponseBody

Label = Annotated[str, Field(min_length=1, max_length=100)]


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
        list[Label], Field(default_factory=list, max_length=50, description="Words by which the run can be found.")
    ]
    budget: BudgetBody | None = None
    timeout: Annotated[float | None, Field(gt=0, description="Seconds after which the run fails.")] = None
    max_parallel: Annotated[int | None, Field(ge=1, description="How many steps run at once.")] = None
    cache: Annotated[bool | None, Field(description="False: neither read nor write cached results.")] = None


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
    pipeline: Annotated[str | None, Field(description="Continue with this pipeline of the server.")] = None
    source: Annotated[
        str | None, Field(max_length=5_000_000, description="Continue with this YAML text (scope `admin`).")
    ] = None
    budget: BudgetBody | None = None


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
    started_at: float | None
    ended_at: float | None
    elapsed: float = Field(description="Working time: without pauses, and without waiting for people.")
    error: Json | None = Field(description="Why it failed: `code`, `message`, `help`, `step`, `remedies`.")
    reason: str = Field(description="Why it was cancelled.")
    failures: list[str] = Field(description="Paths of steps that failed, and that the run continued after.")
    waiting_on: list[str]
    owner: str | None = Field(description="The process that executes it.")
    last_seq: int = Field(description="The number of its newest event.")
    metadata: Json
    usage: UsageView
    cost: float | None = Field(description="US dollars; null if a price is unknown.")
    known_cost: float
    model_calls: int
    unpriced: int
    budget: dict[str, float] | None
    warnings: list[str]
    damage: str = Field(description="Why the store cannot read the run; empty if it can.")


class RunPage(ResponseBody):
    """Some runs, newest first."""

    runs: list[RunView]
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
    usage: UsageView
    cost: float | None
    known_cost: float
    model_calls: int
    unpriced: int


class StepList(ResponseBody):
    """The steps of a run in the file's order. Of a long loop: the first items, and those that failed or are active."""

    steps: list[StepView]


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


class BatchPage(ResponseBody):
    """The newest batches, newest first."""

    batches: list[BatchView]
