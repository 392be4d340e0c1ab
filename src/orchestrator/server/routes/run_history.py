"""The plan of a run, its history, its timeline, and what an edited pipeline would keep of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from fastapi import APIRouter

from orchestrator.history.chapters import RUN_EVENTS, Chapter, chapters
from orchestrator.history.step_page import describe
from orchestrator.history.timeline import estimate, last_before, timeline_data, timeline_of, worked_until
from orchestrator.journal import RunRecord
from orchestrator.language.spec.input_schema import inputs_schema
from orchestrator.language.spec.inputs import InputSpec
from orchestrator.paths import is_at_or_below, item_of, parent_of
from orchestrator.plan.diff import hyphenated_names, names_read
from orchestrator.plan.labels import reserved_beginning
from orchestrator.plan.walk import Visit, walk
from orchestrator.server.access.caller import Reader, require
from orchestrator.server.routes.parameters import PROBLEMS, RunDependency, ServiceDependency
from orchestrator.server.routes.run_steps import FirstQuery, ItemsQuery, StepPath, WithinQuery, json_response, level_of
from orchestrator.server.schemas.history import AgainView, HistoryView, PlanView, StartView, TimelineView
from orchestrator.server.schemas.steps import ChangesBody, ChangesView
from orchestrator.server.step_views import row_data, without_large

router = APIRouter(prefix="/v1/runs/{run_id}", tags=["history"], responses=PROBLEMS)

MOST_NODES: Final = 5_000
"""How many steps of a plan are listed: nested calls can multiply them."""

MOST_AGAIN: Final = 100
"""How many steps are listed that a retry runs again; all are counted."""

_JUMPS: Final = ("on_success", "on_false", "on_failure")


@router.get("/plan", response_model=PlanView)
def get_plan(run: RunDependency, caller: Reader, service: ServiceDependency) -> Any:
    """Return the steps and edges of the plan of a run, its source, and its inputs without secrets."""
    record = run.record()
    visits = list(_some(_without_turns(walk(record.plan, calls="each"))))
    specs = {name: InputSpec.model_validate(each) for name, each in record.plan.get("inputs", {}).items()}
    return {
        "run_id": run.id,
        "pipeline": record.pipeline,
        "name": record.name,
        "source_name": record.source_name,
        "source": record.source_text,
        "offered": service.catalog.name_of_run(record),
        "nodes": _nodes(visits),
        "edges": _edges(record.plan, visits),
        "complete": len(visits) <= MOST_NODES,
        "inputs": dict(record.inputs),
        "inputs_schema": inputs_schema(specs),
        "secrets": [name for name, spec in specs.items() if spec.secret and record.inputs.get(name) is not None],
        "labels": _labels(record),
    }


@router.get("/start", response_model=StartView)
def get_start(run: RunDependency, caller: Reader, service: ServiceDependency) -> Any:
    """Return what a run was started with: its pipeline, its labels, and its inputs without secrets and large values."""
    record = run.record()
    inputs, omitted = without_large(record.inputs)
    return {
        "run_id": run.id,
        "pipeline": record.pipeline,
        "offered": service.catalog.name_of_run(record),
        "labels": _labels(record),
        "inputs": inputs,
        "omitted": omitted,
    }


@router.get("/history", response_model=HistoryView)
def get_history(run: RunDependency, caller: Reader) -> Any:
    """Return when a run was started, resumed, retried and continued with an edit: by whom, and what was kept."""
    record, store = run.record(), run.backend.store
    found = store.events(run.id, 0, 10_000, paths=[""], types=RUN_EVENTS)
    forked, before = record.forked_from, partial(last_before, store, run.id)
    return {
        "run_id": run.id,
        "chapters": [_chapter(each) for each in chapters(found, before, forked=forked is not None)],
        "forked_from": None if forked is None else dict(forked),
    }


@router.get("/timeline", response_model=TimelineView)
def get_timeline(
    run: RunDependency,
    caller: Reader,
    service: ServiceDependency,
    within: WithinQuery = "",
    first: FirstQuery = 0,
    limit: ItemsQuery = 100,
) -> Any:
    """Return when the steps of one level of a run worked, and what they waited for."""
    status, now = run.status(), time.time()
    page, last_seq = level_of(service, run, within, first, limit)
    began = status.started_at or status.created_at
    level_began = began if not within else min((r.head.started_at for r in page.rows if r.head.started_at), default=0.0)
    rows = timeline_of(run.backend.store, status, page.rows, level_began)
    typical = estimate(run.backend.store, status)
    return json_response(
        {
            "run_id": run.id,
            "last_seq": last_seq,
            "within": within,
            "now": now,
            "begin": began,
            "end": worked_until(run.backend.store, status),
            "steps": [row_data(row) for row in page.rows],
            "rows": [timeline_data(row) for row in rows],
            "estimate": None if typical is None else {"seconds": typical.seconds, "runs": typical.runs},
        }
    )


@router.post("/changes", response_model=ChangesView)
def preview_changes(run: RunDependency, caller: Reader, service: ServiceDependency, body: ChangesBody) -> Any:
    """Return what a run would keep, run again and drop if it were continued with an edited pipeline, and why."""
    if body.source is not None:
        require(caller, "admin")
    edited = service.chosen(body.pipeline, body.source, body.name)
    changes = service.orchestrator.changes(run.id, edited, inputs=body.inputs or None)
    return {**changes.to_dict(), "forget": list(changes.forget)}


@router.get("/again/{path:path}", response_model=AgainView)
def preview_retry(path: StepPath, run: RunDependency, caller: Reader, service: ServiceDependency) -> Any:
    """Return what a retry of a step would run again, and what depends on it. Nothing is changed."""
    first, *others = service.orchestrator.backend.engine.dropped_by_retry(run.id, path)
    steps = sorted((each for each in others if item_of(each) is None), key=lambda each: -each.count("."))
    loops = dict.fromkeys(parent_of(each) for each in others if item_of(each) is not None)
    return {"path": first, "steps": steps[:MOST_AGAIN], "count": len(steps), "later_rounds": list(loops)}


def _labels(record: RunRecord) -> list[str]:
    return [label for label in record.labels if reserved_beginning(label) is None]


def _some(visits: Any) -> Any:
    """Yield the visits of a traversal, one more than are listed at most."""
    for number, visit in enumerate(visits):
        yield visit
        if number == MOST_NODES:
            return


def _without_turns(visits: Iterable[Visit[Mapping[str, Any]]]) -> Iterator[Visit[Mapping[str, Any]]]:
    """Yield the visits but those of what an agent may call: what it does call is known only in the run."""
    turn = ""
    for visit in visits:
        if visit.within.role == "turn":
            turn = visit.path
        if not turn or not is_at_or_below(visit.path, turn):
            yield visit


def _nodes(visits: list[Visit[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    inside: dict[str, int] = {}
    nodes = []
    for visit in visits:
        if visit.within.role == "item":  # drawn as the loop itself
            continue
        parent = _parent(visit)
        inside[parent] = inside.get(parent, 0) + 1
        label = visit.within.label
        nodes.append(
            {
                "path": visit.path,
                "parent": parent,
                "id": visit.step["id"],
                "name": str(visit.step.get("name") or ""),
                "kind": str(visit.step["kind"]),
                "what": describe(visit.step.get("step") or visit.step),
                "condition": str(visit.step.get("condition") or ""),
                "section": label if visit.within.role in ("case", "default") else visit.within.segment.lstrip("."),
            }
        )
    return [{**node, "inside": inside.get(node["path"], 0)} for node in nodes]


def _parent(visit: Visit[Mapping[str, Any]]) -> str:
    """Return the path of the step that contains a step; loops without the brackets of their items."""
    around = visit.path.rpartition(".")[0] if "." in visit.path else ""
    while around.endswith(("]", "on_error", ".undo", "error_handlers", "finally")):
        around = around.rpartition("[")[0] if around.endswith("]") else around.rpartition(".")[0]
    return around


def _edges(plan: Mapping[str, Any], visits: list[Visit[Mapping[str, Any]]]) -> list[dict[str, str]]:
    hyphenated = hyphenated_names(plan)
    edges = []
    for visit in visits:
        step, path = visit.step, visit.path
        if visit.within.role == "item":
            continue
        around = path.removesuffix(str(step["id"]))
        read = names_read(step, hyphenated) if step["dependencies"] else set()
        for other in step["dependencies"]:
            kind = "value" if other in read else "order"
            edges.append({"source": f"{around}{other}", "target": path, "kind": kind})
        for jump in _JUMPS:
            target = step.get(jump)
            target = target.get("target") if isinstance(target, Mapping) else target
            if target:
                edges.append({"source": path, "target": f"{around}{target}", "kind": jump})
    jumps = {(edge["source"], edge["target"]) for edge in edges if edge["kind"] in _JUMPS}
    return [edge for edge in edges if edge["kind"] != "order" or (edge["source"], edge["target"]) not in jumps]


def _chapter(found: Chapter) -> dict[str, Any]:
    return {
        "seq": found.seq,
        "at": found.at,
        "kind": found.kind,
        "by": found.by,
        "step": found.step,
        "again": list(found.again),
        "kept": None if found.kept is None else dict(found.kept),
        "until": found.until,
        "state": found.state,
        "error": None if found.error is None else dict(found.error),
        "reason": found.reason,
        "ended_by": found.ended_by,
        "pauses": [
            {"at": each.at, "until": each.until, "by": each.by, "resumed_by": each.resumed_by} for each in found.pauses
        ],
    }
