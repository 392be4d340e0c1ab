"""The functions: `name(...)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.expressions.builtins.builtin import Builtin, builtin
from orchestrator.expressions.builtins.times import format_time
from orchestrator.expressions.evaluation.scope import Namespace, OperationError
from orchestrator.expressions.limits import MAX_RANGE, range_count
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.expressions.types.value_types import ANY, INTEGER, OBJECT, STRING, array_of

if TYPE_CHECKING:
    from datetime import datetime

FUNCTIONS: dict[str, Builtin] = {}


@builtin(FUNCTIONS, "range", result=array_of(INTEGER), example=("{{ range(1, 4) }}", "[1, 2, 3]"), skip=0)
def _range(start: Any, stop: Any = None, step: Any = 1) -> list[int]:
    """The integers from `start` (default 0) up to but excluding `stop`; at most 100,000."""
    if stop is None:
        start, stop = 0, start
    for bound in (start, stop, step):
        if not isinstance(bound, int):
            raise OperationError(f"the arguments of `range` must be integers, not {describe_data(bound)}")
    if step == 0:
        raise OperationError("the step of a `range` cannot be 0")
    if range_count(start, stop, step) > MAX_RANGE:
        raise OperationError(f"`range` returns at most {MAX_RANGE:,} numbers")
    return list(range(start, stop, step))


@builtin(FUNCTIONS, "now", result=STRING, example=("{{ now('%Y-%m-%d') }}", "2026-02-03"))
def _now(now: datetime, format: Any = None) -> str:
    """The start time of the run as ISO 8601 text, or in a format such as `'%Y-%m-%d'`; constant within a run."""
    return now.isoformat() if format is None else format_time(now, format)


@builtin(FUNCTIONS, "dict", result=OBJECT, example=("{{ dict(a=1) }}", '{"a": 1}'), skip=0)
def _dict(**fields: Any) -> dict[str, Any]:
    """An object with these fields."""
    return fields


@builtin(
    FUNCTIONS,
    "namespace",
    result=ANY,
    example=(
        "{% set ns = namespace(n=0) %}{% for x in [1, 2] %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}",
        "3",
    ),
    skip=0,
)
def _namespace(**fields: Any) -> Namespace:
    """Named values that `{% set ns.name = ... %}` can change inside a loop."""
    return Namespace(dict(fields))


TIMED = frozenset({"now"})
"""Functions whose first argument is the start time of the run."""
