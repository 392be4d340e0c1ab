"""Waiting for a run and reading it along, whether it is executed here or by another process."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import aclosing, closing
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from orchestrator.errors import StepError, StoreError
from orchestrator.history.result import Result, result_of
from orchestrator.history.tracebacks import recorded_cause
from orchestrator.journal import ENDS
from orchestrator.journal.feeds.run_reader import EVENTS_AT_ONCE
from orchestrator.runtime.host.threads import in_reader_thread, in_thread
from orchestrator.runtime.run.answer_stream import merge_by_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
    from concurrent.futures import Future

    from orchestrator.history.result import ResultInspector
    from orchestrator.journal import ActiveStep, Event, RunStatus, Store
    from orchestrator.journal.feeds.run_reader import RunReader
    from orchestrator.runtime.host.execution import Execution
    from orchestrator.runtime.run.answer_stream import AnswerSubscription

T = TypeVar("T")

INTERVAL = 0.5
"""Seconds between two looks at a run whose state may change without an event."""

SUCCEEDED: Final = "run.succeeded"

STREAM_INTERVAL = 0.1
"""Seconds between two wakes of a reader while answers of models are streamed."""


class RunHost(Protocol):
    """Where runs are read, and executed if they are executed in this process: an engine, or what has one if needed."""

    @property
    def store(self) -> Store:
        """The store of the runs."""

    def execution(self, run_id: str) -> Execution | None:
        """Return the run's execution, if it is executed here and now."""

    def status(self, run_id: str) -> RunStatus:
        """Return the status of a run, in whichever process it is executed."""


