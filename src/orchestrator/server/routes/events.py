"""The events of a run, as a page of them or a live stream; and the live stream of a list of runs."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from orchestrator.errors import RequestError
from orchestrator.journal.events import EventType
from orchestrator.server.access.caller import Reader
from orchestrator.server.routes.parameters import (
    LARGEST_SEQ,
    PROBLEMS,
    AfterQuery,
    FilterDependency,
    LimitQuery,
    RunDependency,
    ServiceDependency,
)
from orchestrator.server.schemas.runs import EventPage
from orchestrator.server.streams import EventStream, run_events

router = APIRouter(prefix="/v1", tags=["events"], responses=PROBLEMS)

_STREAM = "text/event-stream"


@router.get(
    "/runs/{run_id}/events",
    response_model=EventPage,
    responses={200: {"content": {_STREAM: {}}, "description": "A page of events, or a stream of them."}},
)
async def read_events(
    run: RunDependency,
    service: ServiceDependency,
    caller: Reader,
    after: AfterQuery = 0,
    limit: LimitQuery = 200,
    path: Annotated[
        list[str] | None,
        Query(max_length=200, description="Of a page: only events of these steps; empty: the run's own."),
    ] = None,
    type: Annotated[
        list[EventType] | None, Query(max_length=50, description="Of a page: only events of these types.")
    ] = None,
    references: Annotated[
        bool, Query(description='Of a page: leave large values out: they are `{"$blob": hash, "size": characters}`.')
    ] = False,
    outline: Annotated[
        bool,
        Query(description="Of a page: with references, and of loops only the first ten items, and all model calls."),
    ] = False,
    within: Annotated[
        list[str] | None, Query(max_length=500, description="Of an outline: also everything inside these items.")
    ] = None,
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
        store = run.backend.store
        read = partial(store.events, run.id, after, limit, resolve=not references, paths=path, types=type or ())
        if outline:
            read = partial(store.outline, run.id, after, limit, within=within or ())
        found = await run_in_threadpool(read)
        content = {"events": [event.to_dict() for event in found], "next": found[-1].seq if found else after}
        return JSONResponse(content)
    if last is not None:
        if not (last.isascii() and last.isdecimal() and int(last) <= LARGEST_SEQ):
            raise RequestError("`Last-Event-ID` is not the number of an event", status=422)
        after = int(last)
    readers, permitted = service.metrics.readers.labels("run"), partial(service.still_permits, caller.credential)
    return EventStream(
        run_events(run, after, service.encoded_events), service.stopping, readers=readers, permitted=permitted
    )


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {_STREAM: {}}, "description": "A stream, which does not end."}},
)
async def follow_runs(
    caller: Reader,
    service: ServiceDependency,
    wanted: FilterDependency,
    last: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=50, description="The `id` of the last block that was received."),
    ] = None,
) -> Any:
    """Follow the runs of a list, as server-sent events. The filters are those of `GET /v1/runs`.

    The first block is `start`: load the list after it. Then each change of a run that the list shows, or showed, is a
    block `run`, with its `state`, `progress` and `seq`, the number of its newest event. Changes of a run that follow
    one another closely, or that a slow reader has not received yet, are joined. All blocks have an `id`: a client that
    rejoins with `Last-Event-ID` receives what has changed since. `missed` says that this is not known any more: load
    the list again.
    """
    changes = await service.run_list.ready()
    readers, permitted = service.metrics.readers.labels("list"), partial(service.still_permits, caller.credential)
    return EventStream(
        service.run_list.read(changes, wanted, last), service.stopping, readers=readers, permitted=permitted
    )
