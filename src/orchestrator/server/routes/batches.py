"""Batches: pipelines that run once for each row that a client sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from orchestrator.errors import RequestError
from orchestrator.runtime import RowResult
from orchestrator.server.access import credential_watch
from orchestrator.server.access.caller import Caller, Reader, Runner, require
from orchestrator.server.access.refused_logins import not_authenticated
from orchestrator.server.access.request_guard import LARGEST_STREAM
from orchestrator.server.adoption import HOSTED
from orchestrator.server.hosted_batches import HostedBatch, batch_stopped
from orchestrator.server.routes.parameters import PROBLEMS, AfterQuery, LimitQuery, ServiceDependency, budget_from
from orchestrator.server.row_reader import lines_of, row_of
from orchestrator.server.schemas.batches import BatchBody, RowPage
from orchestrator.server.schemas.runs import BatchPage, BatchView
from orchestrator.server.service import Service

router = APIRouter(prefix="/v1/batches", tags=["batches"], responses=PROBLEMS)

T = TypeVar("T")

BatchId = Annotated[str, Path(max_length=100, description="The id of a batch.")]

_LINES = {
    "requestBody": {
        "required": True,
        "description": "JSON Lines: the first line is a BatchBody, each following one the inputs of a row.",
        "content": {"application/jsonl": {"schema": {"$ref": "#/components/schemas/BatchBody"}}},
    }
}


@router.post("", status_code=202, response_model=BatchView, openapi_extra=_LINES, max_body_size=LARGEST_STREAM)
async def start_batch(request: Request, caller: Runner, service: ServiceDependency) -> Any:
    """Run a pipeline once for each row of a body that is sent while its runs are executed, in lines of JSON.

    The body is read as rows are started, so that it may have any length. The response is sent when all rows were read;
    read the results at the same time with `GET /v1/batches/{batch_id}/results`, as rows wait while many are not read.
    For that, choose the id yourself: `batch` and `may_be_new` in the first line.

    A request that is cut off stops the batch. Sent again with the id, rows that succeeded are not run again.
    """
    lines = lines_of(request.stream())
    head = _head(await anext(lines, b""))
    if head.source is not None:
        require(caller, "admin")
    hosted = await run_in_threadpool(_begun, service, head, caller)
    try:
        await _feed(hosted, lines, numbered=head.numbered, permitted=partial(service.still_permits, caller.credential))
    except (ClientDisconnect, RequestError) as error:
        lost = error if isinstance(error, RequestError) else batch_stopped("its request was cut off")
        hosted.feed.cut_off(lost)
        raise lost from error
    except asyncio.CancelledError:
        hosted.feed.cut_off(batch_stopped("its request was cut off"))
        raise
    return (await run_in_threadpool(service.orchestrator.get_batch, hosted.id)).to_dict()


async def _feed(
    hosted: HostedBatch, lines: AsyncIterator[bytes], *, numbered: bool, permitted: Callable[[], Awaitable[bool]]
) -> None:
    """Give the rows of a body to a batch, as long as their sender is there and may send them.

    The next line is received while a row waits, so that a client that has gone is noticed.
    """
    number = 0
    upcoming = asyncio.ensure_future(anext(lines, None))
    try:
        while (line := await _permitted(upcoming, permitted)) is not None:
            number += 1
            row = row_of(line, number, numbered=numbered)
            upcoming = asyncio.ensure_future(anext(lines, None))
            putting = asyncio.ensure_future(hosted.feed.put(row))
            try:
                await asyncio.wait({upcoming, putting}, return_when=asyncio.FIRST_COMPLETED)
                if upcoming.done() and upcoming.exception() is not None:
                    await upcoming
                await _permitted(putting, permitted)
            finally:
                putting.cancel()
        await hosted.feed.put(None)
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)


async def _permitted(awaited: asyncio.Future[T], permitted: Callable[[], Awaitable[bool]]) -> T:
    """Wait for a result, and see now and then whether the sender may still wait for it."""
    if not await permitted():
        raise not_authenticated("the token was revoked, or has expired", "send the batch again, with another token")
    while not awaited.done():
        await asyncio.wait({awaited}, timeout=credential_watch.CHECK_SECONDS)
        if not await permitted():
            raise not_authenticated("the token was revoked, or has expired", "send the batch again, with another token")
    return await awaited


def _head(line: bytes) -> BatchBody:
    try:
        return BatchBody.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RequestError(
            f"the first line is not the head of a batch: {f'`{place}`: ' if place else ''}{first['msg']}",
            status=422,
            help='write for example {"pipeline": "greeting"}, and then one line for each row',
        ) from error


def _begun(service: Service, head: BatchBody, caller: Caller) -> HostedBatch:
    service.refuse_while_draining()
    service.batches.refuse_if_full()
    pipeline = service.chosen(head.pipeline, head.source, head.name).with_options(
        max_parallel=head.max_parallel,
        timeout=head.timeout,
        budget=budget_from(head.run_budget),
        cache=head.cache,
        refresh=head.refresh or None,
        priority=head.priority,
        not_before=head.not_before,
        labels=[*head.labels, HOSTED],
        by=caller.by,
    )
    at_once = min(head.rows_at_once or service.orchestrator.backend.max_rows, service.settings.max_runs)
    budget = budget_from(head.budget)
    if head.batch is not None:
        service.batches.take_over(head.batch)
    hosted = HostedBatch(
        lambda rows: pipeline.map_numbered(
            rows, max_parallel=at_once, batch=head.batch, may_be_new=head.may_be_new, budget=budget
        ),
        head.request,
    )
    service.batches.add(hosted)
    return hosted


@router.get("", response_model=BatchPage)
def list_batches(caller: Reader, service: ServiceDependency, limit: LimitQuery = 50) -> Any:
    """List the newest batches, with the states of their rows. List the runs of one with `GET /v1/runs?batch=`."""
    return {"batches": [batch.to_dict() for batch in service.orchestrator.list_batches(limit=limit)]}


@router.get("/{batch_id}", response_model=BatchView)
def get_batch(batch_id: BatchId, caller: Reader, service: ServiceDependency) -> Any:
    """Return a batch with the states of its rows."""
    return service.orchestrator.get_batch(batch_id).to_dict()


@router.get("/{batch_id}/results", response_model=RowPage, response_model_exclude_unset=True)
async def read_results(
    batch_id: BatchId,
    caller: Reader,
    service: ServiceDependency,
    after: AfterQuery = 0,
    request: Annotated[str, Query(max_length=100, description="Only those of the request with this `request`.")] = "",
    wait: Annotated[float, Query(ge=0, le=30, description="Seconds to wait for a result if there is none.")] = 0,
) -> Any:
    """Return what became of rows, in the order in which they ended.

    Those up to `after` that were sent are forgotten, if the caller has the scope `run`. The others are there while this
    server executes the batch, and a quarter of an hour longer.
    """
    hosted = service.batches.find(batch_id, request)
    after = hosted.sent_before(after)
    found = await hosted.results(after, seconds=wait, forget="run" in caller.scopes)
    return await run_in_threadpool(_row_page, hosted, found, after)


def _row_page(hosted: HostedBatch, found: list[tuple[int, RowResult]], after: int) -> dict[str, Any]:
    return {
        "results": [{"number": number, **result.to_dict()} for number, result in found],
        "next": found[-1][0] if found else after,
        "ended": not found and hosted.ended_at is not None,
    }
