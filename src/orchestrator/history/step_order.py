"""The order in which the steps of a run are listed: that of the pipeline file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.plan.walk import inner_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SEGMENT: Final = re.compile(r"[^.\[\]]+|\[\d+")
_NOTHING: Final[Mapping[str, Any]] = {}
_UNKNOWN, _HANDLERS, _UNDO, _ERROR_HANDLERS, _FINALLY = 10**8, 10**9, 10**9 + 1, 10**9 + 2, 10**9 + 3


class StepOrder:
    """The order of a plan's steps, from the plan as data: a key to sort paths by."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._pipelines: Mapping[str, Any] = plan.get("pipelines", {})
        self._top = _numbered(plan["steps"])
        self.ids: list[str] = list(self._top)
        self._top["error_handlers"] = (_ERROR_HANDLERS, {"handlers": plan.get("error_handlers", ())})
        self._top["finally"] = (_FINALLY, {"steps": plan.get("finally", ())})
        self._inner: dict[int, dict[str, tuple[int, Mapping[str, Any]]]] = {}

    def key(self, path: str) -> tuple[int, ...]:
        """Return a sort key: a step comes before the steps inside it, an item before the next one."""
        numbers = []
        within = self._top
        step = _NOTHING
        for segment in _SEGMENT.findall(path):
            if segment.startswith("["):
                number = int(segment[1:])
                if "handlers" in step:
                    step = step["handlers"][number] if number < len(step["handlers"]) else _NOTHING
            else:
                number, step = within.get(segment, (_UNKNOWN, _NOTHING))
            numbers.append(number)
            within = self._within(step)
        return tuple(numbers)

    def _within(self, step: Mapping[str, Any]) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return the direct children of a step, by their ids."""
        known = self._inner.get(id(step))
        if known is None:
            while "step" in step:  # a loop over one step: the item is that step
                step = step["step"]
            known = _numbered(inner_steps(step, self._pipelines))
            known["on_error"] = (_HANDLERS, {"handlers": step.get("on_error", ())})
            known["undo"] = (_UNDO, {"steps": step.get("undo", ())})
            self._inner[id(step)] = known
        return known


def _numbered(steps: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, Mapping[str, Any]]]:
    return {step["id"]: (number, step) for number, step in enumerate(steps)}
