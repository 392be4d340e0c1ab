"""What the expressions of a run can read: inputs, variables, the run itself, and each step as soon as it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import EvaluationError
from orchestrator.expressions import Entity, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from orchestrator.compiler.plan import Plan, StepPlan


_NOT_GIVEN = Entity(None, {}, null_fields=True)
"""An optional input without a value reads as a skipped step does: null, and missing for `default` and `is defined`."""


class RunScope:
    """The names of one run. They only grow: what a step reads has ended before it starts, so one scope serves all."""

    def __init__(self, plan: Plan, run_id: str, now: datetime, inputs: Mapping[str, Any]) -> None:
        """Bind the inputs and evaluate the variables.

        Raises:
            EvaluationError: A variable cannot be evaluated with these inputs.
        """
        inputs = {name: _NOT_GIVEN if value is None else value for name, value in inputs.items()}
        variables: dict[str, Any] = {}
        self._steps: dict[str, Entity] = {}
        self._names: dict[str, Any] = {
            **inputs,
            "inputs": inputs,
            "variables": variables,
            "steps": self._steps,
            "run": {"id": run_id, "started_at": now.isoformat()},
            "pipeline": {"id": plan.id, "name": plan.name, "version": plan.version},
        }
        self.scope = Scope(self._names, now)
        for name, value in plan.variables.items():
            try:
                variables[name] = self._names[name] = value.evaluate(self.scope)
            except EvaluationError as error:
                error.message = f"variable `{name}`: {error.message}"
                raise

    def succeeded(self, step: StepPlan, result: Any, *, attempts: int, duration: float) -> None:
        """Enter a step's result."""
        value, fields = result, {}
        primary = step.work.action.primary
        if primary is not None and isinstance(result, dict):
            value, fields = result.get(primary), result
        self._enter(step, value, fields, _outcome("succeeded", result, None, attempts, duration))

    def failed(self, step: StepPlan, value: Any, error: Mapping[str, Any], *, attempts: int, duration: float) -> None:
        """Enter a failed step that the run goes on after; `value` is its fallback, or null."""
        known = {key: error.get(key) for key in ("code", "message", "type", "attempt")}
        self._enter(step, value, {}, _outcome("failed", value, known, attempts, duration), null_fields=True)

    def skipped(self, step: StepPlan) -> None:
        """Enter a step that was skipped: null, and every field of it is null."""
        self._enter(step, None, {}, _outcome("skipped", None, None, 0, 0.0), null_fields=True)

    def _enter(
        self,
        step: StepPlan,
        value: Any,
        fields: Mapping[str, Any],
        outcome: Mapping[str, Any],
        *,
        null_fields: bool = False,
    ) -> None:
        attributes = {**fields, **outcome} if fields else outcome
        self._names[step.id] = self._steps[step.id] = Entity(value, attributes, null_fields)


def _outcome(
    status: str, result: Any, error: Mapping[str, Any] | None, attempts: int, duration: float
) -> dict[str, Any]:
    return {
        "result": result,
        "output": result,
        "outputs": result,
        "status": status,
        "error": error,
        "success": status == "succeeded",
        "attempts": attempts,
        "duration": duration,
    }


def copy_of(value: Any) -> Any:
    """Copy the lists and objects of JSON data, so that a tool that changes its arguments changes nothing else."""
    if isinstance(value, dict):
        return {key: copy_of(item) if isinstance(item, dict | list) else item for key, item in value.items()}
    if isinstance(value, list):
        return [copy_of(item) if isinstance(item, dict | list) else item for item in value]
    return value
