"""What a run keeps when its plan is edited, a step is retried, or another run is forked from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import InputError
from orchestrator.history.invalidation import paths_to_forget
from orchestrator.history.revision import Changes, compare
from orchestrator.journal.run_payloads import RunRevisedPayload
from orchestrator.paths import is_top_level
from orchestrator.plan.diff import inputs_read
from orchestrator.plan.serialization import plan_data
from orchestrator.plan.walk import walk_step
from orchestrator.runtime.host.assignment import read_recorded
from orchestrator.runtime.values.inputs import rebind
from orchestrator.runtime.values.redaction import Redactor
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.journal import NewRun, ResumeState, RunRecord, Store
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.host.assignment import Assignment
    from orchestrator.tools import Permissions


def plan_changes(
    store: Store, run_id: str, edited: Plan, given: Mapping[str, Any], *, permissions: Permissions
) -> Changes:
    """Return what a run would keep if it were resumed with the edited plan. Nothing is changed."""
    record = store.record(run_id)
    try:
        secrets = rebind(edited.inputs, record.inputs, given, permissions=permissions).secrets
    except InputError as error:
        if error.code != codes.SECRET_REQUIRED_AGAIN:
            raise
        secrets = {}  # they are needed to resume, but not to see what would happen
    redactor = Redactor(secrets, str(record.options.get("redaction", "")))
    return _compared(store, record, redactor.scrub_plan(plan_data(edited)), read_recorded(store, run_id))


def revision_of(store: Store, record: RunRecord, assignment: Assignment, retried: str | None) -> RunRevisedPayload:
    """Return what `run.revised` records: for the retry of the step at a path, or for an edited plan."""
    found = assignment.recorded
    if retried is not None:
        forget = paths_to_forget(record.run_id, record.plan, found, retried)
        settled = _counts(found.without(forget))
        return RunRevisedPayload(reason="retry", step=retried, forget=list(forget), settled=settled)
    plan, redactor = assignment.plan, assignment.redactor
    data = redactor.scrub_plan(plan_data(plan))
    forget = _compared(store, record, data, found).forget
    return RunRevisedPayload(
        reason="with",
        forget=list(forget),
        settled=_counts(found.without(forget)),
        source=plan.source_text,
        source_name=plan.source_name,
        sources=plan.sources,
        directory=str(plan.directory),
        plan=data,
        digest=plan.digest,
        steps=len(plan.steps),
        inputs=assignment.inputs.recorded(redactor),
    )


def decisions_to_repeat(record: RunRecord, new: NewRun, found: ResumeState) -> Iterator[str]:
    """Yield what a fork forgets so that people decide again: steps that ask, and read an input that has changed.

    What a person has approved for some inputs is not approved for others.
    """
    read = inputs_read(new.plan, _changed_inputs(record, new))
    for step in record.plan["steps"]:
        if step["id"] in read and step["id"] in found.steps and _asks(step, record.plan):
            yield from paths_to_forget(record.run_id, record.plan, found, step["id"])


def _asks(step: Mapping[str, Any], plan: Mapping[str, Any]) -> bool:
    inside = (visit.step for visit in walk_step(step, plan.get("pipelines", {})))
    return any(each["kind"] in ("ask", "approve") for each in (step, *inside))


def _changed_inputs(record: RunRecord, new: NewRun) -> list[str]:
    return [name for name, value in new.inputs.items() if value != record.inputs.get(name)]


def stale_steps(record: RunRecord, new: NewRun, found: ResumeState) -> Iterator[str]:
    """Yield a warning for each step that a fork took over although an input that it reads has changed."""
    for path, names in inputs_read(new.plan, _changed_inputs(record, new)).items():
        step = found.steps.get(path)
        if step is not None and step.settled:
            read = quoted_list(names, last="and")
            yield f"`{path}` keeps its result from run {record.run_id}, although it reads {read}, which changed"


def _compared(store: Store, record: RunRecord, plan: Mapping[str, Any], found: ResumeState) -> Changes:
    error = store.status(record.run_id).error or {}
    return compare(record.run_id, record.plan, plan, found, failed=str(error.get("step") or ""))


def _counts(found: ResumeState) -> dict[str, int]:
    """Count the top-level steps that have ended, by state."""
    settled = [record for path, record in found.steps.items() if is_top_level(path) and record.settled]
    return {state: sum(record.state == state for record in settled) for state in ("succeeded", "skipped", "failed")}
