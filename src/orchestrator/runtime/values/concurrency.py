"""The concurrency key of a run, evaluated when the run is created."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.errors import EvaluationError, InputError
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.journal.records import RunLimit
from orchestrator.plan.concurrency import key_problem
from orchestrator.plan.value_text import as_text, source_of
from orchestrator.runtime.values.scope import pipeline_scope
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orchestrator.expressions import Value
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.values.inputs import Bound


def run_limit(plan: Plan, run_id: str, now: datetime, inputs: Mapping[str, Any]) -> RunLimit | None:
    """Return how many runs may be executed together with a run with these inputs, None without a limit.

    Raises:
        InputError: The key cannot be evaluated, or is not a key.
    """
    declared = plan.concurrency
    if declared is None:
        return None
    key = plan.id if declared.key is None else _evaluated(declared.key, plan, run_id, now, inputs)
    return RunLimit(key, declared.max, declared.on_full)


def concurrency_limit(plan: Plan, inputs: Bound) -> RunLimit | None:
    """Return the limit of a run that would be created now with these inputs. Raises as `run_limit` does."""
    return run_limit(plan, "", datetime.now(UTC), inputs.values)


def _evaluated(key: Value, plan: Plan, run_id: str, now: datetime, inputs: Mapping[str, Any]) -> str:
    what = f"the concurrency key `{shorten(as_text(source_of(key)))}`"
    try:
        value = key.evaluate(pipeline_scope(plan, run_id, now, inputs).scope)
    except EvaluationError as error:
        raise InputError(f"{what} cannot be evaluated: {error.message}", help=error.help) from None
    if value is None or isinstance(value, list | dict | bool):
        raise InputError(
            f"{what} is {as_text(value) if value is None or isinstance(value, bool) else 'not a text'}",
            help="change the inputs, or read one value in the template that the runs have in common",
        )
    text = to_text(value)
    problem = key_problem(text)
    if problem is not None:
        raise InputError(
            f"{what} cannot be `{shorten(text)}`: {problem}", help="change the inputs, or the key in the file"
        )
    return text
