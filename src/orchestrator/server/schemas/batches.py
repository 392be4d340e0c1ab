"""Batches, as requests start them and the API returns their results."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.api.arguments import END_OF_TIME
from orchestrator.journal.events import RunState
from orchestrator.plan.labels import MOST_LABELS
from orchestrator.server.schemas.base import Json, RequestBody, ResponseBody, SourceName
from orchestrator.server.schemas.runs import BudgetBody, Label


class BatchBody(RequestBody):
    """The first line of a batch: what is run for each row. It starts a batch, or with `batch` resumes one."""

    pipeline: Annotated[str | None, Field(description="The name of a pipeline, as `GET /v1/pipelines` lists it.")] = (
        None
    )
    source: Annotated[
        str | None, Field(max_length=5_000_000, description="YAML text, instead of a name (scope `admin`).")
    ] = None
    name: SourceName = None
    batch: Annotated[
        str | None, Field(pattern="^1[0-9a-hjkmnp-tv-z]{19}$", description="The id of a batch to resume.")
    ] = None
    may_be_new: Annotated[
        bool, Field(description="The client has chosen the id in `batch`: start the batch if it is unknown.")
    ] = False
    numbered: Annotated[
        bool,
        Field(
            description="Each line is `[number, inputs]`, or `[number, null, problem]` for a row that the client could"
            " not read. The rows of a batch that is resumed may be only some."
        ),
    ] = False
    request: Annotated[
        str, Field(max_length=100, description="Chosen by the client, to read the results of this request alone.")
    ] = ""
    rows_at_once: Annotated[int | None, Field(ge=1, description="How many rows are executed at once.")] = None
    labels: Annotated[list[Label], Field(default_factory=list, max_length=MOST_LABELS)]
    budget: Annotated[BudgetBody | None, Field(description="What all rows together may spend on models.")] = None
    run_budget: Annotated[BudgetBody | None, Field(description="What the run of each row may spend.")] = None
    timeout: Annotated[float | None, Field(gt=0, description="Seconds after which the run of a row fails.")] = None
    max_parallel: Annotated[int | None, Field(ge=1, description="How many steps of a run execute at once.")] = None
    cache: Annotated[bool | None, Field(description="False: neither read nor write cached results.")] = None
    priority: Annotated[int, Field(ge=-100, le=100, description="Of the runs of the rows.")] = 0
    not_before: Annotated[float | None, Field(ge=0, le=END_OF_TIME, description="Of the runs of the rows.")] = None
    refresh: Annotated[
        list[str],
        Field(default_factory=list, max_length=1_000, description="Paths of steps whose cached results are replaced."),
    ]


class RowView(ResponseBody):
    """What became of a row; one without a run is invalid, or was not started because the budget was used up."""

    number: int = Field(description="Counts results in the order in which rows ended: give it as `after`.")
    row: int
    run_id: str | None
    state: RunState | Literal["invalid", "pending"]
    outputs: Json
    error: Json | None
    usage: Json | None = None
    cost: float | None = None
    known_cost: float | None = None
    model_calls: int | None = None
    unpriced: int | None = None


class RowPage(ResponseBody):
    """Results of a batch, in the order in which rows ended."""

    results: list[RowView]
    next: int = Field(description="Give it as `after` to receive the following results.")
    ended: bool = Field(description="Whether there are no others: all rows that were sent have ended.")
