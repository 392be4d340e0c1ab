"""Parameters and dependencies that several routes share."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Header, Path, Query, Request

from orchestrator.api.run import Run
from orchestrator.journal.events import RunState
from orchestrator.journal.records import RunFilter
from orchestrator.models.budget import Budget
from orchestrator.server.access.caller import Caller, identified
from orchestrator.server.problems import MEDIA_TYPE
from orchestrator.server.schemas.runs import BudgetBody
from orchestrator.server.service import Service

MOST_PER_PAGE: Final = 500

LARGEST_SEQ: Final = 2**62
"""More than the number of any event."""

_PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    422: {"content": _PROBLEM, "description": "The request is not what this page describes, or a value is invalid."},
    "4XX": {"content": _PROBLEM, "description": "The request cannot be carried out; nothing was changed."},
    "5XX": {"content": _PROBLEM, "description": "The server or its store cannot carry it out now."},
}
"""How every request may fail."""


async def service_of(request: Request) -> Service:  # a function that is not async is called in a thread of its own
    """Return the server's service."""
    service: Service = request.app.state.service
    return service


ServiceDependency = Annotated[Service, Depends(service_of)]


def run_at(
    caller: Annotated[Caller, Depends(identified)],  # first: a stranger does not learn which runs there are
    run_id: Annotated[str, Path(max_length=100, description="The id of a run, a unique beginning of it, or `last`.")],
    service: ServiceDependency,
) -> Run:
    """Return the run of the path.

    Raises:
        RunNotFound: There is no such run.
    """
    return service.orchestrator.get_run(run_id)


async def run_filter(
    state: Annotated[RunState | None, Query(description="Only runs in this state.")] = None,
    pipeline: Annotated[
        str | None, Query(max_length=500, description="Only runs of the pipeline with this id.")
    ] = None,
    label: Annotated[list[str] | None, Query(description="Only runs with all of these labels.")] = None,
    batch: Annotated[str | None, Query(max_length=100, description="Only runs of this batch.")] = None,
    since: Annotated[
        float | None, Query(description="Only runs created at this time or later, in seconds since the epoch.")
    ] = None,
    until: Annotated[float | None, Query(description="Only runs created before this time.")] = None,
    text: Annotated[
        str, Query(max_length=200, description="Part of a pipeline's id, the beginning of a run's id, or a label.")
    ] = "",
    single: Annotated[bool, Query(description="Only runs that are not part of a batch.")] = False,
    asks: Annotated[bool, Query(description="Only runs with an unanswered question, whatever else they do.")] = False,
) -> RunFilter:
    """Return which runs a list shows."""
    return RunFilter(state, pipeline, batch, since, until, text, tuple(label or ()), single=single, asks=asks)


RunDependency = Annotated[Run, Depends(run_at)]
FilterDependency = Annotated[RunFilter, Depends(run_filter)]
AfterQuery = Annotated[int, Query(ge=0, le=LARGEST_SEQ, description="Only events with a larger `seq`.")]
LimitQuery = Annotated[int, Query(ge=1, le=MOST_PER_PAGE, description="How many at most.")]
WaitQuery = Annotated[
    float,
    Query(ge=0, le=300, description="Seconds to wait for the end of the run; by default the response is sent at once."),
]
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Chosen by the client: of all requests with one key within 24 hours, one starts a run, and all "
        "return it.",
    ),
]


def budget_from(body: BudgetBody | None) -> Budget | None:
    """Return the budget that a request sets."""
    return None if body is None else Budget(body.usd, body.tokens, body.requests)
