"""Continuing the runs of servers that have ended: of this one before it was restarted, and of others on the store."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from orchestrator.errors import OrchestratorError, RunOwned
from orchestrator.journal.events import RunState
from orchestrator.journal.records import RunLimit
from orchestrator.runtime.values.reminders import next_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.journal import RunStatus
    from orchestrator.server.service import Service

HOSTED: Final = "orchestrator:hosted"
"""The label of runs that belong to servers: any of them continues such a run when its owner has ended."""

PAUSE_SECONDS: Final = 10.0
_AT_ONCE: Final = 500
_PAGES: Final[Mapping[RunState, int]] = {"interrupted": 100, "waiting": 1}
"""The states of runs that may be without an owner, and how many pages of them are read in one look."""

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
        """Resume the runs that have no owner, the oldest first, as they may wait for each other; return how many."""
        service, resumed = self._service, 0
        for run_id in sorted(self._abandoned()):  # ids are ordered by time
            if service.draining.is_set() or service.is_full():
                break
            resumed += self._resume(run_id)
        return resumed

    def _abandoned(self) -> Iterator[str]:
        """Yield the runs in which something would happen if a process executed them.

        Those that were interrupted are read page by page, and few but after a crash. Of those that wait, which may be
        many at any time, the newest ones are looked at.
        """
        for state, pages in _PAGES.items():
            last: str | None = None
            for _ in range(pages):
                page = self._service.orchestrator.list_runs(state=state, labels=[HOSTED], limit=_AT_ONCE, before=last)
                yield from (status.run_id for status in page if self._is_abandoned(status))
                if len(page) < _AT_ONCE:
                    break
                last = page[-1].run_id

    def _is_abandoned(self, status: RunStatus) -> bool:
        """Whether something would happen in a run if a process executed it."""
        if status.owner is not None or status.run_id in self._refused:
            return False
        return status.state == "interrupted" or any(
            step.waiting_until is not None or step.answered or next_at(step.question or {}) is not None
            for step in status.active
        )

    def _resume(self, run_id: str) -> bool:
        orchestrator = self._service.orchestrator
        try:
            limit = RunLimit.of(orchestrator.get_run(run_id).record().options)
            if self._service.has_full_line(limit):
                return False  # a later look finds it again
            orchestrator.check_resumable(run_id)  # without holding the run, which a person may be resuming
            orchestrator.resume(run_id, by="the server, after a restart")
        except RunOwned:
            return False  # another server was faster
        except OrchestratorError as error:
            self._refused.add(run_id)
            _log.warning("run %s is not continued: %s [%s]", run_id, error.message, error.code)
            return False
        return True
