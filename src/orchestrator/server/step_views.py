"""Steps of a run as the API returns them: bounded, without secrets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec

from orchestrator.plan.walk import called_pipeline

if TYPE_CHECKING:
    from orchestrator.api.run import Run
    from orchestrator.history.step_page import StepRow
    from orchestrator.history.step_results import StepResults

LARGEST_OUTPUT: Final = 200_000
"""Bytes of JSON of an output that is returned with its step."""

LARGEST_VALUE: Final = 50_000
"""Bytes of JSON of one input of a step."""

_KNOWN_RUNS: Final = 16
_STRUCTURE: Final = frozenset({"steps", "step", "cases", "default", "on_error", "undo"})


class StepsOfRuns:
    """The steps of the runs that were read last: readers of one state of a run share what was read of it."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], StepResults] = OrderedDict()
        self._lock = Lock()

    def of(self, run: Run) -> StepResults:
        """Return the steps of a run as they are now."""
        steps = run.snapshot().steps
        key = (run.id, steps.last_seq)
        with self._lock:
            known = self._known.setdefault(key, steps)
            self._known.move_to_end(key)
            while len(self._known) > _KNOWN_RUNS:
                self._known.popitem(last=False)
        return known


def row_data(row: StepRow) -> dict[str, Any]:
    """Return a row as JSON data."""
    head = row.head
    return {
        "path": head.path,
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "what": row.what,
        "condition": row.condition,
        "depends_on": list(row.depends_on),
        "state": head.state,
        "attempts": head.attempts,
        "started_at": head.started_at,
        "ended_at": head.ended_at,
        "duration": head.duration,
        "error": dict(head.error) if head.error is not None else None,
        "reason": head.reason,
        "until": head.until,
        "asks": head.question is not None,
        "warnings": len(head.warnings),
        "case": None if head.case is None else str(head.case),
        "cached": head.cached is not None,
        "run": head.run,
        "inside": row.inside,
        "counts": dict(row.counts),
        "failed_items": list(row.failed_items),
        **head.spending.to_dict(),
    }


def definition_data(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition of a step without the steps inside it."""
    is_call = called_pipeline(definition) is not None
    kept = {name for name in definition if is_call or name not in _STRUCTURE or definition.get("kind") == "ask"}
    return {name: definition[name] for name in definition if name in kept and name != "agent"}


def size_of(value: Any) -> int:
    """Return how many bytes of JSON a value has."""
    return len(msgspec.json.encode(value))


def without_large(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the values that are small enough to be shown, and the sizes of the others."""
    sizes = {name: size_of(value) for name, value in values.items()}
    return (
        {name: value for name, value in values.items() if sizes[name] <= LARGEST_VALUE},
        {name: size for name, size in sizes.items() if size > LARGEST_VALUE},
    )
