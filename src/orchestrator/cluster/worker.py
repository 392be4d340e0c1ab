"""One worker: it takes submitted runs from the store, executes some of them at once, and gives back those that wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.api.submission import checked_labels
from orchestrator.cluster.worker_kind import kind_of
from orchestrator.distribution import VERSION
from orchestrator.errors import ConfigurationError, LeaseLost, OrchestratorError, RunError, StoreError
from orchestrator.journal import Owner
from orchestrator.journal.retry import is_passing
from orchestrator.journal.worker_records import MOST_WORKER_LABELS, REPORT_SECONDS, WorkerStatus
from orchestrator.remedies import Resume, ShowRun
from orchestrator.text.words import plural, quoted_list

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.journal import Lease, RunStatus, Store
    from orchestrator.journal.feeds.store_watch import StoreWatch
    from orchestrator.journal.store.submissions import ClaimedRun
    from orchestrator.runtime import Execution

T = TypeVar("T")

MOST_TAKEOVERS: Final = 5
"""How many workers may end while they execute a run, one after the other, before the run is ended as failed."""

MOST_HELD: Final = 1_000
"""How many runs that wait a worker holds, for a time or their turn; those that wait for people are given back."""

POLL_SECONDS: Final = 1.0
"""Seconds between two looks at the store while nothing is reported."""

_PAUSE_SECONDS: Final = 0.02
_log = logging.getLogger(__name__)


class Worker:
    """Executes submitted runs with the tools and permissions of an orchestrator, until it is stopped.

    Runs are executed on the orchestrator's own event loop, so that a tool that blocks it does not keep the worker from
    reporting itself.
    """

    def __init__(
        self,
        orchestrator: Orchestrator,
        *,
        concurrency: int = 4,
        labels: Iterable[str] = (),
        drain: float = 30.0,
        burst: bool = False,
        told: Callable[[str, str], None] = lambda run_id, what: None,
    ) -> None:
        """Execute at most `concurrency` runs at once, of those that demand no labels but these.

        When it is stopped, it waits `drain` seconds for its runs. In a `burst` it ends by itself when there is nothing
        to execute. `told` is called with what happens to each run.

        Raises:
            ConfigurationError: There are too many labels, or the tools cannot be loaded.
        """
        self._backend = orchestrator.backend
        self._backend.require_tools()
        self._labels = checked_labels(labels)
        if len(self._labels) > MOST_WORKER_LABELS:
            raise ConfigurationError(
                f"a worker can have {MOST_WORKER_LABELS} labels, not {len(self._labels)}",
                help="start several workers with some of the labels each",
            )
        self._concurrency = concurrency
        self._drain = drain
        self._burst = burst
        self._told = told
        self._owner = Owner.current("worker")
        name = f"{socket.gethostname()}:{os.getpid()}"
        self._kind = kind_of(orchestrator)
        self.status = WorkerStatus(secrets.token_hex(8), name, self._kind, VERSION, self._labels, concurrency)
        """What the worker reports of itself."""
        self._executions: dict[str, Execution] = {}
        self._watched: dict[str, object] = {}
        self._kept_until: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._stopping = False
        self._hurried = False

    @property
    def _store(self) -> Store:
        return self._backend.store

    def stop(self) -> None:
        """Take no further runs; end when those that are executed have ended, or are given back. For its event loop.

        Called again, it gives them back at once.
        """
        self._hurried = self._stopping
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Take and execute runs until the worker is stopped.

        Raises:
            StoreError: The store cannot be used at the beginning.
        """
        self._loop = asyncio.get_running_loop()
        await self._report()
        reporting = asyncio.create_task(self._keep_reporting())
        watch = self._store.feeds.watch()
        try:
            while not self._stopping:
                self._changed.clear()
                took = await self._look()
                self._stopping = self._stopping or (self._burst and not took and not self._executions)
                if not took and not self._stopping:
                    await self._wait(watch)
            await self._end()
        finally:
            reporting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reporting
            with contextlib.suppress(StoreError):
                await asyncio.to_thread(self._store.workers.leave, self.status.id)

    # --- one look

    async def _look(self) -> bool:
        """Give back runs that wait, and take others; return whether there may be more to take."""
        try:
            await self._give_back_waiting()
            free = min(self._concurrency - self._busy, MOST_HELD - len(self._executions))
            if free <= 0:
                return False
            claimed = await asyncio.to_thread(
                self._store.submissions.claim, self._owner, labels=self._labels, kind=self._kind, limit=free
            )
        except StoreError as error:
            _log.warning("%s [%s]", error.message, error.code)
            return False
        except Exception:  # nothing that is wrong with one look ends the worker
            _log.exception("the worker could not look for runs")
            return False
        for each in claimed:
            await self._begin(each)
        return len(claimed) == free

    @property
    def _busy(self) -> int:
        """How many of the runs work, or may in a moment."""
        return sum(_is_busy(execution) for execution in self._executions.values())

    async def _begin(self, claimed: ClaimedRun) -> None:
        lease, engine = claimed.lease, self._backend.engine
        try:
            if claimed.takeovers > MOST_TAKEOVERS:
                status = await asyncio.to_thread(self._store.status, lease.run_id)
                await asyncio.to_thread(engine.park, lease, _too_many_takeovers(status, claimed.takeovers))
                self._told(lease.run_id, f"ended as failed: {plural(claimed.takeovers, 'worker')} ended with it")
                return
            execution = await self._on_runs(engine.take(lease, self._backend.recompile, self._backend.options))
        except LeaseLost:
            return
        except StoreError as error:  # it is released, or its lease expires
            if is_passing(error):
                _log.warning("run %s: %s [%s]", lease.run_id, error.message, error.code)
            else:  # such as a damaged record
                await self._refuse(lease, f"{error.message} [{error.code}]")
        except OrchestratorError as error:
            await self._refuse(lease, f"{error.message} [{error.code}]")
        except Exception as error:
            _log.exception("run %s cannot be executed", lease.run_id)
            await self._refuse(lease, f"internal error: {type(error).__name__}: {error}")
        else:
            self._executions[lease.run_id] = execution
            execution.left.add_done_callback(self._notify)
            self._told(lease.run_id, "taken" if not claimed.takeovers else "taken over from a worker that is gone")

    async def _refuse(self, lease: Lease, reason: str) -> None:
        """Leave a run to workers of another kind, and say why."""
        _log.warning("run %s is left to other workers: %s", lease.run_id, reason)
        with contextlib.suppress(StoreError):
            await asyncio.to_thread(self._store.release, lease)  # unless that has happened
            await asyncio.to_thread(
                self._store.submissions.refuse, lease, kind=self._kind, worker=self.status.name, reason=reason
            )
        self._told(lease.run_id, f"left to other workers: {reason}")

    async def _give_back_waiting(self) -> None:
        """Forget the runs that have ended, and give back those that only wait for a person.

        One with a concurrency key is held, as it would lose its turn.
        """
        for run_id, execution in list(self._executions.items()):
            if execution.done:
                del self._executions[run_id]
                self._watched.pop(run_id, None)
                self._kept_until.pop(run_id, None)
                self._told(run_id, await asyncio.to_thread(self._state_of, run_id))
            elif execution.is_limited or not execution.resting.done():
                self._watch_rest(execution)
            elif time.monotonic() >= self._kept_until.get(run_id, 0.0):
                await self._give_back(execution)

    async def _give_back(self, execution: Execution) -> None:
        status = await asyncio.to_thread(execution.status)
        if status.state != "waiting":
            return
        submissions = self._store.submissions
        if not await asyncio.to_thread(submissions.sleep, execution.lease):
            self._kept_until[execution.run_id] = time.monotonic() + POLL_SECONDS  # a command is on its way
            return
        leaves = execution.leave_if_resting("its worker has given it back while it waits")
        if not await asyncio.wrap_future(leaves):
            await asyncio.to_thread(submissions.stay, execution.lease)

    def _state_of(self, run_id: str) -> str:
        try:
            return self._store.status(run_id).state
        except OrchestratorError:
            return "left"

    # --- waiting

    async def _wait(self, watch: StoreWatch) -> None:
        """Wait until something happens that may give the worker something to do."""
        noticed = asyncio.create_task(self._noticed(watch))
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({noticed, changed}, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (noticed, changed):
                task.cancel()
            await asyncio.gather(noticed, changed, return_exceptions=True)

    async def _noticed(self, watch: StoreWatch) -> None:
        """Return when runs that are not executed here have changed."""
        while True:
            await watch.wait_async(POLL_SECONDS)
            keys, unsure = watch.take()
            if unsure or keys.difference(each.lease.key for each in self._executions.values()):
                await asyncio.sleep(_PAUSE_SECONDS)  # several runs may be submitted at a time
                return

    def _watch_rest(self, execution: Execution) -> None:
        """Have the worker look when a run rests: something else may be executed meanwhile."""
        resting = execution.resting
        if self._watched.get(execution.run_id) is not resting:
            self._watched[execution.run_id] = resting
            resting.add_done_callback(self._notify)

    def _notify(self, _: object) -> None:
        with contextlib.suppress(RuntimeError):  # the worker's loop has ended
            self._loop.call_soon_threadsafe(self._changed.set)

    # --- reports and the end

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            try:
                await self._report()
            except StoreError as error:
                _log.warning("%s [%s]", error.message, error.code)

    async def _report(self) -> None:
        busy = self._busy
        self.status = replace(
            self.status, executing=busy, waiting=len(self._executions) - busy, draining=self._stopping
        )
        await asyncio.to_thread(self._store.workers.report, self.status)

    async def _end(self) -> None:
        """Wait for the runs that work, and give back the others."""
        with contextlib.suppress(StoreError):
            await self._report()
        deadline = time.monotonic() + self._drain
        while True:
            for execution in list(self._executions.values()):
                if not _is_busy(execution) and not execution.done:
                    execution.interrupt("its worker is being stopped")
                self._watch_rest(execution)
            working = [each for each in self._executions.values() if not each.done]
            left = deadline - time.monotonic()
            if not working or left <= 0 or self._hurried:
                break
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left, POLL_SECONDS))
        for execution in working:
            execution.interrupt("its worker is being stopped")
        for execution in working:
            await asyncio.wrap_future(execution.left)
        for run_id in list(self._executions):
            self._told(run_id, await asyncio.to_thread(self._state_of, run_id))

    async def _on_runs(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine on the event loop of the runs."""
        return await asyncio.wrap_future(self._backend.portal.submit(work))


def _is_busy(execution: Execution) -> bool:
    return not (execution.done or execution.held or execution.is_waiting or execution.resting.done())


def _too_many_takeovers(status: RunStatus, takeovers: int) -> RunError:
    steps = [step.path for step in status.active if not step.kind]
    where = f", in the step{'s' if len(steps) > 1 else ''} {quoted_list(steps[:5])}" if steps else ""
    return RunError(
        f"{plural(takeovers, 'worker')} ended while executing this run{where}, and it achieved nothing in between",
        run_id=status.run_id,
        code=codes.WORKERS_ENDED,
        help="look for what ends them, such as a lack of memory, before you resume it",
        remedies=[ShowRun(status.run_id), Resume(status.run_id)],
    )
