"""What people see of a trigger and do with it: its next instants and last firings; pausing, resuming and firing it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator.journal.store.trigger_store import Firing
from orchestrator.language.values.cron import next_instants
from orchestrator.runtime.ids import new_run_id
from orchestrator.server.triggers.signatures import webhook_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.journal.store.trigger_store import TriggerState, TriggerStore
    from orchestrator.server.triggers.offered_trigger import OfferedTrigger

SHOWN_INSTANTS: Final = 5
SHOWN_FIRINGS: Final = 10
LISTED_FIRINGS: Final = 1
"""How many firings are shown with one trigger, and with each in a list."""


def trigger_data(store: TriggerStore, trigger: OfferedTrigger, state: TriggerState, *, firings: int) -> dict[str, Any]:
    """Return a trigger as JSON data, with its last firings."""
    schedule = trigger.schedule
    coming = []
    if schedule is not None and state.paused_at is None:
        coming = next_instants(schedule.cron, schedule.timezone, time.time(), SHOWN_INSTANTS)
    hook = trigger.webhook
    return {
        "id": trigger.id,
        "pipeline": trigger.id.rpartition("/")[0],
        "name": trigger.plan.name,
        "kind": "webhook" if schedule is None else "schedule",
        "description": trigger.plan.description,
        "declaration": trigger.plan.to_dict(),
        "paused_at": state.paused_at,
        "paused_by": state.paused_by,
        "next": [moment.timestamp() for moment in coming],
        "ready": hook is None or bool(webhook_secret(hook)),
        "firings": [firing_data(firing) for firing in store.last(trigger.id, firings)],
    }


def firing_data(firing: Firing) -> dict[str, Any]:
    """Return a firing as JSON data, without its inputs."""
    shown = ("run_id", "state", "reason", "instant", "created_at", "by")
    return {name: getattr(firing, name) for name in shown}


def fire_trigger(
    store: TriggerStore, trigger: OfferedTrigger, *, by: str, inputs: Mapping[str, Any] | None = None
) -> Firing:
    """Record a firing that a person commands, which the next free server starts, whatever else runs.

    Raises:
        InputError, EvaluationError: The inputs do not fit.
    """
    now, run_id = time.time(), new_run_id()
    own = trigger.inputs(now) if trigger.schedule is not None else {}
    given = {**own, **(inputs or {})}
    trigger.pipeline.bind(given)
    return store.claim(Firing(trigger.id, f"command {run_id}", now, now, by, run_id, inputs=given))
