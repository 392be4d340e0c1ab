"""Taking control of a run: pause, resume, cancel, retry, fork, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.journal.audience import may_answer
from orchestrator.journal.records import RunLimit
from orchestrator.server.access.caller import Answerer, Runner, require
from orchestrator.server.adoption import HOSTED
from orchestrator.server.routes.parameters import PROBLEMS, KeyHeader, RunDependency, ServiceDependency, budget_from
from orchestrator.server.schemas.runs import (
    AnswerBody,
    CancelBody,
    ForkBody,
    PauseBody,
    ResumeBody,
    RetryBody,
    RunView,
)
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.api.run import Run
    from orchestrator.server.access.caller import Caller
    from orchestrator.server.service import Service

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
    """Resume a run: its steps that succeeded are not run again. With an edited pipeline, what has changed is.

    With YAML text, or another pipeline of the server than that of the run, it needs the scope `admin`.
    """
    given = body or ResumeBody(inputs={})
    edited = None
    if given.source is not None:
        require(caller, "admin")
    if given.pipeline is not None or given.source is not None:
        edited = service.chosen(given.pipeline, given.source, given.name)
    if given.pipeline is not None and service.catalog.name_of_run(run.record()) != given.pipeline:
        require(caller, "admin")  # its questions may be for other people, or for no one
    service.refuse_while_draining()
    if given.dry_run:
        service.orchestrator.check_resumable(run.id, inputs=given.inputs or None)
        return run.status().to_dict()
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
def fork_run(
    run: RunDependency, caller: Runner, service: ServiceDependency, body: ForkBody, key: KeyHeader = None
) -> Any:
    """Start a new run that shares the results of this one, except those of a step and what depends on it.

    With `Idempotency-Key`, a request can be repeated after a lost response without starting a second run.
    """
    service.refuse_if_full()
    service.refuse_full_line(RunLimit.of(run.record().options))
    forked = service.orchestrator.fork(
        run.id, from_step=body.step, inputs=body.inputs or None, by=caller.by, labels=[HOSTED], key=caller.own_key(key)
    )
    return forked.status().to_dict()


@router.post("/answer", response_model=RunView)
def answer_question(run: RunDependency, caller: Answerer, service: ServiceDependency, body: AnswerBody) -> Any:
    """Answer the question of a step. A run that nothing executes is resumed.

    A question with an `assignee` takes answers only from these people, from members of these groups (`[serve.groups]`
    in `orchestrator.toml`), and from callers with the scope `admin`.
    """
    _refuse_answer_of_others(service, run, body.step, caller)
    run.answer(body.step, body.value, by=caller.by)
    status = run.status()
    if body.resume and status.owner is None and not status.ended and not service.draining.is_set():
        run.resume(by=caller.by)
        status = run.status()
    return status.to_dict()


def _refuse_answer_of_others(service: Service, run: Run, step: str, caller: Caller) -> None:
    """Raise RequestError, ORC922, if the open question of a step is for other people than the caller."""
    asked = next((each.question for each in run.status().active if each.path == step), None)
    if asked is None or "admin" in caller.scopes or may_answer(asked, service.audience_names(caller.name)):
        return
    people = quoted_list(asked["assignee"], last="or")
    raise RequestError(
        f"`{caller.name}` cannot answer `{step}`: the question is for {people}",
        status=403,
        code=codes.NOT_ASSIGNED,
        help="ask one of them to answer; the members of groups are in [serve.groups] of orchestrator.toml",
    )
