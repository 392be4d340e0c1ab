"""Batches: pipelines that run once for each row of a file."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.server.access.caller import Reader
from orchestrator.server.routes.parameters import PROBLEMS, LimitQuery, ServiceDependency
from orchestrator.server.schemas.runs import BatchPage

router = APIRouter(prefix="/v1/batches", tags=["batches"], responses=PROBLEMS)


@router.get("", response_model=BatchPage)
def list_batches(caller: Reader, service: ServiceDependency, limit: LimitQuery = 50) -> Any:
    """List the newest batches, with the states of their rows. List the runs of one with `GET /v1/runs?batch=`."""
    return {"batches": [batch.to_dict() for batch in service.orchestrator.list_batches(limit=limit)]}
