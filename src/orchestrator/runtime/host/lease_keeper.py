"""Keeps the leases of this process's runs, brings them the commands of other processes, and admits those that wait."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.errors import LeaseLost, StoreError, StoreUnavailable
from orchestrator.runtime.host.run_queue import RunQueue

if TYPE_CHECKING:
    from orchestrator.journal import RunJournal, Store
    from orchestrator.runtime.host.execution import Execution

POLL_INTERVAL = 0.1
"""Seconds between two looks for commands."""


class LeaseKeeper:
    """One thread for all runs that a process executes with one store. It sleeps while there are none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._executions: dict[str, tuple[Execution, float]] = {}
        self._leaving: list[RunJournal] = []
        self._changed = threading.Condition()
        self._closed = False
        self._hurried = False
        self._queue = RunQueue(store)
        self._thread: threading.Thread | None = None

    def add(self, execution: Execution) -> None:
        """Watch over a run from now on."""
        with self._changed:
            self._executions[execution.run_id] = (execution, time.monotonic() + execution.lease.ttl / 3)
            self._start()

    def remove(self, execution: Execution) -> None:
        """Stop watching over a run."""
        with self._changed:
            self._executions.pop(execution.run_id, None)
            waits = self._queue.waits
        if waits:
            self.hurry()  # it may be the turn of another one

    def hurry(self) -> None:
        """Look at once for commands, and for runs whose turn it is."""
        with self._changed:
            self._hurried = True
            self._changed.notify()

    def give_back(self, journal: RunJournal) -> None:
        """Write down and release a run that had to be given up, as soon as the store can be written."""
        with self._changed:
            self._leaving.append(journal)
            self._start()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._leave()

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._watch, name="orchestrator-watch", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._executions and not self._leaving and not self._closed:
                    self._changed.wait()
                self._changed.wait_for(lambda: self._closed or self._hurried, POLL_INTERVAL)
                self._hurried = False
                if self._closed:
                    return
                watched = dict(self._executions)
            # A store that is busy or away for a moment is asked again at the next round; if it stays away, the
            # journal's own writes fail and end the runs with a reason.
            with suppress(StoreError):
                self._bring_commands(watched)
            with suppress(StoreError):
                self._queue.look(execution for execution, _ in watched.values())
            self._leave()
            now = time.monotonic()
            for execution, due in watched.values():
                if due <= now:
                    self._renew(execution)

    def _bring_commands(self, watched: dict[str, tuple[Execution, float]]) -> None:
        commands = self._store.commands(list(watched)) if watched else []
        posted = [number for number, run_id, command in commands if watched[run_id][0].post(command) is not None]
        if posted:
            self._store.acknowledge(posted)

    def _leave(self) -> None:
        for journal in self._leaving[:]:
            try:
                journal.flush(POLL_INTERVAL)
                self._store.release(journal.lease)
            except (StoreUnavailable, TimeoutError):
                continue
            except StoreError:  # another process has taken the run over
                pass
            journal.detach()
            self._leaving.remove(journal)

    def _renew(self, execution: Execution) -> None:
        began = time.monotonic()
        try:
            self._store.renew(execution.lease)
        except LeaseLost as error:
            if not execution.done:
                execution.lose(error)
            self.remove(execution)
            return
        except StoreUnavailable as error:
            if not execution.done and not execution.journal.bears(error):
                execution.lose(error)  # another process may have the run by now
                self.remove(execution)
            return
        except StoreError:
            return
        execution.journal.held_until = began + execution.lease.ttl
        with self._changed:
            if execution.run_id in self._executions:
                self._executions[execution.run_id] = (execution, time.monotonic() + execution.lease.ttl / 3)
