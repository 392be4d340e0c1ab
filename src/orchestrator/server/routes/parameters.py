"""Parameters and dependencies that several routes share."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Request

from orchestrator.api.run import Run
from orchestrator.models.budget import Budget
from orchestrator.server.access.caller import Caller, identified
from orchestrator.server.problems import MEDIA_TYPE
from orchestrator.server.schemas.runs import BudgetBody
from orchestrator.server.service import Service

MOST_PER_PAGE: Final = 500

_PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    422: {"content": _PROBLEM, "description": "The request is not what this page describes, or a value is invalid."},
    "4XX": {"content": _PROBLEM, "description": "The request cannot be carried out; nothing was changed."},
    "5XX": {"content": _PROBLEM, "description": "The server or its store cannot carry it out now."},
}
"""How every request may fail."""


def service_of(request: Request) -> Service:
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


RunDependency = Annotated[Run, Depends(run_at)]
AfterQuery = Annotated[int, Query(ge=0, le=2**62, description="Only events with a larger `seq`.")]
LimitQuery = Annotated[int, Query(ge=1, le=MOST_PER_PAGE, description="How many at most.")]
WaitQuery = Annotated[
    float,
    Query(ge=0, le=300, description="Seconds to wait for the end of the run; by default the response is sent at once."),
]


def budget_from(body: BudgetBody | None) -> Budget | None:
    """Return the budget that a request sets."""
    return None if body is None else Budget(body.usd, body.tokens, body.requests)
