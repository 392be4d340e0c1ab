"""What all steps of one run share: the plan, the limits, what was recorded before, and the journal."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from orchestrator.errors import StepError, StoreError
from orchestrator.journal.payload import Payload
from orchestrator.journal.records import EventTooLarge
from orchestrator.journal.run_payloads import RunWarningPayload
from orchestrator.journal.step_payloads import StepFailedPayload, StepSkippedPayload, StepSucceededPayload
from orchestrator.runtime.values.result_size import too_large
from orchestrator.runtime.values.undo_log import UndoLog

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from orchestrator.journal import Event, ResumeState
    from orchestrator.journal.store.event_data import EncodedData
    from orchestrator.plan.model import Plan
    from orchestrator.runtime.queue.step_times import StepTimes
    from orchestrator.runtime.run.answer_stream import AnswerPublisher
    from orchestrator.runtime.run.run_graph import StepFailure, StepNode
    from orchestrator.runtime.run.run_loop import RunLoop
    from orchestrator.runtime.values.inputs import Bound
    from orchestrator.runtime.values.redaction import Redactor
    from orchestrator.runtime.values.result_size import ResultSizes
    from orchestrator.tools import Permissions

MAX_CAUSES: Final = 8
"""Exceptions hold the values of all their frames, so few are kept."""

P = TypeVar("P", bound=Payload)

_ENDS: Final = (StepSucceededPayload, StepFailedPayload, StepSkippedPayload)
"""After these a step makes no further attempt, so its intermediate answers are of no more use."""


class RunLauncher(Protocol):
    """Starts runs that another run does not wait for."""

    async def __call__(self, plan: Plan, inputs: Bound, run_id: str) -> None:
        """Create the run with this id and begin to execute it; nothing happens if it exists."""


class EventLog(Protocol):
    """The part of a run's journal that a running run writes to."""

    durable: int
    """The number of the newest event that is known to be durable."""

    @property
    def last_seq(self) -> int:
        """The number of the newest event, durable or not."""

    @property
    def last_size(self) -> int:
        """The length of the last recorded event's data, in characters of JSON."""

    def record_payload(
        self,
        payload: Payload,
        path: str = "",
        attempt: int = 0,
        *,
        most: int | None = None,
        encoded: EncodedData | None = None,
    ) -> Event:
        """Append an event; it is durable after the next commit."""

    def encode(self, data: Mapping[str, Any], *, most: int | None = None, large: bool | None = None) -> EncodedData:
        """Encode the data of an event, on any thread."""

    def forget_values(self, path: str) -> None:
        """Note that the values within a block are not used any more."""

    async def commit(self) -> None:
        """Return when everything recorded so far is durable."""


class NoticeLog(Protocol):
    """Takes note of the occasions of notices."""

    def asked(self, path: str, question: Mapping[str, Any]) -> None:
        """Take note that a step asks a person."""

    def answered(self, path: str) -> None:
        """Take note that a step does not ask any more."""

    def spent(self) -> None:
        """Take note that the run has called a model."""


