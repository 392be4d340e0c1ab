"""The runs of this process that wait for their turn: enough others with the same concurrency key are executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.journal.state.status import QueuedRun
from orchestrator.journal.store.concurrency_line import ConcurrencyLine
from orchestrator.journal.store.concurrency_store import RunRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from orchestrator.journal import Store
    from orchestrator.journal.records import Lease, RunLimit
    from orchestrator.runtime.host.execution import Execution
    from orchestrator.runtime.run.start_hold import StartHold


_NOTHING = QueuedRun("", 1)


class RunQueue:
    """Asks the store to admit runs, when they seem to be next. For one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries = store.concurrency
        self._told: dict[str, QueuedRun | None] = {}
        """What the runs that wait were told; None: they are paused, and not in line."""

    @property
    def waits(self) -> bool:
        """Whether there were runs that wait at the last look."""
        return bool(self._told)

    def look(self, executions: Iterable[Execution]) -> None:
        """Admit the runs whose turn it is, and tell the others what they wait for.

        Raises:
            StoreError: The store cannot be used now.
        """
        waiting: list[tuple[Lease, StartHold, RunLimit]] = []
        told, self._told = self._told, {}
        for execution in executions:
            hold, run_id = execution.hold, execution.run_id
            if hold is None or hold.limit is None or not hold.waits_for_turn:
                continue
            if not hold.is_paused:
                waiting.append((execution.lease, hold, hold.limit))
                if run_id in told:
                    self._told[run_id] = told[run_id]
                continue
            if told.get(run_id, _NOTHING) is not None:  # it comes back to its place in line by its age
                self._entries.withdraw(execution.lease)
            self._told[run_id] = None
        if not waiting:
            return
        keys = {limit.key for _, _, limit in waiting}
        found = self._entries.contenders(keys)
        lines = {key: ConcurrencyLine(found.get(key, ())) for key in keys}
        asking: dict[str, list[tuple[RunRequest, StartHold]]] = {}
        for lease, hold, limit in sorted(waiting, key=lambda each: each[0].key):
            line = lines[limit.key]
            if _should_ask(lease, hold, limit, line):
                asking.setdefault(limit.key, []).append((RunRequest(lease, limit, hold.has_begun), hold))
            else:
                self._tell(lease, hold, line.queued(lease.key, limit.key, limit.max))
        for some in asking.values():
            self._ask(some)

    def _ask(self, asking: Sequence[tuple[RunRequest, StartHold]]) -> None:
        """Ask the store to decide about runs with one key."""
        decisions = self._entries.ask_all([request for request, _ in asking])
        for (request, hold), decision in zip(asking, decisions, strict=True):
            if decision is None:  # the next renewal ends the execution
                continue
            if decision.queued is None:
                hold.admit()
            elif decision.refused:
                hold.refuse(decision.queued)
            else:
                self._tell(request.lease, hold, decision.queued)

    def _tell(self, lease: Lease, hold: StartHold, queued: QueuedRun) -> None:
        if self._told.get(lease.run_id) != queued:
            self._told[lease.run_id] = queued
            hold.queue(queued)
            self._store.feeds.announce(lease.key)


def _should_ask(lease: Lease, hold: StartHold, limit: RunLimit, line: ConcurrencyLine) -> bool:
    """Whether asking may change something: the run is not in line, it may be next, or others have to end for it."""
    if not line.has(lease) or line.lively(lease.key) < limit.max:
        return True
    if hold.has_begun or limit.on_full == "queue":
        return False
    return limit.on_full == "skip" or line.staying(lease.key) >= limit.max
