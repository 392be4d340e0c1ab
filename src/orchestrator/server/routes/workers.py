"""Workers, and the runs that wait for them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.server.access.caller import Reader
from orchestrator.server.routes.parameters import PROBLEMS, ServiceDependency
from orchestrator.server.schemas.workers import WorkerList

router = APIRouter(prefix="/v1/workers", tags=["workers"], responses=PROBLEMS)


@router.get("", response_model=WorkerList)
def list_workers(caller: Reader, service: ServiceDependency) -> Any:
    """List the workers that share the store of the server, and count the runs that wait for one."""
    orchestrator = service.orchestrator
    return {
        "workers": [each.to_dict() for each in orchestrator.list_workers()],
        "queue": [each.to_dict() for each in orchestrator.queue_lengths()],
    }
