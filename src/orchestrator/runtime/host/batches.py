"""One run for each row of a batch: rows are read and results handed over as they come, neither is held in memory.

A batch can be resumed: a row that succeeded is not run again, an unfinished run is resumed, and one that cannot be
resumed is replaced by a new run. One short entry per started row is kept for that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.errors import BudgetExceeded, InputError, OrchestratorError, RunError, RunNotResumable, StoreError
from orchestrator.journal.events import RunState
from orchestrator.journal.records import BatchProgress, RowProblem, unknown_batch
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.language.spec.input_values import fill_defaults, input_problems
from orchestrator.models.budget import Ledger
from orchestrator.runtime.host.follow import Follower, recorded_end
from orchestrator.runtime.host.options import MAX_ROWS
from orchestrator.runtime.host.threads import in_thread
from orchestrator.runtime.ids import new_run_id
from orchestrator.runtime.values.inputs import bind, plain
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from orchestrator.journal import Event, RunStatus
    from orchestrator.models.budget import Budget
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.host.engine import Engine
    from orchestrator.runtime.host.execution import Execution
    from orchestrator.runtime.host.options import Options

Row = Mapping[str, Any] | OrchestratorError
"""The inputs of one run, or why they could not be read."""

RECORD_SECONDS = 1.0
"""How often the number of rows that were read is recorded."""

MOST_PROBLEMS = 100
"""Of how many invalid rows the batch keeps what is wrong."""

LONGEST_PROBLEM = 500
"""How many characters are kept of it."""


class RowResult(Struct, frozen=True):
    """What became of one row, counted from 1.

    An `invalid` row has no run, as its inputs do not fit, and a `pending` one as it was never begun: the budget of the
    batch was used up before. `error` is as in a run's status: `{code, type, message, help, ...}`. `spending` is what
    its run has taken of models.
    """

    row: int
    run_id: str | None
    state: RunState | Literal["invalid", "pending"]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    spending: Spending = NOTHING

    @property
    def ok(self) -> bool:
        """Whether the run succeeded."""
        return self.state == "succeeded"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "row": self.row,
            "run_id": self.run_id,
            "state": self.state,
            "outputs": dict(self.outputs),
            "error": dict(self.error) if self.error is not None else None,
            **(self.spending.to_dict() if self.spending else {}),
        }


class Batch:
    """Many runs of one pipeline, `max_parallel` of them at once, on one event loop."""

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        options: Options,
        *,
        batch: str | None = None,
        may_be_new: bool = False,
        max_parallel: int = MAX_ROWS,
        budget: Budget | None = None,
        by: str = "",
    ) -> None:
        """With `batch`, resume the batch of that id, or start it if it `may_be_new`; without it, start a new one.

        `budget` is what all its runs may spend together, with those of before; `by` is who starts or resumes them.
        """
        self.id = batch or new_run_id()
        self._engine = engine
        self._plan = plan
        self._options = options
        self._by = by
        self._goes_on = batch is not None
        self._may_be_new = may_be_new
        self._max_parallel = max_parallel
        self._ledgers = () if budget is None else (Ledger(budget, f"batch {self.id}"),)
        self._known: dict[int, tuple[str, RunState]] = {}
        self._rows: Iterator[tuple[int, Row]] = iter(())
        self._read = 0
        self._invalid = 0
        self._problems: list[RowProblem] = []
        self._complete = False
        self._recorded_at = 0.0
        self._reading = asyncio.Lock()
        self._results: asyncio.Queue[RowResult | BaseException | None] = asyncio.Queue(max_parallel)
        self._interruptible: set[asyncio.Task[None]] = set()
        self._under_way: set[Execution] = set()
        self._stopping = False
        self._used_up: Mapping[str, Any] | None = None
        """The error of the first run that the batch had no budget left for."""

    def results(self, rows: Iterable[Row]) -> AsyncGenerator[RowResult, None]:
        """Run all rows, and yield the results in the order in which the runs end.

        Closing the iterator interrupts the runs in flight, so that the batch can be resumed later.

        Raises:
            RunError: ORC817, the batch is unknown, or a row has changed since the batch started.
            StoreError: What happens cannot be recorded.
        """
        return self.numbered_results(enumerate(rows, 1))

    async def numbered_results(self, rows: Iterable[tuple[int, Row]]) -> AsyncGenerator[RowResult, None]:
        """As `results`, of rows with their numbers: those of a batch that is resumed may be only some of them."""
        if self._goes_on:
            self._known = await in_thread(self._begun)
            for ledger in self._ledgers:
                ledger.know(await in_thread(partial(self._engine.store.spent_by_batch, self.id)))
        await in_thread(self._record)
        self._rows = iter(rows)
        loop = asyncio.get_running_loop()
        workers = [loop.create_task(self._work()) for _ in range(self._max_parallel)]
        working = len(workers)
        try:
            while working:
                result = await self._results.get()
                if self._stopping:
                    return
                if isinstance(result, BaseException):
                    raise result
                if result is None:
                    working -= 1
                else:
                    yield result
        finally:
            self.stop()
            await asyncio.gather(*workers, return_exceptions=True)
            with suppress(StoreError):  # whatever stopped the batch is reported
                await in_thread(self._record)

    def stop(self) -> None:
        """Interrupt the runs in flight; the results end as soon as they have been left."""
        if self._stopping:
            return
        self._stopping = True
        for execution in list(self._under_way):
            execution.interrupt("the batch was stopped")
        for task in list(self._interruptible):
            task.cancel()
        if self._results.empty():
            self._results.put_nowait(None)  # wakes the reader of the results

    def _begun(self) -> dict[int, tuple[str, RunState]]:
        """The newest run of each row, and how it stands."""
        begun = {row: (run_id, state) for row, run_id, state in self._engine.store.batch(self.id)}
        if not begun and not self._may_be_new and not self._engine.store.has_batch(self.id):
            raise unknown_batch(self.id, self._engine.store.url)
        return begun

    async def _work(self) -> None:
        """Run one row after another, until there are no more."""
        last: BaseException | None = None
        try:
            while not self._stopping:
                entry = await self._interrupted_by_stop(self._next())
                if entry is None or self._stopping:
                    return
                result = await self._one(*entry)
                if not self._stopping:
                    await self._interrupted_by_stop(self._results.put(result))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the reader of the results receives it
            last = error
        finally:
            if not self._stopping:
                await self._interrupted_by_stop(self._results.put(last))

    async def _next(self) -> tuple[int, Row] | None:
        """The next row; reading may take its time, so it is done in a thread."""
        async with self._reading:
            return await in_thread(self._read_row)

    def _read_row(self) -> tuple[int, Row] | None:
        entry = next(self._rows, None)
        self._complete = entry is None
        if entry is not None:
            self._read = max(self._read, entry[0])
            if time.monotonic() - self._recorded_at > RECORD_SECONDS:
                self._record()
        return entry

    def _record(self) -> None:
        """Record how many rows have been read."""
        self._recorded_at = time.monotonic()
        progress = BatchProgress(self._read, self._invalid, self._complete, tuple(self._problems))
        self._engine.store.put_batch(self.id, self._plan.id, progress)

    async def _interrupted_by_stop(self, waiting: Any) -> Any:
        """Wait for something that need not be waited for when the batch is stopped."""
        if (task := asyncio.current_task()) is None:
            raise RuntimeError("only workers wait")
        self._interruptible.add(task)
        try:
            return await waiting
        finally:
            self._interruptible.discard(task)

    async def _one(self, row: int, inputs: Row) -> RowResult:
        """Run one row to its end."""
        try:
            if isinstance(inputs, OrchestratorError):
                raise inputs
            if not isinstance(inputs, Mapping):
                raise InputError(
                    f"a row must be an object with the inputs, not {type(inputs).__name__}",
                    help='for example {"topic": "solar cells"}',
                )
            before = self._known.pop(row, None)
            if self._used_up is not None and (before is None or before[1] != "succeeded"):
                error = {**self._used_up, "step": None}
                return RowResult(row, before[0] if before else None, before[1] if before else "pending", error=error)
            if before:
                result = await self._again(row, inputs, *before)
                if result is not None:
                    return result
            bound = bind(self._plan.inputs, inputs, permissions=self._engine.permissions)
            execution = await self._engine.start(
                self._plan, bound, self._options, batch=(self.id, row), ledgers=self._ledgers, by=self._by
            )
        except InputError as error:
            self._invalid += 1
            if len(self._problems) < MOST_PROBLEMS:
                self._problems.append(RowProblem(row, error.code, shorten(error.message, LONGEST_PROBLEM)))
            return RowResult(row, None, "invalid", error=error.to_dict())
        return await self._ended(row, execution)

    async def _again(self, row: int, inputs: Mapping[str, Any], run_id: str, state: str) -> RowResult | None:
        """Return the result of a row that was started before; None if it needs a new run."""
        if state == "succeeded":
            recorded, outputs = await in_thread(partial(self._achieved, run_id))
            self._require_same(row, inputs, run_id, recorded)
            return RowResult(row, run_id, "succeeded", outputs)
        record = await in_thread(partial(self._engine.store.record, run_id))
        self._require_same(row, inputs, run_id, record.inputs)
        if record.digest != self._plan.digest:
            return None
        try:
            execution = await self._engine.resume(
                run_id, lambda _: self._plan, inputs, self._options, ledgers=self._ledgers, by=self._by
            )
        except RunNotResumable:
            return await self._found(row, run_id)  # it has succeeded meanwhile
        except RunError as error:
            if error.code != codes.RUN_OWNED:
                raise
            return await self._found(row, run_id)  # another process executes it
        return await self._ended(row, execution)

    def _achieved(self, run_id: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The inputs and outputs of a run that succeeded, without reading anything else of it."""
        store = self._engine.store
        events = store.events(run_id, paths=[""])
        created, end = events[0], next(event for event in reversed(events) if event.type == "run.succeeded")
        found = store.resolve({"inputs": created.data["inputs"], "outputs": end.data["outputs"]})
        return found["inputs"], found["outputs"]

    def _require_same(self, row: int, inputs: Mapping[str, Any], run_id: str, recorded: Mapping[str, Any]) -> None:
        for name, value in inputs.items():
            spec = self._plan.inputs.get(name)
            if spec is None or spec.secret or name not in recorded:
                continue
            value = plain(value)
            if input_problems(spec, value, name) or fill_defaults(spec, value) != recorded[name]:
                raise RunError(
                    f"row {row} has changed since batch `{self.id}` started: `{name}` differs",
                    run_id=run_id,
                    code=codes.BATCH_NOT_FOUND,
                    help="resume with the same rows in the same order, or start a new batch",
                )

    async def _ended(self, row: int, execution: Execution) -> RowResult:
        """Wait for a run that is executed here."""
        self._under_way.add(execution)
        try:
            if self._stopping:
                execution.interrupt("the batch was stopped")
            await asyncio.wrap_future(execution.resting)
            if execution.end is not None:
                result = _result(row, execution.status(), execution.end)
                if any(_is_for(ledger, result) for ledger in self._ledgers):
                    self._used_up = self._used_up or result.error
                return result
            # It is paused, or waits for a person: leave it, to keep nothing of it in memory meanwhile.
            execution.interrupt("the batch continues without it")
            await asyncio.wrap_future(execution.left)
            return await self._found(row, execution.run_id)
        finally:
            self._under_way.discard(execution)

    async def _found(self, row: int, run_id: str) -> RowResult:
        """Wait for a run that ends elsewhere, or rests; most often it has done so already."""
        status, end = await Follower(self._engine, run_id).arest(None)
        if status.state == "succeeded" and end is None:
            status, end = await in_thread(partial(recorded_end, self._engine.store, status))
        return _result(row, status, end)


def _is_for(ledger: Ledger, result: RowResult) -> bool:
    """Whether a run has failed because of this budget: there is no other of a batch of this id."""
    error = result.error or {}
    return error.get("code") == BudgetExceeded.default_code and ledger.scope in str(error.get("message"))


def _result(row: int, status: RunStatus, end: Event | None) -> RowResult:
    outputs = end.data.get("outputs", {}) if end is not None and status.state == "succeeded" else {}
    return RowResult(row, status.run_id, status.state, outputs, status.error, status.spending)
