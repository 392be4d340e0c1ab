"""A handle on one run: follow it, control it, read its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NoReturn

from orchestrator import runtime
from orchestrator.api.arguments import not_picklable, word_among
from orchestrator.api.control import answer_here, aresume_run, asend, command, resume_run, send
from orchestrator.errors import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from orchestrator.api.backend import Backend
    from orchestrator.api.run_watch import RunWatch
    from orchestrator.history.files import RecordedFile
    from orchestrator.history.tracebacks import Traceback
    from orchestrator.history.why import Why
    from orchestrator.journal import Event, RunRecord, RunStatus
    from orchestrator.runtime import Execution, Follower, Result


class Run:
    """A handle on one run, whichever process executes it.

    The async twin of a method `x` is `ax`; that of `wait` is `wait_async`.

    If the current event loop executes the run, only the twins can wait for it; `wait`, `result` and `events` raise
    ConfigurationError.
    """

    def __init__(self, backend: Backend, run_id: str, execution: Execution | None = None) -> None:
        self.id = run_id
        self.backend = backend
        self._followed: Follower | None = None
        self.redactor = execution.redactor if execution is not None else None
        self.attach(execution)

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def __reduce__(self) -> NoReturn:
        raise not_picklable("a `Run`", "pickle its `id`, and call `get_run(id)` in the other process")

    @property
    def follower(self) -> Follower:
        """Internal: what waits for the run and reads its events."""
        from orchestrator.evaluation.quality_control import QualityControl

        if self._followed is None:
            self._followed = runtime.Follower(self.backend, self.id, QualityControl(self.backend))
        return self._followed

    def attach(self, execution: Execution | None) -> None:
        """Internal: note an execution that has begun in this process."""
        if execution is not None:
            self.follower.saw(execution)

    def status(self) -> RunStatus:
        """Return the current status of the run."""
        return self.backend.status(self.id)

    def events(self, *, after: int = 0, follow: bool = True) -> Iterator[Event]:
        """Return the events with a `seq` greater than `after`, in order and without gaps.

        With `follow`, wait for new events until the run has ended, or until no process executes it (`interrupted`).
        To continue later, give the `seq` of the last event as `after`. All readers of a process get the same objects:
        do not change the data of an event.

        While this process executes the run, `follow` also returns `step.partial` events: deltas of the answers that
        models are streaming. They have the `seq` 0, are not recorded, and are dropped for slow readers.
        """
        if follow:
            runtime.refuse_blocking(self.id, "run.events()", "async for event in run.aevents()")
        return self.follower.events(after, follow=follow)

    def wait(self, *, timeout: float | None = None) -> RunStatus:
        """Return the status as soon as the run has ended or is idle.

        A run is idle when it is paused with no step running, waits only for answers, or was interrupted.

        Raises:
            TimeoutError: It is still running after `timeout` seconds.
            StoreError: This process executed the run and had to stop because the store failed.
        """
        runtime.refuse_blocking(self.id, "run.wait()", "run.wait_async()")
        return self.follower.rest(timeout)[0]

    def result(self, *, timeout: float | None = None) -> Result:
        """Wait for the run and return its result.

        Raises:
            RunFailed: A step failed; `.result` holds the results of the other steps. `.__cause__` is the exception of
                the tool with its traceback; if it contains a secret, or another process executed the run, as text.
            RunCancelled: It was cancelled; has `.result`, too.
            RunPaused: It is paused, or waits for an answer.
            RunError: It was interrupted (ORC808).
            TimeoutError: It is still running after `timeout` seconds.
        """
        runtime.refuse_blocking(self.id, "run.result()", "run.aresult()")
        status, end = self.follower.rest(timeout)
        runtime.refuse_if_waiting(status)
        found = self.follower.result(status, end)
        return runtime.verdict(found, self.follower.cause(found))

    def snapshot(self) -> Result:
        """Return the results of the run so far, whatever its state."""
        return self.follower.result(self.status())

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the pipeline's steps with their states in this run.

        Raises:
            RunNotResumable: The pipeline does not compile here, as its tools are missing.
        """
        word_among("format", format, ("mermaid", "svg"))
        from orchestrator.history.step_results import step_states
        from orchestrator.plan.views.mermaid import to_mermaid
        from orchestrator.plan.views.svg import to_svg

        plan, states = self.backend.recompile_for_reading(self.record()), step_states(self.snapshot().steps)
        return to_svg(plan, states) if format == "svg" else to_mermaid(plan, states)

    def report(self) -> str:
        """Return the run as one HTML page that needs nothing else: outputs, graph, timeline, steps and their cost."""
        from orchestrator.history.html_report import html_report

        record, status = self.record(), self.status()
        try:
            drawing = self.graph("svg")
        except OrchestratorError:  # its tools are missing here, for example; all else is in the journal
            drawing = ""
        result = self.follower.result(status)
        return html_report(self.backend.store, record, status, result, self.files(), drawing=drawing)

    def record(self) -> RunRecord:
        """Return the record of the run: the source and plan of its pipeline, its inputs without secrets."""
        return self.backend.store.record(self.id)

    def tracebacks(self, step: str | None = None) -> list[Traceback]:
        """Return the tracebacks of what tools raised, of all attempts in order; only those of one step, if given."""
        from orchestrator.history.tracebacks import tracebacks

        return tracebacks(self.backend.store, self.id, step)

    def files(self) -> list[RecordedFile]:
        """Return the files that steps wrote, by path: those that they declare in `produces` have a `digest`."""
        from orchestrator.history.files import files_of

        return files_of(self.backend.store, self.id)

    def watch(self) -> RunWatch:
        """Internal: watch the run as it is executed, here or elsewhere, on behalf of a display. Close it."""
        from orchestrator.api.run_watch import RunWatch

        return RunWatch(self.follower)

    def pause(self, *, now: bool = False, by: str | None = None) -> None:
        """Start no new steps. Running steps finish; with `now` they are stopped, and run again on `resume`.

        `by` is recorded as who gave the command, here and in the other methods; by default, the current user.
        """
        send(self.backend, self.id, command("pause", by, now=now))

    def why(self, path: str) -> Why:
        """Explain why a step ran, ran again, was taken from the cache, was skipped, or waits.

        Raises:
            RunError: The run has no such step (ORC809).
        """
        from orchestrator.history.why import explain_step

        return explain_step(self.backend.store, self.status(), path)

    def answer(self, path: str, value: Any, *, by: str | None = None) -> None:
        """Answer the question of the step at `path`; an approval with true or false, or an object.

        The answer is recorded. If no process executes the run, call `resume` to continue it.

        Raises:
            RunError: The step asks no question (ORC606).
            InputError: The answer does not match the question (ORC605).
        """
        answer = answer_here(self.backend, self.id, path, value, by)
        if answer is not None:
            send(self.backend, self.id, answer)

    def resume(self, *, by: str | None = None) -> None:
        """Continue after a pause, a failure, a cancellation or a crash; in this process, unless its owner is alive."""
        self.attach(resume_run(self.backend, self.id, by=by))

    def cancel(self, *, reason: str = "", by: str | None = None) -> None:
        """Stop all running steps. The run ends as cancelled, and can be resumed.

        First the steps with `undo` that had succeeded are undone; if no process executes the run, when it is resumed.
        """
        send(self.backend, self.id, command("cancel", by, reason=reason))

    async def astatus(self) -> RunStatus:
        """Return the current status of the run."""
        execution = self.backend.execution(self.id)
        return await runtime.in_thread(self.status) if execution is None else await execution.astatus()

    def aevents(self, *, after: int = 0, follow: bool = True) -> AsyncIterator[Event]:
        """As `events`."""
        return self.follower.aevents(after, follow=follow)

    async def wait_async(self, *, timeout: float | None = None) -> RunStatus:  # noqa: ASYNC109 - the twin of `wait`
        """As `wait`."""
        return (await self.follower.arest(timeout))[0]

    async def aresult(self, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - the twin of `result`
        """As `result`."""
        status, end = await self.follower.arest(timeout)
        runtime.refuse_if_waiting(status)
        found = await self.follower.aresult(status, end)
        return runtime.verdict(found, await self.follower.acause(found) if found.state == "failed" else None)

    async def asnapshot(self) -> Result:
        """As `snapshot`."""
        return await self.follower.aresult(await self.astatus())

    async def arecord(self) -> RunRecord:
        """As `record`."""
        return await runtime.in_thread(self.record)

    async def apause(self, *, now: bool = False, by: str | None = None) -> None:
        """As `pause`."""
        await asend(self.backend, self.id, command("pause", by, now=now))

    async def aanswer(self, path: str, value: Any, *, by: str | None = None) -> None:
        """As `answer`."""
        answer = await runtime.in_thread(lambda: answer_here(self.backend, self.id, path, value, by))
        if answer is not None:
            await asend(self.backend, self.id, answer)

    async def awhy(self, path: str) -> Why:
        """As `why`."""
        return await runtime.in_thread(lambda: self.why(path))

    async def aresume(self, *, by: str | None = None) -> None:
        """As `resume`; if the run is executed here, then on the current event loop."""
        self.attach(await aresume_run(self.backend, self.id, by=by))

    async def acancel(self, *, reason: str = "", by: str | None = None) -> None:
        """As `cancel`."""
        await asend(self.backend, self.id, command("cancel", by, reason=reason))
