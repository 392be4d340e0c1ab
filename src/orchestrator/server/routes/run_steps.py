"""The steps of a run: level by level, and all that is known of one of them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Path, Query, Response

from orchestrator import codes
from orchestrator.api.run import Run
from orchestrator.api.step_inputs import step_inputs
from orchestrator.api.step_messages import step_messages
from orchestrator.errors import OrchestratorError, RunError
from orchestrator.history.attempts import AttemptRecord, attempts_of
from orchestrator.history.step_outline import outline_of
from orchestrator.history.step_page import StepPage, step_page, step_row
from orchestrator.journal import Event
from orchestrator.journal.step_payloads import StepModelPayload
from orchestrator.language.spec.input_schema import input_schema
from orchestrator.language.spec.inputs import InputSpec
from orchestrator.paths import parent_of
from orchestrator.plan.lookup import definition_at, steps_within
from orchestrator.server.access.caller import Reader
from orchestrator.server.routes.parameters import MOST_PER_PAGE, PROBLEMS, RunDependency, ServiceDependency
from orchestrator.server.schemas.steps import MessagesView, StepDetail, StepInputsView, StepTree
from orchestrator.server.step_views import LARGEST_OUTPUT, definition_data, row_data, size_of, without_large

router = APIRouter(prefix="/v1/runs/{run_id}", tags=["steps"], responses=PROBLEMS)

StepPath = Annotated[str, Path(max_length=2_000, description="The path of a step, such as `draft` or `loop[2].draft`.")]
WithinQuery = Annotated[
    str, Query(max_length=2_000, description="The step, item or block whose steps are returned; empty: the run.")
]
FirstQuery = Annotated[int, Query(ge=0, le=10**12, description="Of a loop: the number of the first item.")]
ItemsQuery = Annotated[int, Query(ge=1, le=MOST_PER_PAGE, description="Of a loop: how many items at most.")]

_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_ATTEMPT_EVENTS: Final = 5_000


@router.get("/tree", response_model=StepTree)
def list_level(
    run: RunDependency,
    caller: Reader,
    service: ServiceDependency,
    within: WithinQuery = "",
    first: FirstQuery = 0,
    limit: ItemsQuery = 100,
) -> Any:
    """Return one level of the steps of a run: those of a step, of an item, or some items of a loop."""
    page, last_seq = level_of(service, run, within, first, limit)
    return json_response(
        {
            "run_id": run.id,
            "last_seq": last_seq,
            "within": within,
            "is_loop": page.is_loop,
            "rows": [row_data(row) for row in page.rows],
            "notable": [row_data(row) for row in page.notable],
            "first": page.first,
            "total": page.total,
        }
    )


def json_response(content: Any) -> Response:
    """Return a large response that is known to be as described, and is not checked again: that takes longest."""
    return Response(msgspec.json.encode(content), media_type="application/json")


def level_of(service: ServiceDependency, run: Run, within: str, first: int, limit: int) -> tuple[StepPage, int]:
    """Return one level of a run's steps, and the number of the newest event that it has.

    Raises:
        RunError: ORC809, the run has no such step.
    """
    steps = service.steps.of(run)
    try:
        return step_page(steps, run.record().plan, within, first=first, limit=limit), steps.last_seq
    except KeyError:
        raise no_such_step(run, within) from None


@router.get("/details/{path:path}", response_model=StepDetail)
def get_details(path: StepPath, run: RunDependency, caller: Reader, service: ServiceDependency) -> Any:
    """Return one step with its attempts, and its output unless that is large."""
    steps, plan = service.steps.of(run), run.record().plan
    try:
        row = step_row(steps, plan, path)
    except KeyError:
        raise no_such_step(run, path) from None
    found = _result(run, service, path)
    output = found.output if found is not None else None
    size = size_of(output) if found is not None and found.ended_at is not None else 0
    question = dict(found.question) if found is not None and found.question is not None else None
    around = parent_of(path)
    prefix = f"{around}." if around else ""
    block = [] if path.endswith("]") else steps_within(plan, around)
    return {
        "run_id": run.id,
        "last_seq": steps.last_seq,
        "row": row_data(row),
        "definition": definition_data(definition_at(plan, path, numbered=True) or {}),
        "needed_by": [f"{prefix}{each['id']}" for each in block if row.id in each["dependencies"]],
        "attempts": [_attempt(each) for each in attempts_of(_events_of(run, path))],
        "warnings": list(found.warnings) if found is not None else [],
        "output": output if size <= LARGEST_OUTPUT else None,
        "output_size": size,
        "has_output": 0 < size <= LARGEST_OUTPUT,
        "question": question,
        "answer_schema": _answer_schema(question),
        "cached": dict(found.cached) if found is not None and found.cached is not None else None,
    }


@router.get("/inputs/{path:path}", response_model=StepInputsView)
def get_inputs(path: StepPath, run: RunDependency, caller: Reader, service: ServiceDependency) -> Any:
    """Return what a step was given: its expressions, evaluated over what the run has recorded."""
    found = step_inputs(run.backend, run.record(), service.steps.of(run), path)
    values, omitted = without_large(found.values)
    items, large = without_large(found.items)
    return {
        "run_id": run.id,
        "path": path,
        "values": values,
        "items": items,
        "omitted": omitted | large,
        "condition": found.condition,
        "problem": found.problem,
    }


@router.get("/messages/{path:path}", response_model=MessagesView)
def get_messages(path: StepPath, run: RunDependency, caller: Reader, service: ServiceDependency) -> Any:
    """Return the messages to and from the models of a step, with the turns and tool calls of an agent."""
    found = step_messages(run.backend, run.record(), service.steps.of(run), path)
    return {
        "run_id": run.id,
        "path": path,
        "messages": [
            {
                "role": each.role,
                "content": each.content,
                "name": each.name,
                "requests": [dict(request) for request in each.requests],
                "turn": each.turn,
                "path": each.path,
            }
            for each in found.messages
        ],
        "calls": [_call(event) for event in found.calls],
        "problem": found.problem,
    }


@router.get(
    "/output/{path:path}",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {}}, "description": "The output of the step as JSON."},
        206: {"content": {"application/json": {}}, "description": "The bytes of the `Range`."},
        416: {"description": "The output is shorter than the beginning of the `Range`."},
    },
)
def get_output(
    path: StepPath,
    run: RunDependency,
    caller: Reader,
    service: ServiceDependency,
    wanted: Annotated[
        str | None, Header(alias="Range", max_length=100, description="Such as `bytes=0-99999`: part of it.")
    ] = None,
) -> Response:
    """Return the whole output of a step as JSON, or with `Range` some of its bytes."""
    found = _result(run, service, path)
    if found is None:
        raise no_such_step(run, path)
    content = msgspec.json.encode(found.output)
    headers = {"accept-ranges": "bytes", "content-disposition": 'attachment; filename="output.json"'}
    part = _RANGE.fullmatch(wanted) if wanted is not None else None
    if part is None or not (part[1] or part[2]):
        return Response(content, media_type="application/json", headers=headers)
    first = int(part[1]) if part[1] else max(0, len(content) - int(part[2]))
    last = min(int(part[2]) if part[1] and part[2] else len(content) - 1, len(content) - 1)
    if first >= len(content) or last < first:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(content)}"})
    headers["content-range"] = f"bytes {first}-{last}/{len(content)}"
    return Response(content[first : last + 1], 206, media_type="application/json", headers=headers)


def no_such_step(run: Run, path: str) -> OrchestratorError:
    """Return the error of a step that a run does not have."""
    return RunError(
        f"run `{run.id}` has no step `{path}`",
        run_id=run.id,
        code=codes.STEP_NOT_FOUND,
        help="list its steps with `GET /v1/runs/{run_id}/tree`",
    )


def _result(run: Run, service: ServiceDependency, path: str) -> Any:
    """Return the result of a step; None if there is no record of it."""
    steps = outline_of(service.steps.of(run), path)
    return steps.get(path)


def _events_of(run: Run, path: str) -> list[Event]:
    store = run.backend.store
    found = store.events(run.id, 0, _ATTEMPT_EVENTS, paths=["", path])
    told = [event for event in found if event.type not in ("run.created", "step.progress", "step.log")]
    return [msgspec.structs.replace(event, data=_resolved_error(store, event)) for event in told]


def _resolved_error(store: Any, event: Event) -> Any:
    """Return the data of an event without results, its error in place."""
    data = {name: value for name, value in event.data.items() if name not in ("output", "value", "values", "state")}
    return store.resolve(data) if "error" in data else data


def _attempt(found: AttemptRecord) -> dict[str, Any]:
    return {
        "number": found.number,
        "started_at": found.started_at,
        "ended_at": found.ended_at,
        "state": found.state,
        "error": dict(found.error) if found.error is not None else None,
        "traceback": found.traceback,
        "until": found.until,
        "waits": [{"reason": reason, "since": since, "until": until} for reason, since, until in found.waits],
        "cost": found.spending.cost,
        "model_calls": found.spending.calls,
        "cached": dict(found.cached) if found.cached is not None else None,
        "answered_at": found.answered_at,
        "answered_by": found.answered_by,
        "forgotten": found.forgotten,
        "forgotten_by": found.forgotten_by,
    }


def _call(event: Event) -> dict[str, Any]:
    call = StepModelPayload.from_data(event.data)
    return {
        "seq": event.seq,
        "at": event.at,
        "path": event.path,
        "attempt": event.attempt,
        "model": call.model,
        "usage": call.spending.usage.to_dict(),
        "cost": call.cost,
        "latency": call.latency,
        "finish": call.finish,
        "why": call.why,
        "error": dict(call.error) if call.error is not None else None,
    }


def _answer_schema(question: Any) -> dict[str, Any] | None:
    """Return the schema of the answer to a question; None of an approval, which everybody knows."""
    if question is None or question.get("kind") != "ask":
        return None
    schema = input_schema(InputSpec.model_validate(question.get("answer") or {}))
    if question.get("choices"):
        schema["enum"] = list(question["choices"])
    return schema
