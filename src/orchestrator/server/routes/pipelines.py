"""Checking pipelines, and those that the server offers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from orchestrator.api.pipeline import Pipeline
from orchestrator.errors import CompilationError
from orchestrator.forecast.forecast import forecast_of
from orchestrator.language.reference.starter import starter
from orchestrator.language.spec.input_schema import inputs_schema
from orchestrator.server.access.caller import Admin, Caller, Reader, require
from orchestrator.server.catalog import OfferedPipeline
from orchestrator.server.diagnostic_views import diagnostic_views
from orchestrator.server.routes.parameters import PROBLEMS, ServiceDependency
from orchestrator.server.schemas.pipelines import (
    CheckBody,
    CheckView,
    DrawBody,
    EditedPipelineBody,
    ForecastBody,
    ForecastView,
    NewPipelineBody,
    PipelineList,
    PipelineView,
)
from orchestrator.server.service import Service

router = APIRouter(prefix="/v1/pipelines", tags=["pipelines"], responses=PROBLEMS)

_NEWEST_RUNS = 10


@router.post("/check", response_model=CheckView)
def check_pipeline(body: CheckBody, caller: Reader, service: ServiceDependency) -> Any:
    """Check a pipeline without running it, and report every problem with its place and its fix.

    Of other files, the text can call only the pipelines that the server offers.
    """
    offered: Pipeline | None = None
    try:
        offered = service.compiled(body.source, body.name)
        found = offered.diagnostics
    except CompilationError as error:
        found = error.diagnostics
    ok = offered is not None
    return {"ok": ok, **diagnostic_views(found), "compiled": compiled_view(offered)}


@router.post(
    "/draw",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}, "text/plain": {}}, "description": "The graph."}},
)
def draw_pipeline(body: DrawBody, caller: Reader, service: ServiceDependency) -> Response:
    """Draw the steps of a pipeline. YAML text needs the scope `admin`."""
    _permit_source(caller, body.source)
    drawn = service.chosen(body.pipeline, body.source, body.name).graph(body.format)
    return Response(drawn, media_type="image/svg+xml" if body.format == "svg" else "text/plain")


@router.post("/forecast", response_model=ForecastView)
def forecast_run(body: ForecastBody, caller: Reader, service: ServiceDependency) -> Any:
    """Forecast a run: its steps, the models that it would call, and what that may cost. Nothing is run.

    Inputs that come from environment variables of the server are unknown. YAML text needs the scope `admin`.
    """
    _permit_source(caller, body.source)
    pipeline = service.chosen(body.pipeline, body.source, body.name)
    budget = pipeline.plan.budget
    found = forecast_of(pipeline, body.inputs).to_dict()
    return {**found, "budget": budget.to_dict() if budget is not None else None}


@router.get("", response_model=PipelineList)
def list_pipelines(caller: Reader, service: ServiceDependency) -> Any:
    """List the pipelines that the server offers."""
    return {"pipelines": [_summary(offered) for offered in service.catalog.all()]}


@router.post("", response_model=PipelineView, status_code=201)
def create_pipeline(body: NewPipelineBody, caller: Admin, service: ServiceDependency) -> Any:
    """Write a new pipeline into the first directory of the server. An existing file is never overwritten."""
    source = body.source
    return _view(service, service.catalog.create(body.name, starter if source is None else lambda path: source))


@router.get("/{name:path}", response_model=PipelineView)
def get_pipeline(name: str, caller: Reader, service: ServiceDependency) -> Any:
    """Return one pipeline with its source, diagnostics, graph and newest runs."""
    return _view(service, service.catalog.find(name))


@router.put("/{name:path}", response_model=PipelineView)
def replace_pipeline(name: str, body: EditedPipelineBody, caller: Admin, service: ServiceDependency) -> Any:
    """Write a new version of a pipeline, also of one with errors. One that was changed meanwhile is not overwritten."""
    return _view(service, service.catalog.replace(name, body.source, body.replaces))


def _permit_source(caller: Caller, source: str | None) -> None:
    """Raise RequestError if a request contains a pipeline that its sender may not start: it is evaluated."""
    if source is not None:
        require(caller, "admin")


def _view(service: Service, offered: OfferedPipeline) -> dict[str, Any]:
    pipeline = offered.pipeline
    budget = pipeline.plan.budget if pipeline is not None else None
    runs = service.orchestrator.list_runs(pipeline=pipeline.id, limit=_NEWEST_RUNS) if pipeline is not None else []
    return {
        **_summary(offered),
        "source": offered.source,
        "budget": budget.to_dict() if budget is not None else None,
        "intention": pipeline.intention if pipeline is not None else "",
        "graph": pipeline.graph() if pipeline is not None else "",
        **diagnostic_views(offered.diagnostics),
        "compiled": compiled_view(pipeline),
        "runs": [status.to_dict() for status in runs],
    }


def compiled_view(pipeline: Pipeline | None) -> dict[str, Any] | None:
    """Return what is known of a pipeline without errors."""
    if pipeline is None:
        return None
    locked = pipeline.locked
    return {
        "id": pipeline.id,
        "title": pipeline.name,
        "description": pipeline.description,
        "plan": pipeline.to_dict(),
        "locked": None if locked is None else {"file": locked[0], "answers": locked[1]},
    }


def _summary(offered: OfferedPipeline) -> dict[str, Any]:
    pipeline = offered.pipeline
    errors = sum(diagnostic.severity == "error" for diagnostic in offered.diagnostics)
    return {
        "name": offered.name,
        "id": pipeline.id if pipeline is not None else offered.path.stem,
        "title": pipeline.name if pipeline is not None else offered.path.stem,
        "description": pipeline.description if pipeline is not None else "",
        "ok": pipeline is not None,
        "errors": errors,
        "warnings": len(offered.diagnostics) - errors,
        "inputs": inputs_schema(pipeline.inputs if pipeline is not None else {}),
    }
