"""Starts, resumes and forks runs, and knows which runs this process executes."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.errors import OrchestratorError, RunError, RunNotResumable
from orchestrator.history.invalidation import paths_to_forget, shared_events
from orchestrator.journal import Owner
from orchestrator.journal.records import RunLimit, Submission
from orchestrator.journal.run_payloads import RunCancelledPayload, RunFailedPayload, RunWarningPayload
from orchestrator.paths import is_at_or_below, item_of
from orchestrator.plan.labels import OF_HOSTS, OF_PARENT
from orchestrator.plan.lookup import require_shared
from orchestrator.remedies import ShowRun
from orchestrator.runtime.host import garbage
from orchestrator.runtime.host.assignment import (
    assign,
    effective_options,
    new_assignment,
    new_run,
    permissions_for,
    read_events,
    read_recorded,
    recompiled,
    recorded_redactor,
    resumed_assignment,
)
from orchestrator.runtime.host.commands import discard_commands
from orchestrator.runtime.host.execution import Execution
from orchestrator.runtime.host.lease_keeper import LeaseKeeper
from orchestrator.runtime.host.options import Options
from orchestrator.runtime.host.revised_run import decisions_to_repeat, plan_changes, revision_of, stale_steps
from orchestrator.runtime.host.submission import new_submission, submitted_options, submitter_of
from orchestrator.runtime.host.threads import acquire_in_thread, in_thread
from orchestrator.runtime.run.failures import error_data
from orchestrator.runtime.values.inputs import Bound, rebind
from orchestrator.tools import LocalExecutor
from orchestrator.tools.functions.task_guard import create_guarded_task, guard_stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.history.revision import Changes
    from orchestrator.journal import Lease, ResumeState, RunJournal, RunStatus, Store
    from orchestrator.journal.run_creation import StartKey
    from orchestrator.models.budget import Ledger
    from orchestrator.notices.delivery import NoticeSender
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.host.assignment import Assignment, Compile
    from orchestrator.runtime.queue.shared_slots import SharedSlots
    from orchestrator.runtime.run.model_services import ModelServices
    from orchestrator.tools import Permissions, ToolExecutor


class Engine:
    """The runs of one store that this process executes, each on the event loop that started it.

    `chance` decides the jitter of retries; give a seeded one to repeat a run exactly. `origin` is recorded with each
    new run: what this process has that another one would lack. `notices` sends notices; without it, none are sent.
    """

    def __init__(
        self,
        store: Store,
        *,
        permissions: Permissions,
        services: ModelServices,
        executor: ToolExecutor | None = None,
        notices: NoticeSender | None = None,
        chance: random.Random | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        from orchestrator.journal import Journal  # loads the database toolkit, as the store has done already

        self.store = store
        self.permissions = permissions
        self.services = services
        self._journal = Journal(store)
        self._leases = LeaseKeeper(store)
        self._owner = Owner.current()
        self._executor = executor or LocalExecutor()
        self._notices = notices
        self._origin = dict(origin or {})
        self._chance = chance or random.Random()  # noqa: S311 - the jitter of retries is no secret
        self._live: dict[str, tuple[Execution, asyncio.Task[None]]] = {}
        self.shared_slots: SharedSlots | None = None
        """The slots that all runs share, if there are such; set before the first run."""

    def execution(self, run_id: str) -> Execution | None:
        """The run's execution, if it is executed here and now."""
        live = self._live.get(run_id)
        return live[0] if live is not None and not live[0].done else None

    @property
    def active_runs(self) -> int:
        """How many runs are executed here now."""
        return len(self._live)

    @property
    def run_ids(self) -> list[str]:
        """The ids of the runs that are executed here now."""
        return list(self._live)

    @property
    def commits(self) -> int:
        """How many transactions have recorded events of the runs that are executed here."""
        return self._journal.commits

    @property
    def held_runs(self) -> int:
        """How many of them have not begun: their time has not come, or they wait for their turn."""
        return sum(execution.held for execution, _ in list(self._live.values()))

    @property
    def queued_runs(self) -> Counter[str]:
        """How many of them wait for their turn, by concurrency key: enough others with that key are executed."""
        holds = [execution.hold for execution, _ in list(self._live.values())]
        return Counter(hold.limit.key for hold in holds if hold and hold.limit and hold.waits_for_turn)

    def status(self, run_id: str) -> RunStatus:
        """Return the status of a run, in whichever process it is executed."""
        execution = self.execution(run_id)
        return self.store.status(run_id) if execution is None else execution.status()

    async def start(
        self,
        plan: Plan,
        inputs: Bound,
        options: Options,
        *,
        batch: tuple[str, int] | None = None,
        ledgers: tuple[Ledger, ...] = (),
        by: str = "",
        run_id: str | None = None,
        start_key: StartKey | None = None,
        keys_since: float = 0.0,
    ) -> Execution:
        """Record a new run and begin to execute it on the current event loop.

        It may be a row of a batch; `ledgers` hold what it may spend together with others. With a `start_key`, it is
        created with the id of that, unless the key, or one since `keys_since`, stands for another run.

        Raises:
            RunError: ORC802, there is a run with the id `run_id`.
            StartKeyTaken: The key stands for another run.
        """
        with garbage.collected_less():
            new, assignment = new_assignment(
                plan,
                inputs,
                options,
                origin=self._origin,
                permissions=self.permissions,
                ledgers=ledgers,
                by=by,
                run_id=run_id if start_key is None else start_key.run_id,
            )
            if batch is not None:
                new = replace(new, batch=batch[0], row=batch[1])
            journal = await self._journal.begin(
                new, self._owner, durations=assignment.may_wait, start_key=start_key, keys_since=keys_since
            )
            return self._execute(assignment, journal)

    async def submit(
        self, plan: Plan, inputs: Bound, options: Options, *, by: str = "", run_id: str | None = None
    ) -> str:
        """Record a new run that a worker is to execute; return its id.

        Raises:
            RunError: ORC802, there is a run with the id `run_id`.
        """
        new = new_submission(plan, inputs, options, origin=self._origin, by=by, run_id=run_id)
        await self._journal.submit(new)
        return new.run_id

    async def take(self, lease: Lease, compile: Compile, options: Options) -> Execution:
        """Execute a submitted run that was claimed, on the current event loop. After an error it is released.

        Raises:
            RunNotResumable: It does not compile to the same plan here.
            InputError: A secret is not in the environment.
        """
        run_id = lease.run_id

        def take() -> tuple[Assignment, RunJournal]:
            with self._attached(lease) as journal:
                record = self.store.record(run_id)
                plan = recompiled(record, compile)
                effective = submitted_options(record, options, has_begun=journal.has_begun)
                assignment = resumed_assignment(
                    self.store, record, plan, {}, effective, permissions=self.permissions, by=submitter_of(record)
                )
                journal.read_durations(assignment.plan.id)
                return replace(assignment, resumed=journal.has_begun), journal

        return self._execute(*await acquire_in_thread(take, lambda taken: self._let_go(taken[1])))

    def park(self, lease: Lease, error: OrchestratorError) -> None:
        """End a run that was claimed as failed, without executing anything of it."""
        with self._attached(lease) as journal:
            journal.record_payload(RunFailedPayload(error=error_data(error), step=None))
            journal.flush()
            self._let_go(journal)

    @contextmanager
    def _attached(self, lease: Lease) -> Iterator[RunJournal]:
        """Record events of a run; if that fails at the beginning, release the run."""
        journal = None
        try:
            journal = self._journal.attach(lease)
            yield journal
        except BaseException:
            if journal is not None:
                journal.detach()
            self.store.release(lease)
            raise

    def _let_go(self, journal: RunJournal) -> None:
        journal.detach()
        self.store.release(journal.lease)

    async def _start_detached(self, parent: Assignment, parent_id: str, plan: Plan, inputs: Bound, run_id: str) -> None:
        """Start a run that a step of another one detaches, unless it has been started.

        It is hosted as that run is, and found by its id; everything else is that of its own pipeline.
        """
        record = await in_thread(lambda: self.store.record(parent_id))
        submission = Submission.of(record.options)
        labels = [label for label in record.labels if label.startswith(OF_HOSTS)]
        options = Options(
            cache=parent.use_cache,
            labels=(f"{OF_PARENT}{parent_id}", *labels),
            sizes=parent.sizes,
            priority=parent.priority,
            runs_on=() if submission is None else submission.runs_on,
        )
        # Secrets are not stored, so a worker could not know them.
        begin = self.start if submission is None or inputs.secrets else self.submit
        try:
            await begin(plan, inputs, options, by=parent.by, run_id=run_id)
        except RunError as error:
            if error.code != codes.RUN_ID_TAKEN:
                raise

    async def resume(
        self,
        run_id: str,
        compile: Compile,
        given: Mapping[str, Any],
        options: Options,
        *,
        edited: Plan | None = None,
        again: str | None = None,
        by: str = "",
        ledgers: tuple[Ledger, ...] = (),
    ) -> Execution:
        """Resume a run on the current event loop.

        `compile` makes the plan again from the recorded source; `given` are its secrets. With `edited`, the run
        continues with that plan and keeps what is still valid; with `again`, it retries the step at that path. Then it
        may have succeeded.

        Raises:
            RunOwned: Another live process executes it.
            RunNotResumable: It has succeeded, or its plan has changed.
            RunError: ORC809, it has no step `again`.
            InputError: A secret is missing, or the edited plan needs another input (ORC810).
        """
        ending = self.execution(run_id)
        if ending is not None and ending.ending:
            await asyncio.wrap_future(ending.left)
        revised = edited is not None or again is not None

        def take() -> tuple[Assignment, RunJournal]:
            if not revised:
                refuse_if_succeeded(self.store.status(run_id))
            with self._attached(self.store.acquire(run_id, self._owner)) as journal:
                if not revised:
                    refuse_if_succeeded(self.store.status(run_id))
                record = self.store.record(run_id)
                plan = edited or recompiled(record, compile)
                assignment = resumed_assignment(
                    self.store, record, plan, given, options, permissions=self.permissions, ledgers=ledgers, by=by
                )
                if revised:
                    revision = revision_of(self.store, record, assignment, again)
                    journal.record_payload(revision.replace(by=by))
                    journal.flush()
                    # A retried step must not take its result from the cache.
                    refresh = assignment.refresh | ({again} if again is not None else set())
                    assignment = replace(assignment, recorded=read_recorded(self.store, run_id), refresh=refresh)
                journal.read_durations(assignment.plan.id)
                discard_commands(self.store, run_id)
                return assignment, journal

        return self._execute(*await acquire_in_thread(take, lambda taken: self._let_go(taken[1])))

    async def fork(
        self,
        run_id: str,
        compile: Compile,
        path: str,
        given: Mapping[str, Any],
        options: Options,
        *,
        by: str = "",
        new_id: str | None = None,
    ) -> Execution:
        """Start a new run with the results of another one, except for the step at `path` and its consequences.

        `given` are the inputs that differ, and the secrets.

        Raises:
            RunError: ORC809, there is no such step.
            InputError: An input does not fit, or a secret is missing.
        """

        def create() -> tuple[Assignment, RunJournal]:
            record = self.store.record(run_id)
            plan = recompiled(record, compile)
            require_shared(plan, options.refresh)
            permissions = permissions_for(self.permissions, record)
            bound = rebind(plan.inputs, record.inputs, given, permissions=permissions, fixed=False)
            redactor = recorded_redactor(record, bound)  # its marks are in what is shared
            inputs = Bound(redactor.restore(bound.values), bound.secrets)
            effective = effective_options(options, record)
            new = replace(
                new_run(plan, inputs, redactor, effective, self._origin, time.time(), new_id),
                forked_from={"run_id": run_id, "step": path},
            )
            kept = read_recorded(self.store, run_id)
            forget = paths_to_forget(run_id, record.plan, kept, path)
            forget = tuple(dict.fromkeys((*forget, *decisions_to_repeat(record, new, kept))))
            events = shared_events(lambda: read_events(self.store, run_id), new.run_id, forget)
            lease, state = self.store.begin_run(new, self._owner, copied=events)
            journal = self._journal.attach(lease, state)
            found = read_recorded(self.store, new.run_id)
            for message in stale_steps(record, new, found):
                journal.record_payload(RunWarningPayload(message=message))
            journal.read_durations(plan.id)
            assignment = assign(
                plan,
                inputs,
                redactor,
                new.now,
                effective,
                permissions=permissions,
                resumed=True,
                recorded=found,
                by=by,
                limit=RunLimit.of(new.options),
            )
            return assignment, journal

        def cancel(created: tuple[Assignment, RunJournal]) -> None:
            journal = created[1]
            journal.record_payload(RunCancelledPayload(reason="the caller was cancelled", by=by))
            journal.flush()
            self._let_go(journal)

        return self._execute(*await acquire_in_thread(create, cancel))

    def rehearse(self, run_id: str, compile: Compile, given: Mapping[str, Any]) -> None:
        """Raise what `resume` would raise for what this process lacks. Nothing is changed."""
        record = self.store.record(run_id)
        plan = recompiled(record, compile)
        rebind(plan.inputs, record.inputs, given, permissions=permissions_for(self.permissions, record))

    def changes(self, run_id: str, edited: Plan, given: Mapping[str, Any]) -> Changes:
        """Return what a run would keep if it were resumed with the edited plan. Nothing is changed."""
        return plan_changes(self.store, run_id, edited, given, permissions=self.permissions)

    def dropped_by_retry(self, run_id: str, path: str) -> tuple[str, ...]:
        """Return the paths whose results a retry of a step would drop: what runs again itself is the first.

        Raises:
            RunError: ORC809, the run has no such step.
        """
        found = read_recorded(self.store, run_id)
        paths = paths_to_forget(run_id, self.store.record(run_id).plan, found, path)
        return tuple(each for each in paths if item_of(each) is None or _has_begun(found, each))

    def interrupt(self, reason: str) -> None:
        """Ask every run that is executed here to stop where it is, so that it can be resumed."""
        for execution, _ in list(self._live.values()):
            execution.interrupt(reason)

    def close(self, *, timeout: float) -> None:
        """Stop everything and close the journal; wait for runs on other threads' loops at most `timeout` seconds."""
        self.interrupt("the process that executed the run has closed its orchestrator")
        deadline = time.monotonic() + timeout
        for execution, task in list(self._live.values()):
            if not task.get_loop().is_running() or _is_current(task.get_loop()):
                continue
            with suppress(TimeoutError):
                execution.left.result(max(0.0, deadline - time.monotonic()))
        try:
            self._leases.close()
        finally:
            self._journal.close()

    def _execute(self, assignment: Assignment, journal: RunJournal) -> Execution:
        execution = Execution(
            assignment,
            self.store,
            journal,
            services=self.services,
            executor=self._executor,
            notices=self._notices,
            chance=self._chance,
            give_back=self._leases.give_back,
            ask_for_turn=self._leases.hurry,
            start_run=partial(self._start_detached, assignment, journal.lease.run_id),
            shared_slots=self.shared_slots,
        )
        loop = asyncio.get_running_loop()
        guard_stop(loop)
        task = create_guarded_task(loop, self._run(execution), name=f"run {execution.run_id}")
        garbage.run_begins()
        self._live[execution.run_id] = (execution, task)
        self._leases.add(execution)
        task.add_done_callback(lambda _: self._left(execution))
        return execution

    def _left(self, execution: Execution) -> None:
        """Give back a run whose task was cancelled before it began, as when its event loop ends at once."""
        garbage.run_ends()
        if not execution.done:
            execution.abandon()
        self._leases.remove(execution)
        self._live.pop(execution.run_id, None)

    async def _run(self, execution: Execution) -> None:
        with suppress(OrchestratorError):  # callers that wait for the run receive it
            await execution.run()


def refuse_if_succeeded(status: RunStatus) -> None:
    """Raise RunNotResumable for a run with nothing left to do."""
    if status.state == "succeeded":
        raise RunNotResumable(
            f"run `{status.run_id}` has succeeded, so there is nothing to resume",
            run_id=status.run_id,
            remedies=[ShowRun(status.run_id)],
        )


def _is_current(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _has_begun(found: ResumeState, item: str) -> bool:
    """Whether something is recorded of an item of a loop."""
    loop, index = item_of(item) or ("", 0)
    ends = found.items.get(loop)
    return (ends is not None and bool(ends.state(index))) or any(is_at_or_below(path, item) for path in found.steps)
