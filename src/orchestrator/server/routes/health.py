"""Whether the server answers, and whether it can do its work: for load balancers and supervisors."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.distribution import VERSION
from orchestrator.server.routes.parameters import PROBLEMS, ServiceDependency
from orchestrator.server.schemas.access import HealthView

router = APIRouter(tags=["health"], responses=PROBLEMS)


@router.get("/healthz", response_model=HealthView)
async def is_alive(service: ServiceDependency) -> Any:
    """Answer as long as the server runs, and say whether it is being stopped."""
    return {"status": "ok", "version": VERSION, "draining": service.draining.is_set()}


@router.get("/readyz", response_model=HealthView)
def is_ready(service: ServiceDependency) -> Any:
    """Answer if the server can start runs: its store can be written, and it is not being stopped."""
    service.refuse_while_draining()
    service.orchestrator.backend.store.check_writable()
    return {"status": "ok", "version": VERSION, "draining": False}
