"""Taking control of a run: pause, resume, cancel, retry, fork, answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from orchestrator.server.access.caller import Answerer, Runner, require
from orchestrator.server.routes.parameters import PROBLEMS, RunDependency, ServiceDependency, budget_from
from orchestrator.server.schemas.runs import (
    AnswerBody,
    CancelBody,
    ForkBody,
    PauseBody,
    ResumeBody,
    RetryBody,
    RunView,
)

router = APIRouter(prefix="/v1/runs/{run_id}", tags=["control"], responses=PROBLEMS)


@router.post("/pause", response_model=RunView)
def pause_run(run: RunDependency, caller: Runner, body: PauseBody | None = None) -> Any:
    """Start no new steps of a run; with `now` stop those that are running."""
    run.pause(now=body is not None and body.now, by=caller.by)
    return run.status().to_dict()


@router.post("/cancel", response_model=RunView)
def cancel_run(run: RunDependency, caller: Runner, body: CancelBody | None = None) -> Any:
    """Stop all running steps of a run. It ends as cancelled, and can be resumed."""
    run.cancel(reason=body.reason if body is not None else "", by=caller.by)
    return run.status().to_dict()


@router.post("/resume", response_model=RunView)
def resume_run(run: RunDependency, caller: Runner, service: ServiceDependency, body: ResumeBody | None = None) -> Any:
    """Resume a run: its steps that succeeded are not run again. With an edited pipeline, what has changed is."""
    given = body or ResumeBody(inputs={})
    edited = None
    if given.source is not None:
        require(caller, "admin")
    if given.pipeline is not None or given.source is not None:
        edited = service.chosen(given.pipeline, given.source)
    service.refuse_while_draining()
    resumed = service.orchestrator.resume(
        run.id, pipeline=edited, inputs=given.inputs or None, budget=budget_from(given.budget), by=caller.by
    )
    return resumed.status().to_dict()


@router.post("/retry", response_model=RunView)
def retry_step(run: RunDependency, caller: Runner, service: ServiceDependency, body: RetryBody) -> Any:
    """Run a step again, with all steps that depend on it, and continue the run."""
    service.refuse_while_draining()
    retried = service.orchestrator.retry(run.id, body.step, inputs=body.inputs or None, by=caller.by)
    return retried.status().to_dict()


@router.post("/fork", response_model=RunView, status_code=201)
def fork_run(run: RunDependency, caller: Runner, service: ServiceDependency, body: ForkBody) -> Any:
    """Start a new run that shares the results of this one, except those of a step and what depends on it."""
    service.refuse_if_full()
    forked = service.orchestrator.fork(run.id, from_step=body.step, inputs=body.inputs or None, by=caller.by)
    return forked.status().to_dict()


@router.post("/answer", response_model=RunView)
def answer_question(run: RunDependency, caller: Answerer, service: ServiceDependency, body: AnswerBody) -> Any:
    """Answer the question of a step. A run that nothing executes is resumed."""
    run.answer(body.step, body.value, by=caller.by)
    status = run.status()
    if status.owner is None and not status.ended and not service.draining.is_set():
        run.resume(by=caller.by)
        status = run.status()
    return status.to_dict()
