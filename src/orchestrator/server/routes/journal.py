"""What is recorded of runs: for clients that compute results and pages from it, as they would from a store."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from msgspec.structs import asdict
from pydantic import Field

from orchestrator.errors import RequestError
from orchestrator.server.access.caller import Reader
from orchestrator.server.routes.parameters import LARGEST_SEQ, PROBLEMS, RunDependency, ServiceDependency
from orchestrator.server.schemas.journal import ItemsView, OutputList, RecordView, ValueView

router = APIRouter(tags=["journal"], responses=PROBLEMS)

MOST_OUTPUTS = 200


@router.get("/v1/runs/{run_id}/record", response_model=RecordView)
def get_record(run: RunDependency, caller: Reader) -> Any:
    """Return what a run was started from: the source and plan of its pipeline, its inputs without secrets."""
    return asdict(run.record())


@router.get("/v1/runs/{run_id}/outputs", response_model=OutputList)
def get_outputs(
    run: RunDependency,
    caller: Reader,
    seq: Annotated[
        list[Annotated[int, Field(ge=1, le=LARGEST_SEQ)]],
        Query(min_length=1, max_length=MOST_OUTPUTS, description="The `seq` of events that end steps."),
    ],
) -> Any:
    """Return the outputs of steps, by the events that ended them; of a failed one, what the run continued with."""
    if max(seq) > run.status().last_seq:
        raise RequestError(f"the run has no event {max(seq)}", status=404, help="read its events again")
    return {"outputs": run.backend.store.values_at(run.id, seq)}


@router.get("/v1/runs/{run_id}/items", response_model=ItemsView)
def count_items(
    run: RunDependency,
    caller: Reader,
    loop: Annotated[str, Query(max_length=2_000, description="The path of a loop whose items are counted.")] = "",
) -> Any:
    """Return which items of loops have failed, and how many items of one loop have ended."""
    store = run.backend.store
    ended = store.count_items(run.id, loop) if loop else {}
    return {"failed": [] if loop else list(store.failed_later_items(run.id)), "ended": ended}


@router.get("/v1/values/{hash}", response_model=ValueView)
def get_value(
    hash: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The `$blob` of a reference in an event.")],
    caller: Reader,
    service: ServiceDependency,
) -> Any:
    """Return a large value that events refer to. It never changes."""
    found = service.orchestrator.backend.store.value(hash)
    if found is None:
        raise RequestError(f"no event refers to the value `{hash[:12]}`", status=404, help="read the event again")
    return {"value": found}
