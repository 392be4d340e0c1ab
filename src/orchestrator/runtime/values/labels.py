"""The labels that a pipeline gives to a run, evaluated when it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import EvaluationError, InputError
from orchestrator.expressions import Constant
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.plan.labels import label_problem
from orchestrator.plan.value_text import as_text, source_of
from orchestrator.runtime.values.scope import pipeline_scope
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from typing import Any

    from orchestrator.expressions import Value
    from orchestrator.plan.model import Plan


def labels_of(plan: Plan, run_id: str, now: datetime, inputs: Mapping[str, Any]) -> list[str]:
    """Return the labels that the pipeline gives to a run with these inputs; a label that is null is left out.

    Raises:
        InputError: One cannot be evaluated, or is not a label.
    """
    if all(isinstance(label, Constant) for label in plan.labels):
        return [str(label.value) for label in plan.labels if isinstance(label, Constant)]
    try:
        scope = pipeline_scope(plan, run_id, now, inputs).scope
    except EvaluationError as error:
        raise InputError(f"the labels of the run cannot be evaluated: {error.message}", help=error.help) from None
    return list(_evaluated(plan.labels, scope))


def _evaluated(labels: tuple[Value, ...], scope: Any) -> Iterator[str]:
    for label in labels:
        what = f"the label `{shorten(as_text(source_of(label)))}`"
        try:
            value = label.evaluate(scope)
        except EvaluationError as error:
            raise InputError(f"{what} cannot be evaluated: {error.message}", help=error.help) from None
        if value is None:
            continue
        if isinstance(value, list | dict):
            raise InputError(f"{what} is not a text", help="change the inputs, or join the values in the template")
        text = to_text(value)
        problem = label_problem(text)
        if problem is not None:
            raise InputError(
                f"{what} cannot be `{shorten(text)}`: {problem}", help="change the inputs, or the label in the file"
            )
        yield text
