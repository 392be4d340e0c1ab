"""What runs can be started and controlled through, wherever they are: an `Orchestrator`, or the client of a server.

Both have these methods, and a program that is written for them works with either. The command is one: it never asks
where the runs are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
    from datetime import datetime
    from types import TracebackType

    from orchestrator.api.source import Source
    from orchestrator.diagnostics import Diagnostic
    from orchestrator.history.files import RecordedFile
    from orchestrator.history.result import Result
    from orchestrator.history.revision import Changes
    from orchestrator.history.tracebacks import Traceback
    from orchestrator.history.why import Why
    from orchestrator.journal import Event, RunRecord, RunStatus
    from orchestrator.journal.events import RunState
    from orchestrator.journal.records import BatchStatus
    from orchestrator.journal.worker_records import QueueLength, WorkerStatus
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.models.budget import Budget
    from orchestrator.runtime.host.batches import Row, RowResult


class AnyRunWatch(Protocol):
    """Looks at a run now and then, on behalf of a display."""

    def look(self, after: int, *, timeout: float) -> tuple[Iterable[Event], RunStatus | None]:
        """Wait at most `timeout` seconds; return the events after `after`, and the status if nothing more will happen.

        Pieces of answers, with the `seq` 0, are among the events.
        """

    def close(self) -> None:
        """Stop watching."""


class AnyRun(Protocol):
    """A handle on one run: `Run`, or `RemoteRun`. `Run` describes the methods."""

    @property
    def id(self) -> str:
        """The id of the run."""

    def status(self) -> RunStatus:
        """Return the current status."""

    def events(self, *, after: int = 0, follow: bool = True) -> Iterator[Event]:
        """Return the events after `after`, in order and without gaps; with `follow` until the run has ended."""

    def wait(self, *, timeout: float | None = None) -> RunStatus:
        """Return the status as soon as the run has ended or is idle."""

    def result(self, *, timeout: float | None = None) -> Result:
        """Wait for the run and return its result."""

    def snapshot(self) -> Result:
        """Return the results so far."""

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the steps with their states."""

    def report(self) -> str:
        """Return the run as one HTML page."""

    def record(self) -> RunRecord:
        """Return what the run was started from."""

    def tracebacks(self, step: str | None = None) -> list[Traceback]:
        """Return the tracebacks of what tools raised."""

    def files(self) -> list[RecordedFile]:
        """Return the files that steps wrote."""

    def why(self, path: str) -> Why:
        """Explain the state of a step."""

    def watch(self) -> AnyRunWatch:
        """Watch the run as it is executed. Close it."""

    def pause(self, *, now: bool = False) -> None:
        """Start no new steps."""

    def answer(self, path: str, value: Any) -> None:
        """Answer the question of a step."""

    def resume(self) -> None:
        """Continue the run."""

    def cancel(self, *, reason: str = "") -> None:
        """Stop all running steps."""

    async def astatus(self) -> RunStatus:
        """As `status`."""

    def aevents(self, *, after: int = 0, follow: bool = True) -> AsyncIterator[Event]:
        """As `events`."""

    async def wait_async(self, *, timeout: float | None = None) -> RunStatus:  # noqa: ASYNC109 - the twin of `wait`
        """As `wait`."""

    async def aresult(self, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - the twin of `result`
        """As `result`."""

    async def asnapshot(self) -> Result:
        """As `snapshot`."""

    async def arecord(self) -> RunRecord:
        """As `record`."""

    async def awhy(self, path: str) -> Why:
        """As `why`."""

    async def apause(self, *, now: bool = False) -> None:
        """As `pause`."""

    async def aanswer(self, path: str, value: Any) -> None:
        """As `answer`."""

    async def aresume(self) -> None:
        """As `resume`."""

    async def acancel(self, *, reason: str = "") -> None:
        """As `cancel`."""


class AnyBatchResults(Protocol):
    """The results of a batch, as they become available."""

    @property
    def batch(self) -> str:
        """The id that resumes the batch."""

    def __iter__(self) -> Iterator[RowResult]:
        """Return itself."""

    def __next__(self) -> RowResult:
        """Wait for the next result."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *exception: object) -> None:
        """Close it."""

    def stop(self) -> None:
        """Interrupt the runs in progress. Returns at once."""

    def close(self) -> None:
        """Interrupt the runs in progress, and wait until they have stopped."""


class AnyPipeline(Protocol):
    """A checked pipeline: `Pipeline`, or `RemotePipeline`. `Pipeline` describes the methods."""

    @property
    def id(self) -> str:
        """The id."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def description(self) -> str:
        """The description in the file."""

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The warnings."""

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """The declared inputs by name."""

    @property
    def locked(self) -> tuple[str, int] | None:
        """The lock file that answers of models were taken from, and how many."""

    def to_dict(self) -> dict[str, Any]:
        """Return the checked plan as JSON data."""

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the steps."""

    def with_options(
        self,
        *,
        max_parallel: int | None = None,
        timeout: float | None = None,
        budget: Budget | None = None,
        cache: bool | None = None,
        refresh: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
        key: str | None = None,
        priority: int | None = None,
        not_before: float | datetime | None = None,
        runs_on: Iterable[str] | None = None,
    ) -> AnyPipeline:
        """Return the pipeline with other options for its runs."""

    def run(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """Run the pipeline and wait for the result."""

    def start(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> AnyRun:
        """Start a run and return at once."""

    def submit(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> AnyRun:
        """Leave a run to a worker."""

    async def arun(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """As `run`."""

    async def astart(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> AnyRun:
        """As `start`."""

    def map(
        self,
        rows: Iterable[Row],
        *,
        max_parallel: int | None = None,
        batch: str | None = None,
        budget: Budget | None = None,
    ) -> AnyBatchResults:
        """Run the pipeline once for each row."""


class AnyOrchestrator(Protocol):
    """Where pipelines are checked and run: an `Orchestrator`, or a `Client`. `Orchestrator` describes the methods.

    An edited `pipeline` is a source, or what `compile` or `compile_for` of the same object returned.
    """

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close it."""

    @property
    def closed(self) -> bool:
        """Whether it is closed."""

    def compile(self, source: Source) -> AnyPipeline:
        """Check a pipeline and make it ready to run."""

    def compile_for(self, run_id: str, source: Source) -> AnyPipeline:
        """As `compile`, for `resume` with an edited pipeline."""

    def get_run(self, run_id: str) -> AnyRun:
        """Return a handle on a run, by its id, a unique prefix of it, or `last`."""

    def list_runs(
        self,
        *,
        state: RunState | None = None,
        limit: int = 50,
        pipeline: str | None = None,
        batch: str | None = None,
        since: float | datetime | None = None,
        until: float | datetime | None = None,
        labels: Iterable[str] = (),
        text: str = "",
        before: str | None = None,
        single: bool = False,
        asks: bool = False,
    ) -> list[RunStatus]:
        """Return the newest runs first."""

    def list_batches(self, *, limit: int = 50) -> list[BatchStatus]:
        """Return the newest batches first."""

    def get_batch(self, batch_id: str) -> BatchStatus:
        """Return the status of a batch."""

    def list_workers(self) -> list[WorkerStatus]:
        """Return the workers."""

    def queue_lengths(self) -> list[QueueLength]:
        """Count the submitted runs that no worker has taken yet."""

    def resume(
        self,
        run_id: str,
        *,
        pipeline: Any = None,
        inputs: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> AnyRun:
        """Resume a run."""

    def changes(self, run_id: str, pipeline: Any, *, inputs: Mapping[str, Any] | None = None) -> Changes:
        """Return what `resume` with this pipeline would keep, run again and drop."""

    def retry(self, run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None) -> AnyRun:
        """Run a step again, with all that depends on it."""

    def fork(self, run_id: str, *, from_step: str, inputs: Mapping[str, Any] | None = None) -> AnyRun:
        """Start a new run that shares the results of another one."""

    def check_resumable(self, run_id: str, *, inputs: Mapping[str, Any] | None = None) -> None:
        """Raise what `resume` would raise for what is missing. Nothing is changed."""

    def start_words(self, run_id: str) -> tuple[str, ...]:
        """Return the options of a command line that a run was started with, and that it needs again."""

    def close(self) -> None:
        """Close it."""
