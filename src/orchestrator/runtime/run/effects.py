"""Which steps have no effects, so that what follows them need not wait until their success is durable.

The promise: nothing with effects starts before everything that it depends on is durable. A step without effects may
start earlier, because nobody can see what it did: if its record is lost in a crash, it is computed again, and so is
everything that was built upon it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.plan.steps import ForEach, RepeatLoop, StepGroup, SubPipeline, Switch, ToolCall

if TYPE_CHECKING:
    from orchestrator.plan.steps import StepPlan


def has_no_effects(step: StepPlan) -> bool:
    """Whether a step only computes: a call of a tool without effects, or what collects the values of other steps.

    A judge costs money, a cached result is seen by other runs, and with `on_resume` the user wants to know of each
    attempt.
    """
    work = step.work
    if isinstance(work, ToolCall):
        if work.action.effects != "none" or step.cache is not None or step.on_resume != "rerun":
            return False
        return step.check is None or step.check.judge is None
    return isinstance(work, _COLLECTING) and step.check is None


_COLLECTING = (StepGroup, Switch, ForEach, RepeatLoop, SubPipeline)
"""What has effects in these are other steps, and those have been made durable before."""
