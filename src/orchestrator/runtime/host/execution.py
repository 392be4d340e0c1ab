"""One run while this process owns it: from the lease to the last event, under the control of commands."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from orchestrator.errors import OrchestratorError, StepError, StoreError, StoreUnavailable
from orchestrator.history.tracebacks import RecordedTraceback
from orchestrator.journal.run_payloads import (
    RunCancelledPayload,
    RunFailedPayload,
    RunPausedPayload,
    RunResumedPayload,
    RunStartedPayload,
    RunSucceededPayload,
)
from orchestrator.models.budget import Budget, Ledger
from orchestrator.runtime.host.loop_runs import executed_here, executed_no_more
from orchestrator.runtime.host.threads import in_thread
from orchestrator.runtime.notices.run_notices import RunNotices
from orchestrator.runtime.queue.slots import Slots
from orchestrator.runtime.queue.step_times import StepTimes
from orchestrator.runtime.run.answer_stream import AnswerPublisher
from orchestrator.runtime.run.failures import error_data
from orchestrator.runtime.run.model_access import THE_RUN, ModelAccess, merged
from orchestrator.runtime.run.result_cache import ResultCache
from orchestrator.runtime.run.run_context import RunContext
from orchestrator.runtime.run.run_graph import Ending
from orchestrator.runtime.run.run_loop import RunLoop
from orchestrator.runtime.run.scheduler import Scheduler
from orchestrator.runtime.run.start_hold import StartHold
from orchestrator.runtime.run.timeouts import run_timeout
from orchestrator.runtime.steps.executors import EXECUTORS
from orchestrator.runtime.steps.pipelines import PipelineRun
from orchestrator.runtime.values.scope import pipeline_scope
from orchestrator.text.json_pieces import is_large
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.functions.tracebacks import recent_traceback, traceback_text

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from orchestrator.journal import Command, Event, RunJournal, RunStatus, Store
    from orchestrator.journal.store.event_data import EncodedData
    from orchestrator.notices.delivery import NoticeSender
    from orchestrator.runtime.host.assignment import Assignment
    from orchestrator.runtime.queue.shared_slots import SharedSlots
    from orchestrator.runtime.run.model_services import ModelServices
    from orchestrator.runtime.run.run_context import RunLauncher
    from orchestrator.tools import ToolExecutor

_PATIENCE = 0.5  # seconds that an event loop has to answer before the store is asked, which is a little behind
_PAUSED_LOOK = 1.0  # seconds between two looks at the time that a paused run has left
_log = logging.getLogger(__name__)


class Execution:
    """Executes a run on the event loop where `run` is awaited. The other methods may be called from any thread."""

    def __init__(
        self,
        assignment: Assignment,
        store: Store,
        journal: RunJournal,
        *,
        services: ModelServices,
        executor: ToolExecutor,
        notices: NoticeSender | None,
        chance: random.Random,
        give_back: Callable[[RunJournal], None],
        start_run: RunLauncher,
        ask_for_turn: Callable[[], None],
        shared_slots: SharedSlots | None = None,
    ) -> None:
        """`notices` sends those of all runs; without it, none are sent. `start_run` starts the runs that steps detach.

        `give_back` takes the journal of a run that had to be given up while the store could not be written.
        `ask_for_turn` has the run admitted soon if that is possible.

        `shared_slots` are those that all runs of the process share.
        """
        self.lease = journal.lease
        self.run_id = self.lease.run_id
        self.journal = journal
        self._assignment = assignment
        self.redactor = assignment.redactor
        """Takes the secrets of the run out of texts."""
        self.answers = AnswerPublisher(self.run_id, self.redactor, lambda: journal.last_seq)
        """Publishes the answers that models are giving."""
        self._store = store
        self._services = services
        self._executor = executor
        self._notices = RunNotices(
            assignment.plan,
            self.run_id,
            journal,
            self.redactor,
            notices,
            assignment.recorded.notices,
            budget=self._budgets()[1],
            spent=lambda: journal.spent,
        )
        self._chance = chance
        self._give_back = give_back
        self._start_run = start_run
        self._ask_for_turn = ask_for_turn
        self._shared_slots = shared_slots
        self._slots: Slots
        self.held = assignment.limit is not None or (assignment.not_before or 0.0) > time.time()
        """Whether the run has not begun: its time has not come, or it waits for its turn."""
        self.hold: StartHold | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        executed_here(self.run_id)
        self._scheduler: Scheduler | None = None
        self._early: list[Callable[[Scheduler], None]] = []
        self._lost: StoreError | None = None
        self._lock = threading.Lock()
        self._resting: Future[None] = Future()
        self._timer: asyncio.TimerHandle | None = None
        self.left: Future[None] = Future()
        """Completes when this process has nothing more to do with the run."""
        self._leaving = False
        """Whether the run is being interrupted, and takes no commands any more."""
        self.ending = False
        """Whether the run is past everything that a command could change."""
        self.end: Event | None = None
        """The run's last event, once the run has ended and that is durable."""
        self.cause: BaseException | None = None
        """What a tool raised for which the run failed; without secrets."""

    @property
    def done(self) -> bool:
        """Whether this process has left the run."""
        return self.left.done()

    @property
    def resting(self) -> Future[None]:
        """Completes when the run has ended here, or is paused and nothing runs any more.

        It carries the error if the run had to be given up because of the store.
        """
        with self._lock:
            return self._resting

    @property
    def is_limited(self) -> bool:
        """Whether the run has a turn that it would lose if this process left it."""
        return self._assignment.limit is not None

    @property
    def is_waiting(self) -> bool:
        """Whether nothing of the run works, and steps wait for people or a time. As of now, from any thread."""
        return self.journal.is_waiting

    @property
    def is_on_this_thread(self) -> bool:
        """Whether the caller runs on the thread of the event loop, which must not be blocked."""
        return threading.get_ident() == self._thread

    def status(self) -> RunStatus:
        """Where the run stands. Counted on the run's own thread, so that no event is seen half."""
        if self.is_on_this_thread:
            return self.journal.status()
        try:
            return self._counted().result(_PATIENCE)
        except TimeoutError:  # a tool blocks the loop, or the loop was closed; the store is hardly behind
            return self._store.status(self.run_id)

    async def astatus(self) -> RunStatus:
        """As `status`. It takes no thread while it waits."""
        if self.is_on_this_thread:
            return self.journal.status()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._counted()), _PATIENCE)
        except TimeoutError:
            return await in_thread(lambda: self._store.status(self.run_id))

    def _counted(self) -> Future[RunStatus]:
        answer: Future[RunStatus] = Future()

        def count() -> None:
            if answer.set_running_or_notify_cancel():
                answer.set_result(self.journal.status())

        self._call(count)
        return answer

    async def run(self) -> None:
        """Execute the run until it ends, or can only be resumed elsewhere.

        Raises:
            StoreError: The journal cannot be written, or another process took the run over. What was recorded is safe.
        """
        failure: BaseException | None = None
        try:
            await self._run()
        except asyncio.CancelledError:
            raise
        except BaseException as caught:
            failure = caught
            raise
        finally:
            await self._leave(failure)

    def abandon(self) -> None:
        """Give the run back without having executed anything of it, so that it can be resumed."""
        self._give_back(self.journal)
        executed_no_more(self.run_id)
        self._store.feeds.disown(self.lease.key)
        self.left.set_result(None)
        self._store.feeds.announce(self.lease.key)
        self._rest()

    def post(self, command: Command) -> Future[None] | None:
        """Carry out a command; the result completes when it has taken effect.

        Return None if the run is being interrupted: then the command is for its next owner.
        """
        taken: Future[None] = Future()
        with self._lock:
            if self._leaving:
                return None
            self._call(self._command, command, taken)
        return taken

    def interrupt(self, reason: str) -> None:
        """Stop, and leave the run so that it can be resumed."""
        with self._lock:
            self._leaving = True
            self._call(self._act, lambda scheduler: scheduler.interrupt(reason))
            self._call(self._notices.hurry)

    def leave_if_resting(self, reason: str) -> Future[bool]:
        """Leave a run that only waits for a person, or is paused; the result is false if something has happened."""
        leaves: Future[bool] = Future()
        self._call(self._leave_if_resting, reason, leaves)
        return leaves

    def _leave_if_resting(self, reason: str, leaves: Future[bool]) -> None:
        with self._lock:
            rests = self._resting.done() and not (self.done or self.ending)
            self._leaving = self._leaving or rests
        if rests:
            self._act(lambda scheduler: scheduler.interrupt(reason))
            self._notices.hurry()
        leaves.set_result(rests)

    def lose(self, error: StoreError) -> None:
        """Stop at once: the run is not ours any more."""
        self._lost = error
        self.interrupt(error.message)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # its loop has been closed, and the run was left before that
            for argument in arguments:
                if isinstance(argument, Future):
                    argument.set_result(None)  # also for "no"

    # --- on the event loop

    async def _run(self) -> None:
        if not self.held:
            self._record_start()
        try:
            ending = await self._work()
        except (StoreError, asyncio.CancelledError):
            await self._halt()
            raise
        except Exception as failure:
            _log.exception("run %s ended with an internal error", self.run_id)
            await self._halt()
            error = OrchestratorError(
                f"internal error: {type(failure).__name__}: {failure}",
                help="this is a bug in Orchestrator: please report it with the log",
            )
            ending = Ending("failed", error=error_data(error))
        if self._lost is not None:
            raise self._lost
        await self._finish(ending)

    def _record_start(self) -> None:
        allowed, budget = self._budgets()
        self.journal.record_payload(
            RunStartedPayload(
                owner=str(self.lease.owner),
                resumed=self._assignment.resumed,
                by=self.redactor.text(self._assignment.by) if self._assignment.by else None,
                budget=None if budget is None else budget.to_dict(),
                allowed=None if allowed is None else allowed.to_dict(),
            ).without_nulls()
        )
        self._notices.begin()

    def _begin_late(self) -> None:
        self.held = False
        self._record_start()

    async def _work(self) -> Ending:
        assignment = self._assignment
        now = datetime.fromtimestamp(assignment.now, UTC)
        try:
            scope = pipeline_scope(assignment.plan, self.run_id, now, assignment.inputs.values)
        except StepError as error:
            return Ending("failed", error=error_data(error))
        self._notices.scope = scope
        scheduler = self._scheduler = self._make_scheduler(now)
        limit = assignment.timeout or assignment.plan.timeout
        if limit is not None:
            self._timer = scheduler.context.loop.call_later(0, self._limit_time, scheduler, limit)  # when it has begun

        def begin(scheduler: Scheduler) -> Callable[[Ending], None]:
            whole = PipelineRun(scheduler, scheduler.context, assignment.plan, scope, "", scheduler.done)
            whole.open()
            return whole.end

        if self.held:
            self.hold = scheduler.hold = StartHold(
                scheduler,
                scheduler.context.loop,
                self.journal,
                until=assignment.not_before or 0.0,
                limit=assignment.limit,
                begin=self._begin_late,
                ask=self._ask_for_turn,
            )
        for act in self._early:
            scheduler.before(act)
        try:
            return await scheduler.run(begin)
        finally:
            self._slots.close()
            if self._timer is not None:
                self._timer.cancel()

    async def _halt(self) -> None:
        """Stop what runs, and write down what can be written."""
        with suppress(StoreError):
            if self._scheduler is not None:
                await self._scheduler.halt("the process that executed the run is stopping")
            await self.journal.commit()

    def _limit_time(self, scheduler: Scheduler, limit: float) -> None:
        """End the run when it has worked for `limit` seconds; look again when it may have."""
        worked, works = self.journal.worked
        left = limit - worked
        if left <= 0 and works:
            scheduler.fail(error_data(run_timeout("the run", limit)))
            return
        delay = left if works else max(left, _PAUSED_LOOK)
        self._timer = scheduler.context.loop.call_later(delay, self._limit_time, scheduler, limit)

    def _budgets(self) -> tuple[Budget | None, Budget | None]:
        """Return the limits that were given now or earlier, and those together with the plan's."""
        earlier = self.journal.allowed
        given = self._assignment
        allowed = merged(None if earlier is None else Budget(**earlier), given.budget)  # type: ignore[arg-type]
        return allowed, merged(given.plan.budget, allowed)

    def _make_scheduler(self, now: datetime) -> Scheduler:
        given = self._assignment
        context = RunContext(
            given.plan,
            self.run_id,
            self.journal,
            RunLoop(),
            now=now,
            permissions=given.permissions,
            max_parallel=given.max_parallel,
            sizes=given.sizes,
            redactor=given.redactor,
            chance=self._chance,
            recorded=given.recorded,
            load=lambda seqs: self._store.values_at(self.run_id, seqs),
            answers=self.answers,
            times=StepTimes(self.journal.past_durations),
            notices=self._notices,
            start_run=self._start_run,
        )

        def on_idle() -> None:
            if self._notices.is_quiet(context.loop.wake):
                self._rest()

        slots = self._slots = Slots(
            given.max_parallel, context.loop, shared=self._shared_slots, priority=given.priority
        )
        _, budget = self._budgets()
        own = () if budget is None else (Ledger(budget, THE_RUN, self.journal.spent),)
        ledgers = (*own, *given.ledgers)
        models = ModelAccess(context, slots, self._services, ledgers=ledgers, earlier=given.earlier)
        return Scheduler(
            context, slots, models, EXECUTORS, executor=self._executor, cache=self._cache(), on_idle=on_idle
        )

    def _cache(self) -> ResultCache | None:
        given = self._assignment
        if not given.use_cache:
            return None
        return ResultCache(self._store, pipeline=given.plan.id, redactor=given.redactor, refresh=given.refresh)

    async def _finish(self, ending: Ending) -> None:
        """Record how the run ended, and give it back."""
        self.ending = True
        redactor, record = self._assignment.redactor, self.journal.record_payload
        end: Event | None = None
        match ending.state:
            case "succeeded":
                await self._notices.settle(interrupted=False)
                outputs = ending.outputs
                if is_large(outputs):
                    payload, encoded = await run_in_thread(partial(self._encoded, outputs))
                else:
                    payload, encoded = self._encoded(outputs)
                end = record(payload, encoded=encoded)
                durations = self._scheduler.context.times.left_for_later() if self._scheduler is not None else None
                if durations is not None:
                    self.journal.leave_durations(self._assignment.plan.id, durations)
            case "failed":
                cause = redactor.scrub_fields(ending.error or {})
                self.cause = self._raised(str(cause.get("step")))
                self._notices.failed(cause)
                await self._notices.settle(interrupted=False)
                end = record(RunFailedPayload(error=cause, step=cause.get("step")))
            case "cancelled":
                await self._notices.settle(interrupted=False)
                end = record(RunCancelledPayload(reason=redactor.scrub(ending.reason), by=ending.by))
            case "interrupted":
                await self._notices.settle(interrupted=True)
        await self.journal.leave()
        self.end = end

    def _encoded(self, outputs: Mapping[str, Any]) -> tuple[RunSucceededPayload, EncodedData]:
        """Return the run's success without secrets, and its data encoded; large outputs take their time."""
        scrub = self._assignment.redactor.scrub
        payload = RunSucceededPayload(outputs={name: scrub(value) for name, value in outputs.items()})
        return payload, self.journal.encode(payload.to_data())

    def _raised(self, step: str) -> BaseException | None:
        """Return what a step's tool raised; as text where a secret would show."""
        causes = self._scheduler.context.causes if self._scheduler is not None else {}
        raised = causes.get(step)
        causes.clear()
        if raised is None:
            return None
        redactor = self._assignment.redactor
        text = recent_traceback(raised)
        return raised if redactor.text(text) == text else RecordedTraceback(redactor.text(traceback_text(raised)))

    async def _leave(self, failure: BaseException | None) -> None:
        """Give the run back, and tell those who wait for it."""
        try:
            await self._notices.close()
            if isinstance(failure, StoreUnavailable):
                self._give_back(self.journal)
                return
            if not self.journal.left:  # else it was left with the last event; a scope loads much of anyio
                with anyio.CancelScope(shield=True), suppress(StoreError):
                    await self.journal.leave()
        finally:
            executed_no_more(self.run_id)
            self._store.feeds.disown(self.lease.key)
            self.left.set_result(None)
            self._store.feeds.announce(self.lease.key)  # what readers see of it changes: they may have to leave
            with self._lock:
                if not self._resting.done():
                    if isinstance(failure, OrchestratorError):
                        self._resting.set_exception(failure)
                    else:
                        self._resting.set_result(None)

    def _rest_no_more(self) -> None:
        with self._lock:
            if self._resting.done():
                self._resting = Future()

    def _rest(self) -> None:
        with self._lock:
            if not self._resting.done():
                self._resting.set_result(None)

    def _act(self, act: Callable[[Scheduler], None]) -> None:
        if self._scheduler is None:
            self._early.append(act)
        elif not self.done:
            self._scheduler.guard(act)

    def _command(self, command: Command, taken: Future[None]) -> None:
        try:
            if not (self.done or self.ending):  # its last event is the last
                self._act(lambda scheduler: self._obey(scheduler, command))
        finally:
            taken.set_result(None)

    def _obey(self, scheduler: Scheduler, command: Command) -> None:
        by = self._assignment.redactor.text(command.by)
        match command.kind:
            case "pause" if not scheduler.paused or command.data.get("now"):
                if not scheduler.paused:
                    self.journal.record_payload(RunPausedPayload(by=by))
                scheduler.pause(now=bool(command.data.get("now")))
            case "resume" if scheduler.paused:
                self.journal.record_payload(RunResumedPayload(by=by))
                self._rest_no_more()
                scheduler.resume()
            case "answer":
                self._rest_no_more()
                scheduler.answer(str(command.data.get("path")), command.data.get("value"), by)
            case "cancel":
                self._rest_no_more()
                if scheduler.paused and (scheduler.context.undo or self._assignment.plan.finally_ is not None):
                    self.journal.record_payload(RunResumedPayload(by=by))  # what ends the run is not held
                    scheduler.resume()
                scheduler.cancel(reason=str(command.data.get("reason") or ""), by=by)
            case _:  # it is paused, or running, already
                pass
