"""The events of a run: a page of them, or a live stream."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from orchestrator.errors import RequestError
from orchestrator.server.access.caller import Reader
from orchestrator.server.routes.parameters import PROBLEMS, AfterQuery, LimitQuery, RunDependency, ServiceDependency
from orchestrator.server.schemas.runs import EventPage
from orchestrator.server.streams import EventStream, run_events

router = APIRouter(prefix="/v1/runs", tags=["events"], responses=PROBLEMS)

_STREAM = "text/event-stream"


@router.get(
    "/{run_id}/events",
    response_model=EventPage,
    responses={200: {"content": {_STREAM: {}}, "description": "A page of events, or a stream of them."}},
)
async def read_events(
    run: RunDependency,
    service: ServiceDependency,
    caller: Reader,
    after: AfterQuery = 0,
    limit: LimitQuery = 200,
    accept: Annotated[str, Header(description=f"With `{_STREAM}`, the response is a stream.")] = "application/json",
    last: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            max_length=20,
            description="Of a stream: the `id` of the last event that was received; overrides `after`.",
        ),
    ] = None,
) -> Any:
    """Return events of a run in order and without gaps; as a stream, also those to come, until the run has ended.

    In a stream (server-sent events), recorded events have their `seq` as `id`: a client that rejoins with
    `Last-Event-ID` misses none and receives none twice. Pieces of answers that models are streaming (`step.partial`)
    have no `id`, and are dropped for readers that are too slow for them. The last block is `end`.
    """
    if _STREAM not in accept:
        read = partial(run.backend.store.events, run.id, after=after, limit=limit, resolve=True)
        found = await run_in_threadpool(read)
        content = {"events": [event.to_dict() for event in found], "next": found[-1].seq if found else after}
        return JSONResponse(content)
    if last is not None:
        if not last.isdecimal():
            raise RequestError("`Last-Event-ID` is not the number of an event", status=422)
        after = int(last)
    return EventStream(run_events(run, after, service.encoded_events), service.stopping)
