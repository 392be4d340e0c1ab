"""Starts runs, takes up those that were left, and knows which ones this process is executing."""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import InputError, OrchestratorError, RunError, RunNotResumable, RunOwned
from orchestrator.history.invalidation import paths_to_forget, read_resume_state, shared_events
from orchestrator.history.revision import Changes, compare
from orchestrator.journal import Command, NewRun, Owner
from orchestrator.journal.records import label_key
from orchestrator.models.budget import Budget
from orchestrator.paths import is_top_level
from orchestrator.plan.diff import inputs_read
from orchestrator.plan.lookup import require_shared
from orchestrator.plan.serialization import plan_data
from orchestrator.remedies import Remedy, Resume, ShowRun, ShowStatus
from orchestrator.runtime.host.execution import DEFAULT_MAX_PARALLEL, Assignment, Execution
from orchestrator.runtime.host.lease_keeper import Watch
from orchestrator.runtime.ids import new_run_id
from orchestrator.runtime.run.model_access import has_budgets, spent_by_step
from orchestrator.runtime.steps.answers import accepted
from orchestrator.runtime.values.inputs import Bound, rebind
from orchestrator.runtime.values.redaction import Redactor
from orchestrator.runtime.values.result_size import USUAL, ResultSizes
from orchestrator.text.words import quoted_list
from orchestrator.tools import LocalExecutor
from orchestrator.tools.source_files import named_sources, searched_directories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.journal import ActiveStep, Event, Lease, ResumeState, RunJournal, RunRecord, RunStatus, Store
    from orchestrator.journal.events import EventType
    from orchestrator.models.budget import Ledger
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.run.model_services import ModelServices
    from orchestrator.tools import Permissions, ToolExecutor

T = TypeVar("T")

