"""Runs of a server: the verbs of an orchestrator, over HTTP."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, get_args
from urllib.parse import quote

from msgspec import convert

from orchestrator import codes, runtime
from orchestrator.api.arguments import instance, not_picklable, positive, seconds_of, several, word_among
from orchestrator.api.pipeline import Report
from orchestrator.api.source import read_source
from orchestrator.client import remote_triggers
from orchestrator.client.address import ServerAddress
from orchestrator.client.connection import ServerConnection, decoded
from orchestrator.client.diagnostic_views import diagnostics_from
from orchestrator.client.json_values import json_inputs
from orchestrator.client.remote_journal import run_path
from orchestrator.client.remote_pipeline import RemotePipeline, RunChoices, budget_view
from orchestrator.client.remote_run import RemoteRun
from orchestrator.client.views import batch_from, changes_from, status_from
from orchestrator.errors import CompilationError
from orchestrator.journal.events import RunState
from orchestrator.journal.store.credential_store import BrowserSession
from orchestrator.journal.worker_records import QueueLength, WorkerStatus
from orchestrator.language import read_document
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from orchestrator.api.source import Source
    from orchestrator.client.connection import Params
    from orchestrator.client.remote_triggers import RemoteFiring, RemoteTrigger
    from orchestrator.history.revision import Changes
    from orchestrator.journal import RunStatus
    from orchestrator.journal.records import BatchStatus
    from orchestrator.models.budget import Budget

MOST_PER_PAGE: Final = 500
"""How many runs a server returns at once."""

PATIENCE_SECONDS: Final = 60.0

_OFFERED: Final = re.compile(r"(?!.*\.ya?ml$)\w[\w .@+-]*(?:/\w[\w .@+-]*)*", re.IGNORECASE)
"""The name of an offered pipeline: a path below a directory of the server, without the ending of its file."""

_UNREADABLE: Final = frozenset({codes.UNREADABLE_FILE, codes.FILE_TOO_LARGE})


def connect(
    url: str,
    *,
    token: str | None = None,
    patience: float = PATIENCE_SECONDS,
    max_parallel: int | None = None,
    timeout: float | None = None,
    budget: Budget | None = None,
    cache: bool | None = None,
    refresh: Iterable[str] = (),
) -> Client:
    """Return a client of `orchestrator serve`: it has the methods of `Orchestrator`, and its runs are on the server.

    Nothing is sent before the first call.

    Args:
        url: the URL of the server, such as `https://runs.example.com`.
        token: what `orchestrator tokens add` printed. Without it, the token of the project's server is used if that
            is on this machine.
        patience: how many seconds to try to reach a server again after it has answered once, for example while it is
            restarted. A run that is being followed is then continued without a gap.
        max_parallel: how many steps of a run are executed at once; overrides the pipeline.
        timeout: how many seconds a run may take; overrides the pipeline.
        budget: what a run may spend on models. Its limits replace those of the file.
        cache: false: neither read nor write the cache.
        refresh: paths of steps whose cached results are computed again.

    Raises:
        ConfigurationError: The URL is not that of a server.
    """
    instance("url", url, str, 'connect("https://runs.example.com")')
    choices = RunChoices.of(
        max_parallel=max_parallel, timeout=timeout, budget=budget, cache=cache, refresh=tuple(refresh) or None
    )
    return Client(ServerConnection(ServerAddress.of(url, token), patience=positive("patience", patience)), choices)


class Client:
    """Runs of a server, with the methods of `Orchestrator`; made by `connect`.

    The server records the name of the client's token as who gave a command. Close it, or use it as a context manager
    (`with` or `async with`): runs continue on the server. It can be shared between threads and event loops.
    """

    def __init__(self, connection: ServerConnection, choices: RunChoices) -> None:
        self._connection = connection
        self._choices = choices

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __reduce__(self) -> NoReturn:
        raise not_picklable("a `Client`", "connect in the other process")

    @property
    def url(self) -> str:
        """The URL of the server."""
        return self._connection.address.url

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._connection.closed

    def close(self) -> None:
        """End all requests and streams. Runs continue on the server."""
        self._connection.close()

    async def aclose(self) -> None:
        """As `close`."""
        await runtime.in_thread(self.close)

    # --- pipelines

    def compile(self, source: Source) -> RemotePipeline:
        """Have the server check a pipeline, and make it ready to run there.

        Args:
            source: the name of a pipeline that the server offers, such as `reports/weekly`; or, if the token has the
                scope `admin`, the path of a YAML file (with its ending), YAML text, an open file, or a mapping, which
                is sent. Files that it calls are those of the server.

        Raises:
            CompilationError: It has errors; `.diagnostics` has each of them.
            RequestError: ORC915, the server offers no pipeline with this name.
        """
        return self._connection.call(self._compiled(self._chosen(source)))

    async def acompile(self, source: Source) -> RemotePipeline:
        """As `compile`."""
        chosen = await runtime.in_thread(lambda: self._chosen(source))
        return await self._connection.acall(self._compiled(chosen))

    def check(self, source: Source) -> Report:
        """Have the server check a pipeline. Never raises for an invalid one.

        Raises:
            RequestError: ORC915, the server offers no pipeline with this name.
        """
        try:
            return Report(self.compile(source).diagnostics)
        except CompilationError as error:
            return Report(error.diagnostics)

    def compile_for(self, run_id: str, source: Source) -> RemotePipeline:
        """As `compile`: the server has the tools that the run was started with."""
        return self.compile(source)

    def pipelines(self, *, broken: bool = False) -> list[str]:
        """Return the names of the pipelines that the server offers; with `broken`, only of those with errors."""
        found = self._connection.call(self._connection.get("/v1/pipelines"))
        return [each["name"] for each in found["pipelines"] if not (broken and each["ok"])]

    # --- runs

    def get_run(self, run_id: str) -> RemoteRun:
        """Return a handle on a run, by its id, a unique prefix of it, or `last`.

        Raises:
            RunNotFound: No run matches, or several do.
        """
        instance("run_id", run_id, str, 'get_run("last")')
        return self._connection.call(self._found(run_id))

    async def aget_run(self, run_id: str) -> RemoteRun:
        """As `get_run`."""
        instance("run_id", run_id, str, 'aget_run("last")')
        return await self._connection.acall(self._found(run_id))

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
        """Return the newest runs first, in as many requests as that takes. The arguments are those of `Orchestrator`.

        Raises:
            ConfigurationError: The state is unknown, or `limit` is not above 0.
        """
        if state is not None:
            word_among("state", state, get_args(RunState))
        positive("limit", limit)
        given = {"state": state, "pipeline": pipeline, "batch": batch, "text": text or None}
        filters: Params = [(name, value) for name, value in given.items() if value is not None]
        filters += [
            (name, repr(seconds_of(time))) for name, time in (("since", since), ("until", until)) if time is not None
        ]
        filters += [("single", "true")] * single + [("asks", "true")] * asks
        filters += [("label", label) for label in several("labels", labels)]
        return self._connection.call(self._listed(limit, filters, before))

    def list_batches(self, *, limit: int = 50) -> list[BatchStatus]:
        """Return the status of the newest batches, newest first; at most 500."""
        positive("limit", limit)
        params: Params = [("limit", str(min(limit, MOST_PER_PAGE)))]
        found = self._connection.call(self._connection.get("/v1/batches", params))
        return [batch_from(each) for each in found["batches"]]

    def list_workers(self) -> list[WorkerStatus]:
        """Return the workers that share the store of the server."""
        found = self._connection.call(self._connection.get("/v1/workers"))
        return [convert({**each, "labels": tuple(each["labels"])}, WorkerStatus) for each in found["workers"]]

    def queue_lengths(self) -> list[QueueLength]:
        """Count the submitted runs that no worker has taken yet, by the labels that they demand."""
        return convert(self._connection.call(self._connection.get("/v1/workers"))["queue"], list[QueueLength])

    def get_batch(self, batch_id: str) -> BatchStatus:
        """Return the status of a batch.

        Raises:
            RunError: ORC817, the batch is unknown.
        """
        return batch_from(self._connection.call(self._connection.get(f"/v1/batches/{quote(batch_id, safe='')}")))

    # --- triggers

    def triggers(self) -> list[RemoteTrigger]:
        """Return the triggers of the pipelines that the server offers, each with its last firing."""
        return self._connection.call(remote_triggers.all_triggers(self._connection))

    def get_trigger(self, trigger_id: str) -> RemoteTrigger:
        """Return a trigger, such as `report/nightly`, with its next instants and last firings.

        Raises:
            RequestError: ORC919, there is none.
        """
        instance("trigger_id", trigger_id, str, 'get_trigger("report/nightly")')
        return self._connection.call(remote_triggers.one_trigger(self._connection, trigger_id))

    def pause_trigger(self, trigger_id: str) -> RemoteTrigger:
        """Have a trigger start no runs. Runs that it has started continue.

        Raises:
            RequestError: ORC919, there is none.
        """
        return self._connection.call(remote_triggers.set_paused(self._connection, trigger_id, paused=True))

    def resume_trigger(self, trigger_id: str) -> RemoteTrigger:
        """Have a paused trigger start runs again, from now on.

        Raises:
            RequestError: ORC919, there is none.
        """
        return self._connection.call(remote_triggers.set_paused(self._connection, trigger_id, paused=False))

    def fire_trigger(self, trigger_id: str, *, inputs: Mapping[str, Any] | None = None) -> RemoteFiring:
        """Fire a trigger now, even if it is paused. The `run_id` of the result is that of its run.

        `inputs` replace those of the trigger.

        Raises:
            RequestError: ORC919, there is none.
            InputError: The inputs do not fit.
        """
        return self._connection.call(remote_triggers.fire(self._connection, trigger_id, inputs))

    # --- browsers

    def sessions(self) -> list[BrowserSession]:
        """Return the browsers that are logged in. The token needs the scope `admin`."""
        return convert(self._connection.call(self._connection.get("/v1/sessions"))["sessions"], list[BrowserSession])

    def end_sessions(self, which: str) -> list[BrowserSession]:
        """Log the browser with this session id out, or all browsers of the user with this name; return the sessions.

        Raises:
            RequestError: There is none, or the token lacks the scope `admin`.
        """
        path = f"/v1/sessions/{quote(which, safe='')}"
        response = self._connection.call(self._connection.request("DELETE", path, repeatable=False))
        return convert(decoded(response)["sessions"], list[BrowserSession])

    # --- taking control

    def resume(
        self,
        run_id: str,
        *,
        pipeline: Source | RemotePipeline | None = None,
        inputs: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> RemoteRun:
        """Resume a run on the server, as `Orchestrator.resume`.

        Raises:
            RunOwned: Another process executes it.
            RunNotResumable: It has succeeded, or its tools have changed.
            CompilationError: The edited pipeline has errors.
            InputError: A secret is needed again, or the edited pipeline needs another input.
        """
        body = self._resuming(pipeline, inputs, budget)
        return self._connection.call(self._commanded(run_id, "resume", body))

    async def aresume(
        self,
        run_id: str,
        *,
        pipeline: Source | RemotePipeline | None = None,
        inputs: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> RemoteRun:
        """As `resume`."""
        body = await runtime.in_thread(lambda: self._resuming(pipeline, inputs, budget))
        return await self._connection.acall(self._commanded(run_id, "resume", body))

    def changes(
        self, run_id: str, pipeline: Source | RemotePipeline, *, inputs: Mapping[str, Any] | None = None
    ) -> Changes:
        """Return what `resume` with this pipeline would keep, run again and drop, and why. Nothing is changed.

        Raises:
            CompilationError: The edited pipeline has errors.
            InputError: It needs an input that the run was created without.
        """
        return self._connection.call(self._changes(run_id, self._resuming(pipeline, inputs, None)))

    async def achanges(
        self, run_id: str, pipeline: Source | RemotePipeline, *, inputs: Mapping[str, Any] | None = None
    ) -> Changes:
        """As `changes`."""
        body = await runtime.in_thread(lambda: self._resuming(pipeline, inputs, None))
        return await self._connection.acall(self._changes(run_id, body))

    def retry(self, run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None) -> RemoteRun:
        """Run a step of a run again, with all steps that depend on it, as `Orchestrator.retry`.

        Raises:
            RunError: The run has no such step (ORC809).
            RunOwned: A process executes it.
            InputError: A secret is needed again.
        """
        return self._connection.call(self._commanded(run_id, "retry", _stepping(step, inputs)))

    async def aretry(self, run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None) -> RemoteRun:
        """As `retry`."""
        return await self._connection.acall(self._commanded(run_id, "retry", _stepping(step, inputs)))

    def fork(self, run_id: str, *, from_step: str, inputs: Mapping[str, Any] | None = None) -> RemoteRun:
        """Start a new run that shares the results of another one, as `Orchestrator.fork`.

        Raises:
            RunError: The run has no such step (ORC809).
            InputError: An input is invalid, or a secret is needed again.
        """
        return self._connection.call(self._forked(run_id, _stepping(from_step, inputs)))

    async def afork(self, run_id: str, *, from_step: str, inputs: Mapping[str, Any] | None = None) -> RemoteRun:
        """As `fork`."""
        return await self._connection.acall(self._forked(run_id, _stepping(from_step, inputs)))

    def check_resumable(self, run_id: str, *, inputs: Mapping[str, Any] | None = None) -> None:
        """Raise what `resume` would raise for missing tools, permissions or secrets. Nothing is changed.

        Raises:
            RunNotResumable: The server lacks its tools or permissions, or its plan has changed.
            InputError: A secret is needed again.
        """
        body = {**self._resuming(None, inputs, None), "dry_run": True}
        self._connection.call(self._commanded(run_id, "resume", body))

    def start_words(self, run_id: str) -> tuple[str, ...]:
        """Internal: return the options of a command line that a run needs again: none, as the server has its tools."""
        return ()

    # --- what is sent

    def _chosen(self, source: Source) -> dict[str, Any]:
        """Return what requests contain to name or to send a pipeline.

        Raises:
            CompilationError: It cannot be read.
        """
        if isinstance(source, str | Path) and _OFFERED.fullmatch(str(source)):
            return {"pipeline": str(source)}
        content, name = read_source(source)
        document = read_document(content, name=name)
        unreadable = [each for each in document.diagnostics if each.code in _UNREADABLE]
        if unreadable:
            message = f"the pipeline `{document.source.name}` has {plural(len(unreadable), 'error')}"
            raise CompilationError(message, diagnostics=tuple(unreadable))
        return {"source": document.source.text, "name": document.source.name}

    def _resuming(
        self, pipeline: Source | RemotePipeline | None, inputs: Mapping[str, Any] | None, budget: Budget | None
    ) -> dict[str, Any]:
        chosen: Mapping[str, Any] = {}
        if pipeline is not None:
            chosen = pipeline.chosen if isinstance(pipeline, RemotePipeline) else self._chosen(pipeline)
        choices = self._choices.and_then(budget=budget)
        limits = {} if choices.budget is None else {"budget": budget_view(choices.budget)}
        return {**chosen, "inputs": json_inputs(inputs), **limits}

    # --- on the event loop of the connection

    async def _compiled(self, chosen: Mapping[str, Any]) -> RemotePipeline:
        if "pipeline" in chosen:
            found = await self._connection.get(f"/v1/pipelines/{quote(chosen['pipeline'])}")
        else:
            response = await self._connection.request("POST", "/v1/pipelines/check", body=chosen, repeatable=True)
            found = decoded(response)
        diagnostics = diagnostics_from(found["diagnostics"], found["sources"])
        if found["compiled"] is None:
            errors = sum(each.severity == "error" for each in diagnostics)
            name = chosen.get("pipeline") or chosen["name"]
            raise CompilationError(f"the pipeline `{name}` has {plural(errors, 'error')}", diagnostics=diagnostics)
        return RemotePipeline(self._connection, chosen, found["compiled"], diagnostics, self._choices)

    async def _found(self, run_id: str) -> RemoteRun:
        found = await self._connection.get(run_path(run_id))
        return RemoteRun(self._connection, found["run_id"])

    async def _listed(self, limit: int, filters: Params, before: str | None) -> list[RunStatus]:
        found: list[RunStatus] = []
        while len(found) < limit:
            size = min(limit - len(found), MOST_PER_PAGE)
            rest = [] if before is None else [("before", before)]
            page = await self._connection.get("/v1/runs", [("limit", str(size)), *filters, *rest])
            found += map(status_from, page["runs"])
            before = page["next"]
            if before is None:
                break
        return found

    async def _commanded(self, run_id: str, verb: str, body: Mapping[str, Any]) -> RemoteRun:
        found = await self._connection.post(f"{run_path(run_id)}/{verb}", body)
        return RemoteRun(self._connection, found["run_id"])

    async def _forked(self, run_id: str, body: Mapping[str, Any]) -> RemoteRun:
        key = {"idempotency-key": f"client-{uuid.uuid4().hex}"}
        found = await self._connection.post(f"{run_path(run_id)}/fork", body, headers=key, repeatable=True)
        return RemoteRun(self._connection, found["run_id"])

    async def _changes(self, run_id: str, body: Mapping[str, Any]) -> Changes:
        return changes_from(await self._connection.post(f"{run_path(run_id)}/changes", body, repeatable=True))


def _stepping(step: str, inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"step": step, "inputs": json_inputs(inputs)}
