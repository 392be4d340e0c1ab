"""A handle on a run of a server."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn
from urllib.parse import quote

from orchestrator import runtime
from orchestrator.api.arguments import instance, not_picklable, word_among
from orchestrator.client.event_subscription import EventSubscription
from orchestrator.client.json_values import json_value
from orchestrator.client.quality import RemoteInspector
from orchestrator.client.remote_journal import MOST_EVENTS, RemoteJournal, run_path
from orchestrator.client.remote_watch import RemoteWatch
from orchestrator.client.views import record_from, status_from, why_from
from orchestrator.history.files import files_of
from orchestrator.history.result import result_of
from orchestrator.history.tracebacks import recorded_cause, tracebacks
from orchestrator.runtime.host.follow import rests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from orchestrator.client.connection import Params, ServerConnection
    from orchestrator.history.files import RecordedFile
    from orchestrator.history.result import Result
    from orchestrator.history.tracebacks import Traceback
    from orchestrator.history.why import Why
    from orchestrator.journal import Event, RunRecord, RunStatus

WAIT_SECONDS: Final = 20.0
"""How long one request waits for the end of a run, before the next one does."""


class RemoteRun:
    """A handle on a run of a server, with the methods of `Run`.

    The async twin of a method `x` is `ax`; that of `wait` is `wait_async`. The server records the name of the client's
    token as who gave a command. A connection that is lost is established again, as long as `connect` says.
    """

    def __init__(self, connection: ServerConnection, run_id: str) -> None:
        self.id = run_id
        self._connection = connection
        self._path = run_path(run_id)
        self._journal = RemoteJournal(connection)

    def __repr__(self) -> str:
        return f"RemoteRun({self.id!r})"

    def __reduce__(self) -> NoReturn:
        raise not_picklable("a `RemoteRun`", "pickle its `id`, and connect in the other process")

    # --- reading

    def status(self) -> RunStatus:
        """Return the current status of the run."""
        return self._connection.call(self._status())

    async def astatus(self) -> RunStatus:
        """As `status`."""
        return await self._connection.acall(self._status())

    def events(self, *, after: int = 0, follow: bool = True) -> Iterator[Event]:
        """Return the events with a `seq` greater than `after`, in order and without gaps.

        With `follow`, wait for new events until the run has ended, or until no process executes it. `step.partial`
        events, with the `seq` 0, are then among them: deltas of the answers that models are streaming. After a lost
        connection the stream continues with the event that follows the last one.
        """
        if not follow:
            while page := self._journal.events(self.id, after, MOST_EVENTS, resolve=True):
                yield from page
                after = page[-1].seq
            return
        subscription = EventSubscription(self._connection, self.id, after)
        try:
            while taken := self._connection.call(subscription.take()):
                yield from taken
        finally:
            self._connection.trigger(subscription.cancel)()

    async def aevents(self, *, after: int = 0, follow: bool = True) -> AsyncIterator[Event]:
        """As `events`."""
        if not follow:
            while page := await self._connection.acall(self._journal.aevents(self.id, after)):
                for event in page:
                    yield event
                after = page[-1].seq
            return
        subscription = EventSubscription(self._connection, self.id, after)
        try:
            while taken := await self._connection.acall(subscription.take()):
                for event in taken:
                    yield event
        finally:
            self._connection.trigger(subscription.cancel)()

    def wait(self, *, timeout: float | None = None) -> RunStatus:
        """Return the status as soon as the run has ended or is idle.

        Raises:
            TimeoutError: It is still running after `timeout` seconds.
            ServerUnavailable: ORC917, the server could not be reached for too long.
        """
        return self._connection.call(self._rest(timeout))

    async def wait_async(self, *, timeout: float | None = None) -> RunStatus:  # noqa: ASYNC109 - the twin of `wait`
        """As `wait`."""
        return await self._connection.acall(self._rest(timeout))

    def result(self, *, timeout: float | None = None) -> Result:
        """Wait for the run and return its result.

        Raises:
            RunFailed: A step failed; `.result` holds the results of the other steps.
            RunCancelled: It was cancelled; has `.result`, too.
            RunPaused: It is paused, or waits for an answer.
            RunError: It was interrupted (ORC808).
            TimeoutError: It is still running after `timeout` seconds.
        """
        status = self.wait(timeout=timeout)
        runtime.refuse_if_waiting(status)
        found = self._result(status)
        return runtime.verdict(found, self._cause(found))

    async def aresult(self, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - the twin of `result`
        """As `result`."""
        status = await self.wait_async(timeout=timeout)
        runtime.refuse_if_waiting(status)
        found = await runtime.in_thread(partial(self._result, status))
        return runtime.verdict(found, await runtime.in_thread(partial(self._cause, found)))

    def snapshot(self) -> Result:
        """Return the results of the run so far, whatever its state."""
        return self._result(self.status())

    async def asnapshot(self) -> Result:
        """As `snapshot`."""
        return await runtime.in_thread(self.snapshot)

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the pipeline's steps with their states in this run."""
        word_among("format", format, ("mermaid", "svg"))
        drawn = self._connection.request("GET", f"{self._path}/graph", params=[("format", format)])
        return self._connection.call(drawn).text

    def report(self) -> str:
        """Return the run as one HTML page that needs nothing else: outputs, graph, timeline, steps and their cost."""
        return self._connection.call(self._connection.request("GET", f"{self._path}/report")).text

    def record(self) -> RunRecord:
        """Return the record of the run: the source and plan of its pipeline, its inputs without secrets."""
        return self._connection.call(self._record())

    async def arecord(self) -> RunRecord:
        """As `record`."""
        return await self._connection.acall(self._record())

    def files(self) -> list[RecordedFile]:
        """Return the files that steps wrote, by path: those that they declare in `produces` have a `digest`."""
        return files_of(self._journal, self.id)

    def tracebacks(self, step: str | None = None) -> list[Traceback]:
        """Return the tracebacks of what tools raised, of all attempts in order; only those of one step, if given."""
        return tracebacks(self._journal, self.id, step)

    def why(self, path: str) -> Why:
        """Explain why a step ran, ran again, was taken from the cache, was skipped, or waits.

        Raises:
            RunError: The run has no such step (ORC809).
        """
        return self._connection.call(self._why(path))

    async def awhy(self, path: str) -> Why:
        """As `why`."""
        return await self._connection.acall(self._why(path))

    def watch(self) -> RemoteWatch:
        """Internal: watch the run as it is executed, on behalf of a display. Close it."""
        return RemoteWatch(self._connection, self.id, self._rest)

    # --- taking control

    def pause(self, *, now: bool = False) -> None:
        """Start no new steps. Running steps finish; with `now` they are stopped, and run again on `resume`."""
        self._connection.call(self._command("pause", {"now": now}, repeatable=True))

    async def apause(self, *, now: bool = False) -> None:
        """As `pause`."""
        await self._connection.acall(self._command("pause", {"now": now}, repeatable=True))

    def answer(self, path: str, value: Any) -> None:
        """Answer the question of the step at `path`; an approval with true or false, or an object.

        Raises:
            RunError: The step asks no question (ORC606).
            InputError: The answer does not match the question (ORC605).
        """
        self._connection.call(self._command("answer", _answer(path, value)))

    async def aanswer(self, path: str, value: Any) -> None:
        """As `answer`."""
        await self._connection.acall(self._command("answer", _answer(path, value)))

    def resume(self) -> None:
        """Continue after a pause, a failure, a cancellation or a crash, on the server."""
        self._connection.call(self._command("resume", {}))

    async def aresume(self) -> None:
        """As `resume`."""
        await self._connection.acall(self._command("resume", {}))

    def cancel(self, *, reason: str = "") -> None:
        """Stop all running steps. The run ends as cancelled, and can be resumed."""
        self._connection.call(self._command("cancel", {"reason": reason}, repeatable=True))

    async def acancel(self, *, reason: str = "") -> None:
        """As `cancel`."""
        await self._connection.acall(self._command("cancel", {"reason": reason}, repeatable=True))

    # --- on the event loop of the connection

    async def _status(self, *, wait: float = 0.0) -> RunStatus:
        params: Params | None = [("wait", f"{wait:.3f}")] if wait else None
        return status_from(await self._connection.get(self._path, params, wait=wait))

    async def _rest(self, timeout: float | None = None) -> RunStatus:  # noqa: ASYNC109 - that of `wait`
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = WAIT_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                async with asyncio.timeout(None if deadline is None else left + 1.0):
                    status = await self._status(wait=min(left, WAIT_SECONDS))
            except TimeoutError:
                raise self._still_running() from None
            if rests(status):
                return status
            if deadline is not None and time.monotonic() >= deadline:
                raise self._still_running()

    async def _record(self) -> RunRecord:
        return record_from(await self._connection.get(f"{self._path}/record"))

    async def _why(self, path: str) -> Why:
        return why_from(await self._connection.get(f"{self._path}/why/{quote(path, safe='')}"))

    async def _command(self, verb: str, body: Mapping[str, Any], *, repeatable: bool = False) -> None:
        await self._connection.post(f"{self._path}/{verb}", body, repeatable=repeatable)

    # --- results, in the thread of the caller

    def _result(self, status: RunStatus) -> Result:
        outputs: Mapping[str, Any] = {}
        if status.state == "succeeded":
            (end,) = self._journal.events(self.id, status.last_seq - 1, 1, resolve=True)
            outputs = end.data.get("outputs", {})
        return result_of(self._journal, status, outputs, RemoteInspector(self._connection))

    def _cause(self, result: Result) -> BaseException | None:
        return recorded_cause(self._journal, self.id, result.error or {}) if result.state == "failed" else None

    def _still_running(self) -> TimeoutError:
        return TimeoutError(f"run `{self.id}` has not ended yet")


def _answer(path: str, value: Any) -> dict[str, Any]:
    instance("path", path, str, 'answer("review", True)')
    return {"step": path, "value": json_value(value, "the answer"), "resume": False}
