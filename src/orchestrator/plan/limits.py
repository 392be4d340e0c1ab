"""The limits of a step that are computed when it begins: those that the file gives as templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.text.durations import FORMS, parse_duration
from orchestrator.text.words import describe_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.plan.steps import StepPlan

LimitKind = Literal["count", "share", "duration"]


class Limit(Struct, frozen=True):
    """A key of a step that limits it. `path` is where it stands in the step, `on_loop` whether it limits the loop.

    The other limits of a loop with an action of its own are those of the call for each item, and can read the item.
    """

    path: tuple[str, ...]
    kind: LimitKind
    on_loop: bool = False

    @property
    def name(self) -> str:
        """The name in a plan and in events: `retry.max_attempts`."""
        return ".".join(self.path)


LIMITS: Final[Mapping[str, Limit]] = {
    each.name: each
    for each in (
        Limit(("max_iterations",), "count", on_loop=True),
        Limit(("max_parallel",), "count", on_loop=True),
        Limit(("min_success",), "share", on_loop=True),
        Limit(("timeout",), "duration"),
        Limit(("retry", "max_attempts"), "count"),
        Limit(("retry", "delay"), "duration"),
    )
}
"""The limits that can be computed, by name."""

FORMS_OF: Final[Mapping[LimitKind, str]] = {
    "count": "an integer of at least 1",
    "share": "a number from 0 to 1",
    "duration": f"a duration: {FORMS}",
}
"""What a limit of each kind must be."""


def limit_value(name: str, value: Any) -> float:
    """Return a computed limit as a number: a duration in seconds.

    Raises:
        ValueError: It is of another type, or out of range.
    """
    return _READ[LIMITS[name].kind](value)


def _count(value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 1:
        raise ValueError(describe_value(value))
    return value


def _share(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError(describe_value(value))
    return float(value)


def _duration(value: Any) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{describe_value(value)}: {error}") from error


_READ: Final[Mapping[LimitKind, Callable[[Any], float]]] = {"count": _count, "share": _share, "duration": _duration}


def with_limits(step: StepPlan, limits: Mapping[str, Any]) -> StepPlan:
    """Return a step with these numbers as its limits."""
    retry = {name.removeprefix("retry."): limit for name, limit in limits.items() if name.startswith("retry.")}
    work = {name: limit for name, limit in limits.items() if LIMITS[name].on_loop}
    return replace(
        step,
        work=replace(step.work, **work) if work else step.work,
        retry=replace(step.retry, **retry) if retry else step.retry,
        timeout=limits.get("timeout", step.timeout),
    )