class AnswerStream:
    """The deltas of the answers of a run's models, while this process executes the run."""

    def __init__(self, host: RunHost, run_id: str, notify: Callable[[], None] = lambda: None) -> None:
        """`notify` is called when there is a delta to take."""
        self._host = host
        self._run_id = run_id
        self._notify = notify
        self._subscription: AnswerSubscription | None = None

    def take(self, passed: float = math.inf) -> list[Event]:
        """Return the deltas since the last call, of those that followed the event numbered `passed` or earlier ones."""
        execution, subscription = self._host.execution(self._run_id), self._subscription
        deltas = subscription.take(passed) if subscription is not None else []
        if subscription is not None and (execution is None or execution.answers is not subscription.publisher):
            self.close()
        if self._subscription is None and execution is not None:
            self._subscription = execution.answers.subscribe(self._notify)
        return deltas

    def close(self) -> None:
        """Receive no further deltas."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None


class Follower:
    """A view of one run. Every method `x` has the async twin `ax`."""

    def __init__(self, host: RunHost, run_id: str, inspector: ResultInspector | None = None) -> None:
        """`inspector` checks the quality of its results."""
        self._host = host
        self._inspector = inspector
        self._run_id = run_id
        self._seen: Execution | None = None
        self._cause: BaseException | None = None

    def saw(self, execution: Execution) -> None:
        """Know of an execution that has begun here, though it may be over before anybody looks."""
        self._seen = execution

    def events(self, after: int, *, follow: bool) -> Iterator[Event]:
        """Yield the events after `after`; with `follow` until the run has ended or no process executes it any more.

        With `follow`, pieces of answers are among them while the run is executed here.
        """
        if not follow:
            while batch := self._batch(after):
                yield from batch
                after = batch[-1].seq
            return
        reader, checked = self._reader(), -1
        with closing(self._stream(reader)) as stream:
            while True:
                seen = reader.version()  # first: what happens from here on differs from it
                batch = reader.read(after)
                after = batch[-1].seq if batch else after
                yield from merge_by_time(batch, stream.take(after))
                if len(batch) == EVENTS_AT_ONCE:
                    continue
                if seen[1] != checked or _may_be_over(batch):
                    if _is_over(self._status(), after):
                        return
                    checked = seen[1]
                reader.wait(seen)

    async def aevents(self, after: int, *, follow: bool) -> AsyncIterator[Event]:
        """As `events`. It takes no thread while it waits."""
        if not follow:
            while page := await in_reader_thread(partial(self._batch, after)):
                for event in page:
                    yield event
                after = page[-1].seq
            return
        async with aclosing(self.abatches(after)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def abatches(self, after: int) -> AsyncGenerator[Sequence[Event], None]:
        """As `aevents` with `follow`, but all events that there are at a time together: for many readers of a run."""
        reader, checked = await in_reader_thread(self._reader), -1
        with closing(self._stream(reader)) as stream:
            while True:
                seen = reader.version()
                shared = reader.shared(after)
                batch = await in_reader_thread(partial(reader.read, after)) if shared is None else shared
                after = batch[-1].seq if batch else after
                if merged := merge_by_time(batch, stream.take(after)):
                    yield merged
                if len(batch) == EVENTS_AT_ONCE:
                    continue
                if seen[1] != checked or _may_be_over(batch):
                    if _is_over(await self._astatus(), after):
                        return
                    checked = seen[1]
                await reader.wait_async(seen)

    def answer_stream(self) -> AnswerStream:
        """Stream the answers of the run's models, if it is executed here. Close it."""
        return AnswerStream(self._host, self._run_id)

    def rest(self, timeout: float | None) -> tuple[RunStatus, Event | None]:
        """Wait until the run has ended, is paused with nothing running, waits for an answer alone, or is interrupted.

        Returns its status, and its last event if it ended here, which then need not be read.

        Raises:
            TimeoutError: It still runs after `timeout` seconds.
            StoreError: It was executed here and had to be given up because of the store.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        reader: RunReader | None = None
        while True:
            seen = (0, 0) if reader is None else reader.version()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            execution = self._execution()
            if execution is not None:
                try:
                    _wait_for(execution.resting, left, self._still_running)
                except StoreError:
                    self._seen = None
                    raise
                if execution.end is not None:
                    self._cause = execution.cause
                    return execution.status(), execution.end
            status = self._status()
            if execution is not None and status.ended:  # not durably yet: it rested, and has continued since
                _wait_for(execution.left, left, self._still_running)
                continue
            if rests(status):
                return status, None
            if left == 0.0:
                raise self._still_running()
            if reader is None:
                reader = self._reader()  # and look again: nothing was announced to it before
            else:
                reader.wait(seen, _sooner(left, _look_again(status, execution)))

    async def arest(self, timeout: float | None) -> tuple[RunStatus, Event | None]:  # noqa: ASYNC109 - a twin
        """As `rest`."""
        try:
            reader: RunReader | None = None
            async with asyncio.timeout(timeout):
                while True:
                    seen = (0, 0) if reader is None else reader.version()
                    execution = self._execution()
                    if execution is not None:
                        try:
                            await asyncio.shield(asyncio.wrap_future(execution.resting))
                        except StoreError:
                            self._seen = None
                            raise
                        self._cause = execution.cause
                        if execution.end is not None and execution.is_on_this_thread:
                            return execution.status(), execution.end
                    status = await self._astatus()
                    if execution is not None and status.ended:
                        await asyncio.shield(asyncio.wrap_future(execution.left))
                        continue
                    if rests(status):
                        return status, None
                    if reader is None:
                        reader = await in_reader_thread(self._reader)
                    else:
                        await reader.wait_async(seen, _look_again(status, execution))
        except TimeoutError:
            raise self._still_running() from None

    def _execution(self) -> Execution | None:
        """The run's execution, if it is executed here.

        Raises:
            StoreError: It was until a moment ago, and had to be given up; this is raised once.
        """
        execution = self._host.execution(self._run_id)
        seen, self._seen = self._seen, execution
        if execution is None and seen is not None and (error := seen.resting.exception()) is not None:
            raise error
        return execution

    def result(self, status: RunStatus, end: Event | None = None) -> Result:
        """What the run has achieved as of `status`, or later if it is executed and its end is not in the store yet."""
        if status.state == "succeeded" and end is None:
            status, end = recorded_end(self._host.store, status)
        outputs = end.data.get("outputs", {}) if end is not None else {}
        return result_of(self._host.store, status, outputs, self._inspector)

    def cause(self, result: Result) -> BaseException | None:
        """What the tool raised for which the run failed: itself if that was here, else as it is recorded."""
        error = result.error or {}
        if result.state != "failed" or error.get("code") != StepError.default_code or self._cause is not None:
            return self._cause
        return recorded_cause(self._host.store, self._run_id, error)

    async def acause(self, result: Result) -> BaseException | None:
        """As `cause`."""
        return await in_thread(partial(self.cause, result))

    async def aresult(self, status: RunStatus, end: Event | None = None) -> Result:
        """As `result`."""
        return self.result(status, end) if end is not None else await in_thread(partial(self.result, status))

    def _status(self) -> RunStatus:
        return self._host.status(self._run_id)

    async def _astatus(self) -> RunStatus:
        execution = self._host.execution(self._run_id)
        return await in_reader_thread(self._status) if execution is None else await execution.astatus()

    def _reader(self) -> RunReader:
        return self._host.store.reader(self._run_id)

    def _stream(self, reader: RunReader) -> AnswerStream:
        return AnswerStream(self._host, self._run_id, partial(reader.stir, STREAM_INTERVAL))

    def _batch(self, after: int) -> list[Event]:
        return self._host.store.events(self._run_id, after=after, limit=EVENTS_AT_ONCE, resolve=True)

    def _still_running(self) -> TimeoutError:
        return TimeoutError(f"run `{self._run_id}` has not ended yet")


def recorded_end(store: Store, status: RunStatus) -> tuple[RunStatus, Event | None]:
    """Return the end of a run that has succeeded as of `status`, together with a status that agrees with it.

    A status of a run that is executed here may be ahead of the store. Then the recorded status is returned instead, in
    which the run may not have ended, with None.

    Raises:
        RunNotFound: The run has been removed meanwhile.
    """
    while status.state == "succeeded":
        last = store.events(status.run_id, after=status.last_seq - 1, limit=1, resolve=True)
        if last and last[0].type == SUCCEEDED:
            return status, last[0]
        recorded = store.status(status.run_id)
        if recorded == status:
            raise StoreError(
                f"event {status.last_seq} of run `{status.run_id}` is not its end, though it has succeeded"
            )
        status = recorded
    return status, None


def _wait_for(future: Future[None], seconds: float | None, still_running: Callable[[], TimeoutError]) -> None:
    try:
        future.result(seconds)
    except TimeoutError:
        raise still_running() from None


def rests(status: RunStatus) -> bool:
    """Whether nothing more will happen without a command or an answer."""
    if status.state == "waiting":
        return status.owner is None or not any(_goes_on_alone(step) for step in status.active)
    return status.ended or status.state == "interrupted" or (status.state == "paused" and not status.running)


def _goes_on_alone(step: ActiveStep) -> bool:
    """Whether a waiting step's owner continues it: with its answer, at the end of a wait, or without an answer."""
    return not step.kind and (step.answered or step.waiting_until is not None)


def _look_again(status: RunStatus, execution: Execution | None) -> float | None:
    """After how many seconds the state may be another one without an event, if it may be.

    Another process's run is `waiting` only some time after the question was asked; one that is executed here may rest
    and continue before that is recorded.
    """
    asks = any(step.question is not None for step in status.active)
    return INTERVAL if execution is not None or (asks and status.state == "running") else None


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _may_be_over(batch: Sequence[Event]) -> bool:
    return bool(batch) and batch[-1].type in ENDS


def _is_over(status: RunStatus, seen: int) -> bool:
    unowned = status.state == "interrupted" or (status.state == "waiting" and status.owner is None)
    return (status.ended or unowned) and seen >= status.last_seq
