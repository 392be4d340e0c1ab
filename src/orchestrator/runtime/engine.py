"""Starts runs, takes up those that were left, and knows which ones this process is executing."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from orchestrator.errors import OrchestratorError, RunNotResumable, RunOwned
from orchestrator.journal import NewRun, Owner, settled, step_records
from orchestrator.runtime.execution import DEFAULT_MAX_PARALLEL, Assignment, Execution
from orchestrator.runtime.ids import new_run_id
from orchestrator.runtime.inputs import Bound, rebind
from orchestrator.runtime.redaction import Redactor
from orchestrator.runtime.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.compiler.plan import Plan
    from orchestrator.journal import Command, Event, Lease, RunJournal, RunRecord, RunStatus, Store
    from orchestrator.tools import Permissions

_EVENTS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is executed. They are recorded with the run. `timeout` in seconds, of the whole run."""

    max_parallel: int | None = None
    timeout: float | None = None


class Engine:
    """The runs of one store that this process executes, each on the event loop that started it.

    `chance` decides the jitter of retries; give a seeded one to repeat a run exactly.
    """

    def __init__(self, store: Store, *, permissions: Permissions, chance: random.Random | None = None) -> None:
        from orchestrator.journal import Journal  # loads the database toolkit, as the store has done already

        self.store = store
        self.permissions = permissions
        self._journal = Journal(store)
        self._watch = Watch(store)
        self._owner = Owner.current()
        self._chance = chance or random.Random()  # noqa: S311 - the jitter of retries is no secret
        self._live: dict[str, tuple[Execution, asyncio.Task[None]]] = {}

    def execution(self, run_id: str) -> Execution | None:
        """The run's execution, if it is executed here and now."""
        live = self._live.get(run_id)
        return live[0] if live is not None and not live[0].done else None

    def status(self, run_id: str) -> RunStatus:
        """Where a run stands, whoever executes it."""
        execution = self.execution(run_id)
        return self.store.status(run_id) if execution is None else execution.status()

    async def start(self, plan: Plan, inputs: Bound, options: Options) -> Execution:
        """Record a new run and begin to execute it on the current event loop."""
        nonce = secrets.token_hex(3)
        redactor = Redactor(inputs.secrets, nonce)
        now = time.time()
        new = NewRun(
            run_id=new_run_id(),
            pipeline=plan.id,
            name=plan.name,
            source_name=plan.source_name,
            source_text=plan.source_text,
            directory=str(plan.directory),
            digest=plan.digest,
            plan=redactor.scrub_fields(plan.to_dict()),
            inputs=inputs.recorded(redactor),
            options={"max_parallel": options.max_parallel, "timeout": options.timeout, "redaction": nonce},
            now=now,
            total=len(plan.steps),
            metadata=redactor.scrub(plan.metadata),
        )

        def create() -> tuple[Lease, RunJournal]:
            lease, state = self.store.begin_run(new, self._owner)
            return lease, self._journal.attach(lease, state)

        lease, journal = await anyio.to_thread.run_sync(create)
        return self._execute(self._assignment(plan, inputs, redactor, now, options), lease, journal)

    async def resume(
        self, run_id: str, compile: Callable[[RunRecord], Plan], given: Mapping[str, Any], options: Options
    ) -> Execution:
        """Take a run up where it was left and go on with it on the current event loop.

        `compile` makes the plan anew from the recorded source; `given` are its secrets.

        Raises:
            RunOwned: Another live process executes it.
            RunNotResumable: It has succeeded, or its plan is not what it was.
            InputError: A secret is missing.
        """

        def take() -> tuple[Assignment, Lease, RunJournal]:
            refuse_if_succeeded(self.store.status(run_id))
            lease = self.store.acquire(run_id, self._owner)
            try:
                assignment = self._taken_up(run_id, compile, given, options)
                self._discard_commands(run_id)
                return assignment, lease, self._journal.attach(lease)
            except BaseException:
                self.store.release(lease)
                raise

        assignment, lease, journal = await anyio.to_thread.run_sync(take)
        return self._execute(assignment, lease, journal)

    def control(self, run_id: str, command: Command) -> None:
        """Have a run that is not executed here paused, resumed or cancelled: by its owner, or if it has none, here.

        Raises:
            RunNotResumable: The run has ended already.
        """
        status = self.store.status(run_id)
        if status.ended:
            if status.state == "cancelled" and command.kind == "cancel":
                return
            look = f"look at it with: orchestrator show {run_id}"
            again = f"go on with: orchestrator resume {run_id}"
            raise RunNotResumable(
                f"run `{run_id}` has already {_ENDED[status.state]}",
                run_id=run_id,
                help=look if status.state == "succeeded" else again,
            )
        if command.kind == "resume" or (command.kind == "pause" and status.state == "paused"):
            if status.owner is not None:
                self.store.send(run_id, command)
            return
        try:
            lease = self.store.acquire(run_id, self._owner)
        except RunOwned:
            self.store.send(run_id, command)
            return
        journal = self._journal.attach(lease)
        try:
            if command.kind == "pause":
                journal.record("run.paused", data={"by": command.by})
            else:
                journal.record("run.cancelled", data={"reason": command.data.get("reason", ""), "by": command.by})
            journal.flush()
        finally:
            journal.detach()
            self.store.release(lease)

    def events(self, run_id: str, *, after: int = 0, resolve: bool = True) -> Iterator[Event]:
        """Yield what is recorded of a run up to now."""
        while batch := self.store.events(run_id, after=after, limit=_EVENTS_AT_ONCE, resolve=resolve):
            yield from batch
            after = batch[-1].seq

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
            self._watch.close()
        finally:
            self._journal.close()

    def _assignment(
        self, plan: Plan, inputs: Bound, redactor: Redactor, now: float, options: Options, **resumed: Any
    ) -> Assignment:
        return Assignment(
            plan=plan,
            inputs=inputs,
            redactor=redactor,
            now=now,
            permissions=self.permissions,
            max_parallel=options.max_parallel or plan.max_parallel or DEFAULT_MAX_PARALLEL,
            timeout=options.timeout,
            **resumed,
        )

    def _taken_up(
        self, run_id: str, compile: Callable[[RunRecord], Plan], given: Mapping[str, Any], options: Options
    ) -> Assignment:
        refuse_if_succeeded(self.store.status(run_id))
        record = self.store.record(run_id)
        plan = compile(record)
        if plan.digest != record.digest:
            raise RunNotResumable(
                f"run `{run_id}` cannot go on: its pipeline compiles to another plan than when the run was created",
                run_id=run_id,
                help="its tools have changed; resume with those that it was started with, or start a new run",
            )
        bound = rebind(plan.inputs, record.inputs, given, permissions=self.permissions)
        redactor = Redactor(bound.secrets, str(record.options.get("redaction", "")))
        inputs = Bound(redactor.restore(bound.values), bound.secrets)
        steps = {path: step for path, step in step_records(self.events(run_id)).items() if settled(step)}
        recorded = record.options
        effective = Options(
            max_parallel=options.max_parallel or recorded.get("max_parallel"),
            timeout=options.timeout or recorded.get("timeout"),
        )
        return self._assignment(plan, inputs, redactor, record.now, effective, resumed=True, settled=steps)

    def _discard_commands(self, run_id: str) -> None:
        """Commands that were meant for an earlier owner: who resumes a run does not want it cancelled by those."""
        stale = [number for number, _, _ in self.store.commands([run_id])]
        if stale:
            self.store.acknowledge(stale)

    def _execute(self, assignment: Assignment, lease: Lease, journal: RunJournal) -> Execution:
        execution = Execution(
            assignment, self.store, lease, journal, chance=self._chance, give_back=self._watch.give_back
        )
        task = asyncio.get_running_loop().create_task(self._run(execution), name=f"run {execution.run_id}")
        self._live[execution.run_id] = (execution, task)
        self._watch.add(execution)
        return execution

    async def _run(self, execution: Execution) -> None:
        try:
            with suppress(OrchestratorError):  # those who wait for the run are told
                await execution.run()
        finally:
            self._watch.remove(execution)
            self._live.pop(execution.run_id, None)


_ENDED = {"succeeded": "succeeded", "failed": "failed", "cancelled": "been cancelled"}


def refuse_if_succeeded(status: RunStatus) -> None:
    """Raise RunNotResumable for a run with nothing left to do."""
    if status.state == "succeeded":
        raise RunNotResumable(
            f"run `{status.run_id}` has succeeded, so there is nothing to resume",
            run_id=status.run_id,
            help=f"look at it with: orchestrator show {status.run_id}",
        )


def _is_current(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
