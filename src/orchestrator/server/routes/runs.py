"""Starting runs, and reading their status, results, steps and reasons."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response

from orchestrator import codes
from orchestrator.api.run import Run
from orchestrator.errors import OrchestratorError, RunError
from orchestrator.history.step_outline import outline_of
from orchestrator.journal import RunStatus
from orchestrator.server.access.caller import Caller, Reader, Runner, require
from orchestrator.server.adoption import HOSTED
from orchestrator.server.routes.parameters import (
    PROBLEMS,
    FilterDependency,
    KeyHeader,
    LimitQuery,
    RunDependency,
    ServiceDependency,
    WaitQuery,
    budget_from,
)
from orchestrator.server.schemas.runs import (
    ResultView,
    RunPage,
    RunView,
    StartBody,
    StartedRun,
    StepList,
    StepView,
    WhyView,
)
from orchestrator.server.service import Service

router = APIRouter(prefix="/v1/runs", tags=["runs"], responses=PROBLEMS)

StepPath = Annotated[str, Path(max_length=2_000, description="The path of a step, such as `draft` or `loop[2].draft`.")]


@router.post(
    "",
    status_code=202,
    response_model=StartedRun,
    responses={200: {"model": StartedRun, "description": "The run has ended."}},
)
async def start_run(
    body: StartBody,
    request: Request,
    response: Response,
    caller: Runner,
    service: ServiceDependency,
    key: KeyHeader = None,
    wait: WaitQuery = 0,
) -> Any:
    """Start a run. The response is sent when it is recorded, or with `wait` when it has ended.

    With `Idempotency-Key`, a request can be repeated after a lost response without starting a second run.
    """
    if body.source is not None:
        require(caller, "admin")
    beginning = await service.preparations.call(_begin, service, body, caller, key)
    run, status = await asyncio.shield(asyncio.wrap_future(beginning))  # it begins also for a client that has left
    response.headers["location"] = f"/v1/runs/{run.id}"
    return await _waited(run, wait, response) if wait else {"run": status.to_dict(), "outputs": None}


def _begin(service: Service, body: StartBody, caller: Caller, key: str | None) -> Future[tuple[Run, RunStatus]]:
    submits = body.runs_on is not None
    if not submits:
        service.refuse_if_full(later=body.not_before is not None and body.not_before > time.time())
    pipeline = service.chosen(body.pipeline, body.source, body.name).with_options(
        max_parallel=body.max_parallel,
        timeout=body.timeout,
        budget=budget_from(body.budget),
        cache=body.cache,
        priority=body.priority,
        not_before=body.not_before,
        refresh=body.refresh or None,
        labels=body.labels if submits else [*body.labels, HOSTED],
        by=caller.by,
        key=caller.own_key(key),
        runs_on=body.runs_on,
    )
    if not submits:
        service.refuse_full_line(pipeline.limit_of(body.inputs))
    return pipeline.begin(body.inputs, submits=submits)


async def _rested(run: Run, seconds: float) -> RunStatus:
    """Return the status as soon as a run has ended or is idle, or after some seconds."""
    try:
        return await run.wait_async(timeout=seconds)
    except TimeoutError:
        return await run.astatus()


async def _waited(run: Run, wait: float, response: Response) -> dict[str, Any]:
    status = await _rested(run, wait)
    outputs = None
    if status.ended:
        response.status_code = 200
        if status.state == "succeeded":
            outputs = dict((await run.asnapshot()).outputs)
    return {"run": status.to_dict(), "outputs": outputs}


@router.get("", response_model=RunPage, responses={304: {"description": "They have not changed."}})
def list_runs(
    caller: Reader,
    service: ServiceDependency,
    response: Response,
    wanted: FilterDependency,
    before: Annotated[str | None, Query(max_length=100, description="`next` of the previous page.")] = None,
    limit: LimitQuery = 50,
    known: Annotated[
        str | None, Header(alias="If-None-Match", description="The `ETag` of an earlier response.")
    ] = None,
) -> Any:
    """List runs, newest first, one page at a time. The `ETag` changes when one of them does."""
    found = service.orchestrator.list_runs(
        state=wanted.state,
        pipeline=wanted.pipeline,
        batch=wanted.batch,
        since=wanted.since,
        until=wanted.until,
        labels=wanted.labels,
        text=wanted.text,
        before=before,
        single=wanted.single,
        asks=wanted.asks,
        limit=limit,
    )
    tag = _page_tag(found)
    if _is_known(tag, known):
        return Response(status_code=304, headers={"etag": tag})
    response.headers["etag"] = tag
    store, ids = service.orchestrator.backend.store, [status.run_id for status in found]
    labels = store.labels(ids) if found else {}
    return {
        "runs": [status.to_dict() for status in found],
        "labels": {run_id: [each for each in labels[run_id] if each != HOSTED] for run_id in labels},
        "rows": store.rows(ids) if wanted.batch is not None else {},
        "next": found[-1].run_id if len(found) == limit else None,
    }


@router.get("/{run_id}", response_model=RunView, responses={304: {"description": "It has not changed."}})
async def get_run(
    run: RunDependency,
    response: Response,
    caller: Reader,
    known: Annotated[
        str | None, Header(alias="If-None-Match", description="The `ETag` of an earlier response.")
    ] = None,
    wait: WaitQuery = 0,
) -> Any:
    """Return the status of a run. Its `ETag` is the number of its newest event, and its state if that has none.

    With `wait`, the response is sent as soon as the run has ended or is idle, or after so many seconds.
    """
    status = await (_rested(run, wait) if wait else run.astatus())
    tag = entity_tag(status)
    if _is_known(tag, known):
        return Response(status_code=304, headers={"etag": tag})
    response.headers["etag"] = tag
    return status.to_dict()


def entity_tag(status: RunStatus) -> str:
    """Return the entity tag of a status. Whether an owner is alive, and waits, changes without an event."""
    unrecorded = f"-{status.state}" if status.state in ("interrupted", "waiting") else ""
    return f'"{status.last_seq}{unrecorded}"'


def _page_tag(statuses: Sequence[RunStatus]) -> str:
    """Return the entity tag of a page of runs."""
    digest = hashlib.sha256()
    for status in statuses:
        digest.update(f"{status.run_id} {entity_tag(status)} {status.damage}\n".encode())
    return f'"{digest.hexdigest()[:32]}"'


def _is_known(tag: str, known: str | None) -> bool:
    """Whether an `If-None-Match` header has a tag."""
    return known is not None and tag in (each.strip() for each in known.split(","))


@router.get("/{run_id}/result", response_model=ResultView)
def get_result(run: RunDependency, caller: Reader) -> Any:
    """Return what a run has achieved so far: its outputs if it has succeeded, else its error."""
    found = run.snapshot()
    return {
        "run_id": found.run_id,
        "state": found.state,
        "outputs": dict(found.outputs),
        "error": dict(found.error) if found.error is not None else None,
        "warnings": list(found.warnings),
        **found.spending.to_dict(),
    }


@router.get("/{run_id}/steps", response_model=StepList, response_model_exclude_unset=True)
def list_steps(
    run: RunDependency,
    caller: Reader,
    within: Annotated[
        str, Query(max_length=2_000, description="Also everything inside this item of a loop, such as `translate[17]`.")
    ] = "",
) -> Any:
    """List the steps of a run without their outputs. Of a long loop, only some items are listed."""
    steps = outline_of(run.snapshot().steps, within)
    return {"steps": [_without_output(steps.head(path).to_dict()) for path in steps]}


@router.get("/{run_id}/steps/{path:path}", response_model=StepView)
def get_step(path: StepPath, run: RunDependency, caller: Reader) -> Any:
    """Return one step with its output."""
    steps = outline_of(run.snapshot().steps, path)
    if path not in steps:
        raise _no_such_step(run, path)
    return steps[path].to_dict()


@router.get("/{run_id}/why/{path:path}", response_model=WhyView)
def explain_step(path: StepPath, run: RunDependency, caller: Reader) -> Any:
    """Explain why a step ran, ran again, was taken from the cache, was skipped, or waits."""
    return run.why(path).to_dict()


@router.get(
    "/{run_id}/graph",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}, "text/plain": {}}, "description": "The graph."}},
)
def draw_run(
    run: RunDependency,
    caller: Reader,
    format: Annotated[str, Query(pattern="^(svg|mermaid)$", description="`svg` or `mermaid`.")] = "svg",
) -> Response:
    """Draw the steps of a run with their states."""
    svg = format == "svg"
    return Response(run.graph("svg" if svg else "mermaid"), media_type="image/svg+xml" if svg else "text/plain")


@router.get(
    "/{run_id}/report",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}, "description": "The report."}},
)
def download_report(run: RunDependency, caller: Reader) -> Response:
    """Download the run as one HTML file: outputs, graph, timeline, steps and their cost."""
    headers = {
        "content-disposition": f'attachment; filename="run-{run.id}.html"',
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    }
    return Response(run.report(), media_type="text/html", headers=headers)


def _without_output(step: dict[str, Any]) -> dict[str, Any]:
    del step["output"]
    return step


def _no_such_step(run: Run, path: str) -> OrchestratorError:
    return RunError(
        f"run `{run.id}` has no step `{path}`",
        run_id=run.id,
        code=codes.STEP_NOT_FOUND,
        help="list its steps with `GET /v1/runs/{run_id}/steps`",
    )