_EVENTS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is executed. `timeout` in seconds, of the whole run; it and `max_parallel` are recorded with the run.

    Without `cache` no result is taken from the cache or put into it; `refresh` are the paths of steps whose results are
    made anew. `budget` is what the run may spend on models, over what the pipeline says. Runs are found by `labels`.
    """

    max_parallel: int | None = None
    timeout: float | None = None
    budget: Budget | None = None
    cache: bool = True
    refresh: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()
    sizes: ResultSizes = USUAL


class Engine:
    """The runs of one store that this process executes, each on the event loop that started it.

    `chance` decides the jitter of retries; give a seeded one to repeat a run exactly. `origin` is recorded with each
    new run: what this process has that another one would lack.
    """

    def __init__(
        self,
        store: Store,
        *,
        permissions: Permissions,
        services: ModelServices,
        executor: ToolExecutor | None = None,
        chance: random.Random | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        from orchestrator.journal import Journal  # loads the database toolkit, as the store has done already

        self.store = store
        self.permissions = permissions
        self.services = services
        self._journal = Journal(store)
        self._watch = Watch(store)
        self._owner = Owner.current()
        self._executor = executor or LocalExecutor()
        self._origin = dict(origin or {})
        self._chance = chance or random.Random()  # noqa: S311 - the jitter of retries is no secret
        self._live: dict[str, tuple[Execution, asyncio.Task[None]]] = {}

    def execution(self, run_id: str) -> Execution | None:
        """The run's execution, if it is executed here and now."""
        live = self._live.get(run_id)
        return live[0] if live is not None and not live[0].done else None

    def obeys(self, run_id: str) -> bool:
        """Whether the run is executed here, and not past everything that a command could change."""
        execution = self.execution(run_id)
        return execution is not None and not execution.ending

    def status(self, run_id: str) -> RunStatus:
        """Where a run stands, whoever executes it."""
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
    ) -> Execution:
        """Record a new run and begin to execute it on the current event loop.

        It may be a row of a batch; `ledgers` hold what it may spend together with others.
        """
        require_shared(plan, options.refresh)
        nonce = secrets.token_hex(3)
        redactor = Redactor(inputs.secrets, nonce)
        new = self._new_run(plan, inputs, redactor, time.time(), options, nonce)
        if batch is not None:
            new = replace(new, batch=batch[0], row=batch[1])

        journal = await self._journal.begin(new, self._owner)
        assignment = self._assignment(plan, inputs, redactor, new.now, options, ledgers=ledgers)
        return self._execute(assignment, journal.lease, journal)

    async def resume(
        self,
        run_id: str,
        compile: Callable[[RunRecord], Plan],
        given: Mapping[str, Any],
        options: Options,
        *,
        edited: Plan | None = None,
        again: str | None = None,
        by: str = "",
        ledgers: tuple[Ledger, ...] = (),
    ) -> Execution:
        """Take a run up where it was left and go on with it on the current event loop.

        `compile` makes the plan anew from the recorded source; `given` are its secrets. With `edited` the run goes on
        with that plan and keeps what is still good; with `again` it does the step at that path again. Then it may have
        succeeded.

        Raises:
            RunOwned: Another live process executes it.
            RunNotResumable: It has succeeded, or its plan is not what it was.
            RunError: ORC809, it has no step `again`.
            InputError: A secret is missing, or the edited plan needs another input (ORC810).
        """
        ending = self.execution(run_id)
        if ending is not None and ending.ending:
            await asyncio.wrap_future(ending.left)

        def take() -> tuple[Assignment, Lease, RunJournal]:
            revised = edited is not None or again is not None
            if not revised:
                refuse_if_succeeded(self.store.status(run_id))
            lease = self.store.acquire(run_id, self._owner)
            journal = None
            try:
                if not revised:
                    refuse_if_succeeded(self.store.status(run_id))
                record = self.store.record(run_id)
                plan = edited or _unchanged(record, compile(record))
                assignment = replace(self._taken_up(plan, record, given, options), ledgers=ledgers)
                journal = self._journal.attach(lease)
                if revised:
                    data = self._revision(record, assignment, again)
                    journal.record("run.revised", data={**data, "by": by})
                    journal.flush()
                    # What is to be done again is not to be taken from the cache.
                    refresh = assignment.refresh | ({again} if again is not None else set())
                    assignment = replace(assignment, recorded=self._recorded(run_id), refresh=refresh)
                self._discard_commands(run_id)
                return assignment, lease, journal
            except BaseException:
                if journal is not None:
                    journal.detach()
                self.store.release(lease)
                raise

        def give_back(taken: tuple[Assignment, Lease, RunJournal]) -> None:
            taken[2].detach()
            self.store.release(taken[1])

        assignment, lease, journal = await _claimed(take, give_back)
        return self._execute(assignment, lease, journal)

    async def fork(
        self,
        run_id: str,
        compile: Callable[[RunRecord], Plan],
        path: str,
        given: Mapping[str, Any],
        options: Options,
    ) -> Execution:
        """Begin a new run with what another one has achieved but for the step at `path` and what came of it.

        `given` are inputs that are to differ, and the secrets.

        Raises:
            RunError: ORC809, there is no such step.
            InputError: An input does not fit, or a secret is missing.
        """

        def create() -> tuple[Assignment, Lease, RunJournal]:
            record = self.store.record(run_id)
            plan = _unchanged(record, compile(record))
            require_shared(plan, options.refresh)
            permissions = permissions_for(self.permissions, record)
            bound = rebind(plan.inputs, record.inputs, given, permissions=permissions, fixed=False)
            nonce = str(record.options.get("redaction", ""))  # its marks are in what is shared
            redactor = Redactor(bound.secrets, nonce)
            inputs = Bound(redactor.restore(bound.values), bound.secrets)
            effective = _effective(options, record)
            forget = paths_to_forget(run_id, record.plan, self._recorded(run_id), path)
            new = replace(
                self._new_run(plan, inputs, redactor, time.time(), effective, nonce),
                forked_from={"run_id": run_id, "step": path},
            )
            events = shared_events(lambda: self.events(run_id, resolve=False), new.run_id, forget)
            lease, state = self.store.begin_run(new, self._owner, copied=events)
            journal = self._journal.attach(lease, state)
            found = self._recorded(new.run_id)
            for message in _reads_of_changed(record, new, found):
                journal.record("run.warning", data={"message": message})
            return (
                self._assignment(
                    plan, inputs, redactor, new.now, effective, permissions=permissions, resumed=True, recorded=found
                ),
                lease,
                journal,
            )

        def give_up(created: tuple[Assignment, Lease, RunJournal]) -> None:
            created[2].record("run.cancelled", data={"reason": "its caller was cancelled", "by": ""})
            created[2].flush()
            created[2].detach()
            self.store.release(created[1])

        assignment, lease, journal = await _claimed(create, give_up)
        return self._execute(assignment, lease, journal)

    def rehearse(self, run_id: str, compile: Callable[[RunRecord], Plan], given: Mapping[str, Any]) -> None:
        """Raise what `resume` would raise for what this process lacks. Nothing happens."""
        record = self.store.record(run_id)
        plan = _unchanged(record, compile(record))
        rebind(plan.inputs, record.inputs, given, permissions=permissions_for(self.permissions, record))

    def changes(self, run_id: str, edited: Plan, given: Mapping[str, Any]) -> Changes:
        """Say what of a run would be kept if it went on with this plan. Nothing happens."""
        record = self.store.record(run_id)
        try:
            secrets = rebind(edited.inputs, record.inputs, given, permissions=self.permissions).secrets
        except InputError as error:
            if error.code != codes.SECRET_REQUIRED_AGAIN:
                raise
            secrets = {}  # they are needed to go on, but not to see what would happen
        redactor = Redactor(secrets, str(record.options.get("redaction", "")))
        return self._compared(record, redactor.scrub_plan(plan_data(edited)), self._recorded(run_id))

    def answer(self, run_id: str, path: str, value: Any, by: str) -> Command | None:
        """Record the answer to a question that a run asks. Returns the command for the run's owner if it has one here.

        Raises:
            RunError: ORC606, it asks no such question.
            InputError: ORC605, this is no answer to it.
        """
        _, question = _asked(self.status(run_id), path)
        command = Command("answer", {"path": path, "value": accepted(question, value)}, by)
        if self.execution(run_id) is not None:
            return command
        try:
            lease = self.store.acquire(run_id, self._owner)
        except RunOwned:
            self.store.send(run_id, command)
            return None
        try:  # somebody else may have answered before it was ours
            step, question = _asked(self.store.status(run_id), path)
            answer = accepted(question, value)
        except OrchestratorError:
            self.store.release(lease)
            raise
        self._note(lease, "step.answered", path, step.attempt, {"value": answer, "by": by})
        return None

    def control(self, run_id: str, command: Command) -> None:
        """Have a run that is not executed here paused, resumed or cancelled: by its owner, or if it has none, here.

        Raises:
            RunNotResumable: The run has ended already.
        """
        if command.kind == "answer":  # it was executed here until a moment ago
            self.answer(run_id, command.data["path"], command.data["value"], command.by)
            return
        status = self.store.status(run_id)
        if status.ended:
            if status.state == "cancelled" and command.kind == "cancel":
                return
            raise RunNotResumable(
                f"run `{run_id}` has already {_ENDED[status.state]}",
                run_id=run_id,
                remedies=[ShowRun(run_id) if status.state == "succeeded" else Resume(run_id)],
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
        if self.store.status(run_id).ended:  # it ended before it was ours
            self.store.release(lease)
            self.control(run_id, command)
        elif command.kind == "pause":
            self._note(lease, "run.paused", data={"by": command.by})
        else:
            data = {"reason": command.data.get("reason", ""), "by": command.by}
            self._note(lease, "run.cancelled", data=data)

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

    def _new_run(
        self, plan: Plan, inputs: Bound, redactor: Redactor, now: float, options: Options, nonce: str
    ) -> NewRun:
        recorded: dict[str, Any] = {
            "max_parallel": options.max_parallel,
            "timeout": options.timeout,
            "redaction": nonce,
        }
        recorded |= {label_key(label): True for label in options.labels}
        if not options.cache:
            recorded["cache"] = False
        if self._origin:
            recorded["origin"] = self._origin  # what the person who started the run typed, as is its directory
        return NewRun(
            run_id=new_run_id(),
            pipeline=plan.id,
            name=plan.name,
            source_name=plan.source_name,
            source_text=plan.source_text,
            sources=plan.sources,
            directory=str(plan.directory),
            digest=plan.digest,
            plan=redactor.scrub_plan(plan_data(plan)),
            inputs=inputs.recorded(redactor),
            options=recorded,
            now=now,
            total=len(plan.steps),
            metadata=redactor.scrub(plan.metadata),
        )

    def _assignment(
        self,
        plan: Plan,
        inputs: Bound,
        redactor: Redactor,
        now: float,
        options: Options,
        *,
        permissions: Permissions | None = None,
        **resumed: Any,
    ) -> Assignment:
        return Assignment(
            plan=plan,
            inputs=inputs,
            redactor=redactor,
            now=now,
            permissions=permissions or self.permissions,
            max_parallel=options.max_parallel or plan.max_parallel or DEFAULT_MAX_PARALLEL,
            timeout=options.timeout,
            use_cache=options.cache,
            refresh=options.refresh,
            budget=options.budget,
            sizes=options.sizes,
            **resumed,
        )

    def _taken_up(self, plan: Plan, record: RunRecord, given: Mapping[str, Any], options: Options) -> Assignment:
        require_shared(plan, options.refresh)
        permissions = permissions_for(self.permissions, record)
        bound = rebind(plan.inputs, record.inputs, given, permissions=permissions)
        redactor = Redactor(bound.secrets, str(record.options.get("redaction", "")))
        inputs = Bound(redactor.restore(bound.values), bound.secrets)
        found = self._recorded(record.run_id)
        effective = _effective(options, record)
        data = plan_data(plan)
        earlier = spent_by_step(self.events(record.run_id, resolve=False), data) if has_budgets(data) else {}
        return self._assignment(
            plan,
            inputs,
            redactor,
            record.now,
            effective,
            permissions=permissions,
            resumed=True,
            recorded=found,
            earlier=earlier,
        )

    def _recorded(self, run_id: str) -> ResumeState:
        return self.store.put_values(read_resume_state(lambda: self.events(run_id, resolve=False)))

    def _revision(self, record: RunRecord, assignment: Assignment, again: str | None) -> dict[str, Any]:
        """The data of `run.revised`."""
        found = assignment.recorded
        if again is not None:
            forget = paths_to_forget(record.run_id, record.plan, found, again)
            return {"reason": "retry", "step": again, "forget": list(forget), "settled": _counts(found.without(forget))}
        plan, redactor = assignment.plan, assignment.redactor
        data = redactor.scrub_plan(plan_data(plan))
        forget = self._compared(record, data, found).forget
        return {
            "reason": "with",
            "forget": list(forget),
            "settled": _counts(found.without(forget)),
            "source": plan.source_text,
            "source_name": plan.source_name,
            "sources": plan.sources,
            "directory": str(plan.directory),
            "plan": data,
            "digest": plan.digest,
            "steps": len(plan.steps),
            "inputs": assignment.inputs.recorded(redactor),
        }

    def _compared(self, record: RunRecord, plan: Mapping[str, Any], found: ResumeState) -> Changes:
        error = self.store.status(record.run_id).error or {}
        return compare(record.run_id, record.plan, plan, found, failed=str(error.get("step") or ""))

    def _note(
        self, lease: Lease, type: EventType, path: str = "", attempt: int = 0, data: Mapping[str, Any] | None = None
    ) -> None:
        """Record one event of a run that nobody executes, and give it back."""
        journal = self._journal.attach(lease)
        try:
            journal.record(type, path, attempt, data)
            journal.flush()
        finally:
            journal.detach()
            self.store.release(lease)

    def _discard_commands(self, run_id: str) -> None:
        """Commands that were meant for an earlier owner: who resumes a run does not want it cancelled by those."""
        stale = [number for number, _, _ in self.store.commands([run_id])]
        if stale:
            self.store.acknowledge(stale)

    def _execute(self, assignment: Assignment, lease: Lease, journal: RunJournal) -> Execution:
        execution = Execution(
            assignment,
            self.store,
            lease,
            journal,
            services=self.services,
            executor=self._executor,
            chance=self._chance,
            give_back=self._watch.give_back,
        )
        task = asyncio.get_running_loop().create_task(self._run(execution), name=f"run {execution.run_id}")
        self._live[execution.run_id] = (execution, task)
        self._watch.add(execution)
        task.add_done_callback(lambda _: self._left(execution))
        return execution

    def _left(self, execution: Execution) -> None:
        """Give back a run whose task was cancelled before it began, as when its event loop ends at once."""
        if not execution.done:
            execution.abandon()
        self._watch.remove(execution)
        self._live.pop(execution.run_id, None)

    async def _run(self, execution: Execution) -> None:
        with suppress(OrchestratorError):  # those who wait for the run are told
            await execution.run()


_ENDED = {"succeeded": "succeeded", "failed": "failed", "cancelled": "been cancelled"}


def refuse_if_succeeded(status: RunStatus) -> None:
    """Raise RunNotResumable for a run with nothing left to do."""
    if status.state == "succeeded":
        raise RunNotResumable(
            f"run `{status.run_id}` has succeeded, so there is nothing to resume",
            run_id=status.run_id,
            remedies=[ShowRun(status.run_id)],
        )


def _unchanged(record: RunRecord, plan: Plan) -> Plan:
    """Return the plan that was compiled anew, if it still is the recorded one."""
    if plan.digest != record.digest:
        raise RunNotResumable(
            f"run `{record.run_id}` cannot go on: its pipeline compiles to another plan than when the run was created",
            run_id=record.run_id,
            help="its tools have changed; give those that it was started with, or run the steps of the new ones again",
            remedies=[Resume(record.run_id, edited=True)],
        )
    return plan


def _effective(options: Options, record: RunRecord) -> Options:
    """The options given now, else those that the run was created with."""
    return replace(
        options,
        max_parallel=options.max_parallel or record.options.get("max_parallel"),
        timeout=options.timeout or record.options.get("timeout"),
        cache=options.cache and bool(record.options.get("cache", True)),
    )


def permissions_for(given: Permissions, record: RunRecord) -> Permissions:
    """Return what a run may do here. Its relative paths still start where it was started, if that is allowed."""
    origin = record.options.get("origin") or {}
    tools = origin.get("tools") or ()
    given = given.protecting(
        *named_sources(tools, given.directory), searched=searched_directories(tools, (), given.directory)
    )
    paths = origin.get("paths") or [str(given.roots[0])]
    directory = Path(paths[0])
    if directory == given.roots[0] or not any(directory.is_relative_to(root) for root in given.roots):
        return given
    return replace(given, directory=directory)


def _counts(found: ResumeState) -> dict[str, int]:
    """How many top-level steps have ended, by how."""
    settled = [record for path, record in found.steps.items() if is_top_level(path) and record.settled]
    return {state: sum(record.state == state for record in settled) for state in ("succeeded", "skipped", "failed")}


def _reads_of_changed(record: RunRecord, new: NewRun, found: ResumeState) -> Iterator[str]:
    """Say which steps were taken over although an input that they read is another one."""
    changed = [name for name, value in new.inputs.items() if value != record.inputs.get(name)]
    for path, names in inputs_read(new.plan, changed).items():
        step = found.steps.get(path)
        if step is not None and step.settled:
            read = quoted_list(names, last="and")
            yield f"`{path}` was taken over from run {record.run_id} as it is, although it reads {read}, which changed"


def _asked(status: RunStatus, path: str) -> tuple[ActiveStep, Mapping[str, Any]]:
    """The step that waits for an answer, and its question."""
    asked = {step.path: step for step in status.active if step.question is not None and not step.answered}
    step = asked.get(path)
    if step is None or step.question is None:
        raise _nobody_asked(status, path, list(asked))
    return step, step.question


def _nobody_asked(status: RunStatus, path: str, asked: Sequence[str]) -> RunError:
    run_id, remedies = status.run_id, tuple[Remedy, ...]()
    if any(step.path == path and step.answered for step in status.active):
        listed, remedies = "it has its answer already", (Resume(run_id),)
    elif asked:
        near = suggest(path, asked)
        listed = f"did you mean `{near}`?" if near else "it asks " + quoted_list(asked)
    elif status.ended:
        listed = f"it has {_ENDED[status.state]}"
    else:
        listed, remedies = "it asks nothing now", (ShowStatus(run_id),)
    message = f"no step `{path}` of run `{run_id}` waits for an answer"
    return RunError(message, run_id=run_id, code=codes.NO_OPEN_QUESTION, help=listed, remedies=remedies)


async def _claimed(take: Callable[[], T], give_back: Callable[[T], None]) -> T:
    """Take something in a thread; if the caller is cancelled meanwhile, it is given back."""
    lock = threading.Lock()
    taken: list[T] = []
    abandoned = False

    def work() -> T:
        found = take()
        with lock:
            taken.append(found)
            late = abandoned
        if late:
            give_back(found)
        return found

    thread = asyncio.ensure_future(anyio.to_thread.run_sync(work, abandon_on_cancel=True))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        with lock:
            abandoned = True
            found = list(taken)
        for each in found:
            give_back(each)
        await asyncio.wait({thread})  # so that nothing of it goes on after the caller has heard of it
        if not thread.cancelled():
            thread.exception()  # nobody else hears of it
        raise


def _is_current(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
