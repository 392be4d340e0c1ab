"""A run that a worker is to execute: what is recorded for it, and what the worker reads of that."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from orchestrator.journal.records import RUNS_ON
from orchestrator.models.budget import Budget
from orchestrator.plan.lookup import require_shared
from orchestrator.runtime.host.assignment import new_run
from orchestrator.runtime.run.model_access import merged
from orchestrator.runtime.values.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.journal import NewRun, RunRecord
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.host.options import Options
    from orchestrator.runtime.values.inputs import Bound

_SUBMITTED_BY: Final = "submitted_by"
_BUDGET: Final = "budget"
_REFRESH: Final = "refresh"


def new_submission(
    plan: Plan,
    inputs: Bound,
    options: Options,
    *,
    origin: Mapping[str, Any],
    by: str,
    run_id: str | None = None,
) -> NewRun:
    """Return the record of a run that a worker is to execute: it has everything that the worker needs.

    A secret input that has a name in `inputs` and no value is read by the worker from its environment.
    """
    require_shared(plan, options.refresh)
    redactor = Redactor(inputs.secrets, secrets.token_hex(3))
    new = new_run(plan, inputs, redactor, options, origin, max(time.time(), options.not_before or 0.0), run_id)
    recorded = {**new.options, RUNS_ON: sorted(set(options.runs_on)), _SUBMITTED_BY: redactor.text(by)}
    if options.budget is not None:
        recorded[_BUDGET] = options.budget.to_dict()
    if options.refresh:
        recorded[_REFRESH] = sorted(options.refresh)
    marks = {
        name: redactor.mark(name) for name, spec in plan.inputs.items() if spec.secret and name not in inputs.values
    }
    return replace(new, options=recorded, inputs={**new.inputs, **marks})


def submitted_options(record: RunRecord, options: Options, *, has_begun: bool) -> Options:
    """Return the options of a submitted run for the worker that executes it: what it was submitted with.

    What has been recorded with its start is not repeated when another worker continues it.
    """
    if has_begun:
        return options
    budget = record.options.get(_BUDGET)
    given = options if budget is None else replace(options, budget=merged(options.budget, Budget(**budget)))
    return replace(given, refresh=frozenset(record.options.get(_REFRESH, ())))


def submitter_of(record: RunRecord) -> str:
    """Return who submitted a run."""
    return str(record.options.get(_SUBMITTED_BY, ""))
