"""Continuing the runs of servers that have ended: of this one before it was restarted, and of others on the store."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from orchestrator.errors import OrchestratorError, RunOwned
from orchestrator.journal.events import RunState

if TYPE_CHECKING:
    from orchestrator.journal import RunStatus
    from orchestrator.server.service import Service

HOSTED: Final = "orchestrator:hosted"
"""The label of runs that belong to servers: any of them continues such a run when its owner has ended."""

PAUSE_SECONDS: Final = 10.0
_AT_ONCE: Final = 500
_STATES: Final[tuple[RunState, ...]] = ("interrupted", "waiting")

_log = logging.getLogger(__name__)


class Adoption:
    """Looks for runs without an owner, and resumes them here. A run that cannot be resumed is left to a person."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._refused: set[str] = set()

    async def keep_looking(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            await self.look_now()

    async def look_now(self) -> None:
        """Look once. If the store is away, the next look finds the runs."""
        try:
            await run_in_threadpool(self.look)
        except OrchestratorError as error:
            _log.warning("%s [%s]", error.message, error.code)

    def look(self) -> int:
        """Resume the runs that have no owner; return how many."""
        service, resumed = self._service, 0
        for state in _STATES:
            for status in service.orchestrator.list_runs(state=state, labels=[HOSTED], limit=_AT_ONCE):
                if service.draining.is_set() or service.is_full:
                    return resumed
                if self._is_abandoned(status):
                    resumed += self._resume(status.run_id)
        return resumed

    def _is_abandoned(self, status: RunStatus) -> bool:
        """Whether something would happen in a run if a process executed it."""
        if status.owner is not None or status.run_id in self._refused:
            return False
        return status.state == "interrupted" or any(
            step.waiting_until is not None or step.answered for step in status.active
        )

    def _resume(self, run_id: str) -> bool:
        orchestrator = self._service.orchestrator
        try:
            orchestrator.check_resumable(run_id)  # without holding the run, which a person may be resuming
            orchestrator.resume(run_id, by="the server, after a restart")
        except RunOwned:
            return False  # another server was faster
        except OrchestratorError as error:
            self._refused.add(run_id)
            _log.warning("run %s is not continued: %s [%s]", run_id, error.message, error.code)
            return False
        return True
