"""Checking pipelines, and those that the server offers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.diagnostics import diagnostics_json
from orchestrator.language.spec.input_schema import inputs_schema
from orchestrator.server.access.caller import Reader
from orchestrator.server.catalog import OfferedPipeline
from orchestrator.server.routes.parameters import PROBLEMS, ServiceDependency
from orchestrator.server.schemas.pipelines import CheckBody, CheckView, PipelineList, PipelineView

router = APIRouter(prefix="/v1/pipelines", tags=["pipelines"], responses=PROBLEMS)

_NEWEST_RUNS = 10


@router.post("/check", response_model=CheckView)
def check_pipeline(body: CheckBody, caller: Reader, service: ServiceDependency) -> Any:
    """Check a pipeline without running it, and report every problem with its place and its fix."""
    found = service.orchestrator.backend.compile(f"{body.source}\n", name=body.name)
    return diagnostics_json(found.diagnostics)


@router.get("", response_model=PipelineList)
def list_pipelines(caller: Reader, service: ServiceDependency) -> Any:
    """List the pipelines that the server offers."""
    return {"pipelines": [_summary(offered) for offered in service.catalog.all()]}


@router.get("/{name:path}", response_model=PipelineView)
def get_pipeline(name: str, caller: Reader, service: ServiceDependency) -> Any:
    """Return one pipeline with its source, diagnostics, graph and newest runs."""
    offered = service.catalog.find(name)
    pipeline = offered.pipeline
    runs = service.orchestrator.list_runs(pipeline=pipeline.id, limit=_NEWEST_RUNS) if pipeline is not None else []
    return {
        **_summary(offered),
        "source": offered.source,
        "intention": pipeline.intention if pipeline is not None else "",
        "graph": pipeline.graph() if pipeline is not None else "",
        "diagnostics": diagnostics_json(offered.diagnostics)["diagnostics"],
        "runs": [status.to_dict() for status in runs],
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