class RunContext:
    """The surroundings of the steps of one run, and its journal, which never receives a secret."""

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        log: EventLog,
        loop: RunLoop,
        *,
        now: datetime,
        permissions: Permissions,
        max_parallel: int,
        sizes: ResultSizes,
        redactor: Redactor,
        chance: random.Random,
        recorded: ResumeState,
        load: Callable[[Sequence[int]], list[Any]],
        answers: AnswerPublisher,
        times: StepTimes,
        notices: NoticeLog,
        start_run: RunLauncher,
    ) -> None:
        """`recorded` is what earlier owners of the run achieved; `load` reads the outputs of end events.

        `start_run` starts a run that this one does not wait for, unless it has been started already.
        `answers` publishes the answers that models are giving. `chance` decides the jitter of retries.
        `notices` takes note of what people are notified of.
        """
        self.plan = plan
        self.run_id = run_id
        self.log = log
        self.loop = loop
        self.now = now
        self.permissions = permissions
        self.max_parallel = max_parallel
        self.sizes = sizes
        self.redactor = redactor
        self.chance = chance
        self.recorded = recorded
        self.answers = answers
        self.times = times
        self.notices = notices
        self.start_run = start_run
        self.live: dict[str, StepNode] = {}
        """The steps that are being carried out, by path."""
        self.interrupted = False
        """Whether this process leaves the run, to be resumed elsewhere."""
        self.over = False
        """Whether nothing more may be recorded."""
        self.causes: dict[str, BaseException] = {}
        """What tools raised for which steps failed, by the steps' paths; the latest ones."""
        self.deferred = 0
        """The number of the newest event that something depends on and that was not awaited."""
        self.undo = UndoLog(plan, recorded)
        """What can be undone of what the run has done."""
        self._load = load
        self._warnings: set[str] = set()

    def defer(self) -> None:
        """Let what follows depend on everything recorded so far, without waiting until that is durable."""
        self.deferred = self.log.last_seq

    def idempotency_key(self, path: str) -> str:
        """Return the same for every attempt of a step, until the step is undone and begins again."""
        return f"{self.run_id}:{path}{self.undo.key(path)}"

    async def until_durable(self, seq: int) -> None:
        """Return when the event `seq` is durable: anything with effects starts only when all that it depends on is.

        Raises:
            StoreError: The journal cannot be written.
        """
        if self.log.durable < seq:
            await self.log.commit()

    def load(self, seqs: Sequence[int]) -> list[Any]:
        """Return the outputs that the events with these numbers recorded, with secrets."""
        restored: list[Any] = self.redactor.restore(self._load(seqs))
        return restored

    def record(self, payload: Payload, node: StepNode, *, encoded: EncodedData | None = None) -> Event:
        """Record an event of a step, without secrets. `encoded` is what `encode` has returned for it."""
        if isinstance(payload, _ENDS):
            self.recorded.kept.pop(node.path, None)
        if encoded is None:
            payload = self.scrubbed(payload)
        return self.log.record_payload(payload, node.path, node.attempt, encoded=encoded)

    def encode(self, end: StepSucceededPayload, *, large: bool) -> EncodedData:
        """Encode the end of a step without secrets, on any thread: a `large` one takes its time.

        Raises:
            EventTooLarge: It is larger than what is recorded.
        """
        return self.log.encode(self.scrubbed(end).to_data(), most=self.sizes.recorded, large=large)

    def record_item(self, path: str, end: StepSucceededPayload | StepFailedPayload) -> tuple[int, int]:
        """Record how an item of a loop, or a round, ended; return the event's number and size.

        Raises:
            StepError: Its result is larger than what is recorded.
        """
        most = self.sizes.recorded
        try:
            event = self.log.record_payload(self.scrubbed(end), path, 1, most=most)
        except EventTooLarge:
            raise self.too_large(end, path) from None
        return event.seq, self.log.last_size

    def too_large(self, end: StepSucceededPayload | StepFailedPayload, path: str) -> StepError:
        """Write a result that is too large to be recorded to a file, and return the error of its step."""
        output = end.output if isinstance(end, StepSucceededPayload) else end.value
        output, directory = self.redactor.scrub(output), self.plan.directory
        return too_large(output, step=path, run_id=self.run_id, directory=directory, most=self.sizes.recorded)

    def report(self, path: str, attempt: int, payload: Payload) -> None:
        """Record what a tool reports about its own work."""
        node = self.live.get(path)
        if node is not None:
            with suppress(StoreError):  # the next commit raises it
                self.record(payload, node)

    def warn(self, message: str) -> None:
        """Record a warning about the run as a whole, once."""
        if message not in self._warnings and not self.over:
            self._warnings.add(message)
            self.log.record_payload(RunWarningPayload(message=self.redactor.text(message)))

    def remember_cause(self, failure: StepFailure) -> None:
        """Keep what a tool raised, for callers in this process that wait for the run."""
        cause = failure.error.__cause__ if failure.error is not None else None
        if cause is not None:
            self.causes[str(failure.data.get("step"))] = cause
            if len(self.causes) > MAX_CAUSES:
                del self.causes[next(iter(self.causes))]

    def scrubbed(self, payload: P) -> P:
        """Return a payload without secrets."""
        return payload.from_data(self.redactor.scrub_fields(payload.to_data())) if self.redactor else payload
