"""Checking the quality of results."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.server.access.caller import Reader, require
from orchestrator.server.routes.parameters import PROBLEMS, RunDependency
from orchestrator.server.schemas.quality import QualityBody, QualityView

router = APIRouter(prefix="/v1/runs", tags=["quality"], responses=PROBLEMS)


@router.post("/{run_id}/quality", response_model=QualityView)
def check_quality(run: RunDependency, caller: Reader, body: QualityBody | None = None) -> Any:
    """Check the quality of a result: by rules and, on request (scope `run`), by a model that judges each output."""
    given = body or QualityBody()
    if given.judge is not False:
        require(caller, "run")
    return run.snapshot().qc(judge=given.judge, rubric=given.rubric).to_dict()
