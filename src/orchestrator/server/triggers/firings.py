"""Starting the run of a firing, once, and the runs that a trigger has started before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.journal.events import RunState
from orchestrator.server.adoption import HOSTED

if TYPE_CHECKING:
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.api.run import Run
    from orchestrator.journal.store.trigger_store import Firing
    from orchestrator.server.service import Service
    from orchestrator.server.triggers.offered_trigger import OfferedTrigger

_ACTIVE: Final[tuple[RunState, ...]] = ("queued", "running", "paused", "waiting", "interrupted")
_MOST_ACTIVE: Final = 500

BY_SCHEDULE: Final = "its schedule"
"""Who makes a trigger fire, if its schedule does."""


def start_run(service: Service, trigger: OfferedTrigger, firing: Firing) -> Run:
    """Start the run of a firing, or return it if it was started, and record that.

    Raises:
        InputError, EvaluationError: The inputs cannot be evaluated, or do not fit.
        RequestError: ORC913, too many runs wait for their turn before it.
    """
    inputs = firing.inputs if firing.inputs is not None else trigger.inputs(firing.instant)
    service.refuse_full_line(trigger.pipeline.limit_of(inputs))
    pipeline = trigger.pipeline.with_options(
        labels=[trigger.label, f"instant:{trigger.time(firing.instant)}", HOSTED],
        by=f"trigger {trigger.id}, by {firing.by}",
    )
    run = pipeline.start_as(firing.run_id, inputs)
    service.orchestrator.backend.store.triggers.settle(firing, "started")
    return run


def active_runs(orchestrator: Orchestrator, trigger: OfferedTrigger, firing: Firing) -> list[str]:
    """Return the ids of the runs of a trigger that have not ended, except that of a firing."""
    return [
        status.run_id
        for state in _ACTIVE
        for status in orchestrator.list_runs(state=state, labels=[trigger.label], limit=_MOST_ACTIVE)
        if status.run_id != firing.run_id
    ]
