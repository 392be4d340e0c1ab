"""Fires schedules while the server runs. Of all servers on a store, the one that holds a trigger's lease fires it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool

from orchestrator.errors import OrchestratorError, RequestError, StoreError
from orchestrator.journal import Owner
from orchestrator.journal.store.trigger_store import Firing
from orchestrator.runtime.ids import new_run_id
from orchestrator.server.triggers.firings import BY_SCHEDULE, active_runs, start_run
from orchestrator.server.triggers.occasions import next_start, occasions
from orchestrator.server.triggers.offered_trigger import offered_triggers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.journal.store.trigger_store import TriggerLease, TriggerState
    from orchestrator.server.service import Service
    from orchestrator.server.triggers.offered_trigger import OfferedTrigger

LONGEST_PAUSE: Final = 5.0
"""Seconds between two looks: files change, and other servers end."""

WAITING_PAUSE: Final = 1.0
"""Seconds between two looks while a firing waits for the end of a run, or for a free place."""

_MISSED: Final = "no server fired at its time, and it is not made up for"

_log = logging.getLogger(__name__)


class TriggerLoop:
    """Looks for triggers that are due, and starts their runs.

    A firing is recorded with the id of its run before the run is started. If the server ends in between, the next one
    that takes the lease of the trigger finds the firing, and starts the run with that id unless it was started.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._owner = Owner.current()
        self._wakes = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def keep_firing(self) -> None:
        """Fire what is due, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._wakes.clear()
            pause = LONGEST_PAUSE
            try:
                pause = await run_in_threadpool(self.fire_due)
            except OrchestratorError as error:
                _log.warning("triggers: %s [%s]", error.message, error.code)
            except Exception:  # the others still have to fire
                _log.exception("triggers: internal error")
            try:
                await asyncio.wait_for(self._wakes.wait(), pause)
            except TimeoutError:
                continue

    def wake(self) -> None:
        """Look again at once. May be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wakes.set)

    def fire_due(self) -> float:
        """Fire what is due now, and return how many seconds later to look again."""
        store = self._service.orchestrator.backend.store.triggers
        offered = offered_triggers(self._service.catalog)
        states = store.register({id: trigger.definition for id, trigger in offered.items()}) if offered else {}
        waiting = {firing.trigger for firing in store.due()}
        for id, trigger in offered.items():
            if self._service.draining.is_set():
                break
            if id in waiting or _is_due(trigger, states[id]):
                self._fire(trigger)
        if any(firing.trigger in offered for firing in store.due()):
            return WAITING_PAUSE
        return _pause(offered, states)

    def _fire(self, trigger: OfferedTrigger) -> None:
        store = self._service.orchestrator.backend.store.triggers
        lease = store.acquire(trigger.id, self._owner)
        if lease is None:
            return
        try:
            self._record_due(trigger, lease)
            self._start_due(trigger)
        finally:
            store.release(lease)

    def _record_due(self, trigger: OfferedTrigger, lease: TriggerLease) -> None:
        """Record a firing for each instant of the schedule that is due."""
        now, schedule, state = time.time(), trigger.schedule, lease.state
        if schedule is None or state.paused_at is not None or state.definition != trigger.definition:
            return
        found = occasions(trigger.id, schedule, state.handled_until, now)
        if found.handled_until is None:
            return
        new = [_firing(trigger, instant, now) for instant in found.due]
        if found.missed is not None:
            new.insert(0, replace(_firing(trigger, found.missed, now), state="skipped", reason=_MISSED))
        self._service.orchestrator.backend.store.triggers.record(lease, found.handled_until, new)

    def _start_due(self, trigger: OfferedTrigger) -> None:
        """Start the runs of the firings that are due, as far as the overlap policy lets them start now."""
        store = self._service.orchestrator.backend.store.triggers
        due = store.due(trigger.id)
        policy = trigger.schedule.overlap if trigger.schedule is not None else None
        scheduled = [firing for firing in due if firing.by == BY_SCHEDULE]
        for firing in due:
            if self._service.draining.is_set() or self._service.is_full():
                return
            if firing.by == BY_SCHEDULE and policy is not None and not self._may_start(trigger, firing, scheduled[-1]):
                continue
            try:
                start_run(self._service, trigger, firing)
            except StoreError:
                raise
            except RequestError:  # too many wait for their turn before it: it is due until there is room
                return
            except OrchestratorError as error:
                _log.warning("trigger %s failed: %s [%s]", trigger.id, error.message, error.code)
                store.settle(firing, "failed", f"{error.message} [{error.code}]")

    def _may_start(self, trigger: OfferedTrigger, firing: Firing, newest: Firing) -> bool:
        """Whether a firing of a schedule can start now, for the runs that its trigger started before."""
        orchestrator = self._service.orchestrator
        store, policy = orchestrator.backend.store.triggers, trigger.schedule and trigger.schedule.overlap
        if policy == "cancel" and firing is not newest:
            store.settle(firing, "skipped", "a later firing replaced it")
            return False
        active = active_runs(orchestrator, trigger, firing)
        if not active:
            return True
        if policy == "skip":
            store.settle(firing, "skipped", f"run {active[0]} had not ended")
        elif policy == "cancel":
            for run_id in active:
                orchestrator.get_run(run_id).cancel(
                    reason=f"trigger {trigger.id} fired again", by=f"trigger {trigger.id}"
                )
        return False


def _firing(trigger: OfferedTrigger, instant: float, now: float) -> Firing:
    return Firing(trigger.id, f"instant {instant:.0f}", instant, now, BY_SCHEDULE, new_run_id())


def _is_due(trigger: OfferedTrigger, state: TriggerState) -> bool:
    if trigger.schedule is None or state.paused_at is not None:
        return False
    start = next_start(trigger.id, trigger.schedule, state.handled_until)
    return start is not None and start <= time.time()


def _pause(offered: Mapping[str, OfferedTrigger], states: Mapping[str, TriggerState]) -> float:
    """Return how many seconds to wait for the next start of a schedule."""
    now, pause = time.time(), LONGEST_PAUSE
    for id, trigger in offered.items():
        if trigger.schedule is not None and states[id].paused_at is None:
            start = next_start(trigger.id, trigger.schedule, now)
            if start is not None:
                pause = min(pause, start - now)
    return max(pause, 0.01)
