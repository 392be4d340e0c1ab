"""A handle on one run: follow it, control it, look at what it achieved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from orchestrator.api.arguments import one_of
from orchestrator.api.control import aresume_run, asend, command, current_user, resume_run, send
from orchestrator.evaluation.quality_control import QualityControl
from orchestrator.history.step_results import step_states
from orchestrator.history.why import Why, why
from orchestrator.runtime import Execution, Follower, Result, in_thread, refuse_if_waiting, verdict
from orchestrator.runtime.host.execution import refuse_blocking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from orchestrator.api.backend import Backend
    from orchestrator.journal import Event, RunRecord, RunStatus


class Run:
    """A handle on one run, whoever executes it. Every sync method `x` has the async twin `ax`.

    Where the run is executed by the current event loop, only the twins can wait for it; `wait`, `result` and `events`
    raise ConfigurationError there.
    """

    def __init__(self, backend: Backend, run_id: str, execution: Execution | None = None) -> None:
        self.id = run_id
        self.backend = backend
        self._followed: Follower | None = None
        self.redactor = execution.redactor if execution is not None else None
        self.attach(execution)

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    @property
    def follower(self) -> Follower:
        """Internal: what waits for the run and reads its events."""
        engine = self.backend.engine
        if self._followed is None or self._followed.engine is not engine:  # another one after a `fork`
            self._followed = Follower(engine, self.id, QualityControl(engine))
        return self._followed

    def attach(self, execution: Execution | None) -> None:
        """Internal: note an execution that has begun in this process."""
        if execution is not None:
            self.follower.saw(execution)

    def status(self) -> RunStatus:
        """Where the run stands now."""
        return self.backend.engine.status(self.id)

    def events(self, *, after: int = 0, follow: bool = True) -> Iterator[Event]:
        """Return the events with a `seq` greater than `after`, in order and without gaps.

        With `follow`, waits for new ones until the run has ended, or until nobody executes it any more (`interrupted`).
        To leave and rejoin, remember the last event's `seq` and give it as `after`.

        While this process executes the run, events `step.partial` are among those that `follow` waits for: pieces of
        the answers that models are just giving. They have the `seq` 0, are not recorded, and come to none who is slow.
        """
        if follow:
            refuse_blocking(self.id, "run.events()", "async for event in run.aevents()")
        return self.follower.events(after, follow=follow)

    def wait(self, *, timeout: float | None = None) -> RunStatus:
        """Return the status as soon as the run has ended or rests.

        It rests when it is paused with nothing running, waits for answers alone, or was interrupted.

        Raises:
            TimeoutError: It still runs after `timeout` seconds.
            StoreError: This process executed the run and had to give it up because of the store.
        """
        refuse_blocking(self.id, "run.wait()", "run.wait_async()")
        return self.follower.rest(timeout)[0]

    def result(self, *, timeout: float | None = None) -> Result:
        """Wait for the run and return what it achieved.

        Raises:
            RunFailed: A step failed; `.result` holds what was achieved nevertheless. `.__cause__` is what its tool
                raised, with the traceback; where a secret is in it, or the run was executed elsewhere, as text.
            RunCancelled: Somebody cancelled it; with `.result`, too.
            RunPaused: It is paused, or waits for an answer.
            RunError: It was interrupted (ORC808).
            TimeoutError: It still runs after `timeout` seconds.
        """
        refuse_blocking(self.id, "run.result()", "run.aresult()")
        status, end = self.follower.rest(timeout)
        refuse_if_waiting(status)
        found = self.follower.result(status, end)
        return verdict(found, self.follower.cause(found))

    def snapshot(self) -> Result:
        """Return what the run has achieved up to now, whatever its state."""
        return self.follower.result(self.status())

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the pipeline's steps with where they stand in this run.

        Raises:
            RunNotResumable: The pipeline does not compile here, as its tools are missing.
        """
        one_of("format", format, ("mermaid", "svg"))
        from orchestrator.plan.views.mermaid import to_mermaid
        from orchestrator.plan.views.svg import to_svg

        plan, states = self.backend.recompile_for_reading(self.record()), step_states(self.snapshot().steps)
        return to_svg(plan, states) if format == "svg" else to_mermaid(plan, states)

    def record(self) -> RunRecord:
        """Return what the run is made of: its pipeline's source and plan, its inputs without secrets."""
        return self.backend.engine.store.record(self.id)

    def pause(self, *, now: bool = False) -> None:
        """Have nothing new started. What runs goes on to its end; with `now` it is stopped, and will be run again."""
        send(self.backend, self.id, command("pause", now=now))

    def why(self, path: str) -> Why:
        """Say why a step ran, ran again, was taken from the cache, was skipped, or waits.

        Raises:
            RunError: The run has no such step (ORC809).
        """
        return why(self.backend.engine.store, self.status(), path)

    def answer(self, path: str, value: Any) -> None:
        """Answer the question that the step at `path` asks; to an approval with true or false, or an object.

        The answer is recorded. If nobody executes the run at this moment, go on with it: `resume`.

        Raises:
            RunError: Nobody asks that (ORC606).
            InputError: It is not what was asked for (ORC605).
        """
        answer = self.backend.engine.answer(self.id, path, value, current_user())
        if answer is not None:
            send(self.backend, self.id, answer)

    def resume(self) -> None:
        """Go on after a pause, a failure, a cancellation or a crash; here, unless its owner is alive."""
        self.attach(resume_run(self.backend, self.id))

    def cancel(self, *, reason: str = "") -> None:
        """Stop what runs. The run ends as cancelled, and can be resumed."""
        send(self.backend, self.id, command("cancel", reason=reason))

    async def astatus(self) -> RunStatus:
        """Where the run stands now."""
        execution = self.backend.engine.execution(self.id)
        if execution is not None and execution.is_on_this_thread:
            return execution.status()
        return await in_thread(self.status)

    def aevents(self, *, after: int = 0, follow: bool = True) -> AsyncIterator[Event]:
        """As `events`."""
        return self.follower.aevents(after, follow=follow)

    async def wait_async(self, *, timeout: float | None = None) -> RunStatus:  # noqa: ASYNC109 - the twin of `wait`
        """As `wait`."""
        return (await self.follower.arest(timeout))[0]

    async def aresult(self, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - the twin of `result`
        """As `result`."""
        status, end = await self.follower.arest(timeout)
        refuse_if_waiting(status)
        found = await self.follower.aresult(status, end)
        return verdict(found, await self.follower.acause(found) if found.state == "failed" else None)

    async def asnapshot(self) -> Result:
        """As `snapshot`."""
        return await self.follower.aresult(await self.astatus())

    async def arecord(self) -> RunRecord:
        """As `record`."""
        return await in_thread(self.record)

    async def apause(self, *, now: bool = False) -> None:
        """As `pause`."""
        await asend(self.backend, self.id, command("pause", now=now))

    async def aanswer(self, path: str, value: Any) -> None:
        """As `answer`."""
        answer = await in_thread(lambda: self.backend.engine.answer(self.id, path, value, current_user()))
        if answer is not None:
            await asend(self.backend, self.id, answer)

    async def awhy(self, path: str) -> Why:
        """As `why`."""
        return await in_thread(lambda: self.why(path))

    async def aresume(self) -> None:
        """As `resume`; if the run is executed here, then on the current event loop."""
        self.attach(await aresume_run(self.backend, self.id))

    async def acancel(self, *, reason: str = "") -> None:
        """As `cancel`."""
        await asend(self.backend, self.id, command("cancel", reason=reason))
