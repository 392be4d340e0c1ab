"""One explicit configuration: where runs are stored, which tools exist, what they may do."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, get_args

from orchestrator import runtime
from orchestrator.api.arguments import (
    flag,
    instance,
    not_picklable,
    positive,
    seconds_of,
    several,
    validate_budget,
    word_among,
)
from orchestrator.api.backend import Backend, Configuration, plan_of
from orchestrator.api.control import aresume_run, fork_run, resume_run, retry_step
from orchestrator.api.origin import words_lacking
from orchestrator.api.pipeline import Pipeline, Report
from orchestrator.api.run import Run
from orchestrator.api.source import plain_text
from orchestrator.api.start_key import checked_key, fork_fingerprint, run_once
from orchestrator.config.project_file import project_directory
from orchestrator.journal.events import RunState
from orchestrator.journal.records import BatchStatus, RunFilter
from orchestrator.runtime.host.options import Options
from orchestrator.tools.sandbox.permissions import Permissions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from orchestrator.api.lock import LockUpdate
    from orchestrator.api.source import Source
    from orchestrator.compiler import Compilation
    from orchestrator.journal import RunStatus
    from orchestrator.journal.records import Pruned, StoreStats
    from orchestrator.journal.worker_records import QueueLength, WorkerStatus
    from orchestrator.models.budget import Budget
    from orchestrator.models.messages import ModelClient
    from orchestrator.plan.model import Plan
    from orchestrator.runtime import Changes
    from orchestrator.tools import Registry, ToolExecutor


class Orchestrator:
    """One explicit configuration: where runs are stored, which tools exist, what they may do.

    `directory`: the project's directory, where relative paths start; default the nearest one with an
    `orchestrator.toml`, from the current one upwards, else the current one. `store`: a URL, default that of
    `orchestrator.toml`, else `sqlite:///.orchestrator/runs.db` below `directory`. `tools`: `@tool` functions, classes,
    modules, or names of modules, in addition to those of `orchestrator.toml`. `permissions`: by default those of
    `orchestrator.toml`, else none. `max_parallel`: how many steps of a run are executed at once; overrides the
    pipeline. `timeout`: how many seconds a run may take; overrides the pipeline. `budget`, `cache` and `refresh`: as in
    `Pipeline.with_options`, for all runs; the defaults are those of `[run]` in `orchestrator.toml`. `models`: a client
    that replaces the providers, such as recordings (see `orchestrator.testing`). `tool_executor`: runs the attempts of
    tools elsewhere (see `ToolExecutor`); by default they run in this process. `notify`: whether its runs send notices.

    Close it, or use it as a context manager (`with` or `async with`): runs that it still executes are then interrupted,
    and can be resumed.
    """

    def __init__(
        self,
        *,
        store: str | None = None,
        tools: Sequence[Any] = (),
        permissions: Permissions | None = None,
        directory: str | Path | None = None,
        max_parallel: int | None = None,
        timeout: float | None = None,
        budget: Budget | None = None,
        cache: bool | None = None,
        refresh: Iterable[str] = (),
        models: ModelClient | None = None,
        tool_executor: ToolExecutor | None = None,
        notify: bool = True,
    ) -> None:
        if directory is not None:
            instance("directory", directory, (str, os.PathLike), 'directory="project"')  # type: ignore[arg-type]
        if permissions is not None:
            instance("permissions", permissions, Permissions, "permissions=Permissions.load()")
        options = Options(
            max_parallel=positive("max_parallel", max_parallel),
            timeout=positive("timeout", timeout),
            budget=validate_budget(budget),
            refresh=frozenset(several("refresh", refresh)),
        )
        self.backend = Backend(
            Configuration(
                store=store,
                directory=project_directory() if directory is None else Path(directory).absolute(),
                tools=tuple([tools] if isinstance(tools, str) else tools),
                permissions=permissions,
                options=options,
                cache=None if cache is None else flag("cache", cache),
                models=models,
                tool_executor=tool_executor,
                notify=flag("notify", notify),
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        raise not_picklable("an `Orchestrator`", "create one in the other process, with the same arguments")

    @property
    def directory(self) -> Path:
        """The project's directory, where relative paths start."""
        return self.backend.directory

    @property
    def store_url(self) -> str:
        """The URL of the store of runs."""
        return self.backend.store_url

    @property
    def permissions(self) -> Permissions:
        """What tools may do."""
        return self.backend.permissions

    @property
    def registry(self) -> Registry:
        """The tools: the built-in ones, those of plugins, of `orchestrator.toml`, and those that were given.

        Raises:
            ConfigurationError: One of them cannot be loaded.
        """
        return self.backend.registry

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self.backend.closed

    def compile(self, source: Source) -> Pipeline:
        """Check a pipeline (a path, YAML text or a mapping) and make it ready to run.

        Raises:
            CompilationError: It has errors; `.diagnostics` has each of them.
            ConfigurationError: `orchestrator.toml` is invalid.
        """
        return self._pipeline(self.backend.compile(source))

    def compile_text(
        self, text: str, *, name: str | None = None, may_read: Callable[[Path], bool] | None = None
    ) -> Pipeline:
        """As `compile`, of YAML text from the file `name`, which need not exist: files that it calls are next to it.

        `may_read` says of the path of a file whether the text may call it, for a text that is not trusted; by default,
        it may call all that steps may read.
        """
        return self._pipeline(self.backend.compile(plain_text(text), name=name, may_read=may_read))

    def check(self, source: Source, *, canonical: bool = False) -> Report:
        """Check a pipeline. Never raises for an invalid one.

        Args:
            source: the path of a YAML file, YAML text, an open file, or a mapping.
            canonical: also warn of accepted spellings that are not the canonical ones.

        Raises:
            ConfigurationError: `orchestrator.toml` is invalid.
        """
        found = self.backend.compile(source)
        if not canonical:
            return Report(found.diagnostics)
        from orchestrator.language.spellings import spelling_diagnostics

        return Report((*found.diagnostics, *spelling_diagnostics(found.document)))

    def lock(self, file: str | Path, *, run: str | None = None, fresh: bool = False, check: bool = False) -> LockUpdate:
        """Write the answers for the `<AUTO>` values of a file to its lock, `FILE.lock`, which its runs then use.

        Answers in the lock are kept. Others are taken from a run, by default the last successful one of this pipeline;
        a question that is the same in each run is asked now if that run does not have it.

        Args:
            file: the pipeline's file.
            run: the id of the run, a unique prefix of it, or `last`.
            fresh: discard the answers in the lock.
            check: only report whether the lock is up to date.

        Raises:
            CompilationError: The file has errors, or its lock cannot be read.
            ModelError: A question got no answer. Answers to others are in the lock.
        """
        from orchestrator.api.lock import lock_file

        return lock_file(self.backend, Path(file), run=run, fresh=fresh, check=check)

    def get_run(self, run_id: str) -> Run:
        """Return a handle on a run, by its id, a unique prefix of it, or `last`.

        Raises:
            RunNotFound: No run matches, or several do.
        """
        instance("run_id", run_id, str, 'get_run("last")')
        return Run(self.backend, self.backend.find_run(run_id))

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
        """Return the newest runs first.

        Args:
            state: only runs in this state.
            limit: the maximum number of runs.
            pipeline: only runs of the pipeline with this id.
            batch: only runs of this batch.
            since: only runs that were created at this time or later (seconds since the epoch, or a `datetime`).
            until: only runs that were created before this time.
            labels: only runs that have all of these labels.
            text: only runs with this text in the id of their pipeline, at the beginning of their id, or as a label.
            before: only runs that were created before the run with this id: the last one of the previous page.
            single: only runs that are not part of a batch.
            asks: only runs with an unanswered question, whatever else they do.

        Raises:
            ConfigurationError: The state is unknown, or `limit` is not above 0.
        """
        if state is not None:
            word_among("state", state, get_args(RunState))
        positive("limit", limit)
        if not self.backend.has_store():
            return []
        wanted = RunFilter(
            state,
            pipeline,
            batch,
            seconds_of(since),
            seconds_of(until),
            text,
            several("labels", labels),
            before,
            single,
            asks,
        )
        return self.backend.store.list(limit=limit, wanted=wanted)

    def list_batches(self, *, limit: int = 50) -> list[BatchStatus]:
        """Return the status of the newest batches, newest first."""
        positive("limit", limit)
        return self.backend.store.batches(limit) if self.backend.has_store() else []

    def get_batch(self, batch_id: str) -> BatchStatus:
        """Return the status of a batch.

        Raises:
            RunError: ORC817, the batch is unknown.
        """
        return self.backend.existing_store().batch_status(batch_id)

    def list_workers(self) -> list[WorkerStatus]:
        """Return the workers of the store, the oldest first; lost ones are among them for ten minutes."""
        return self.backend.store.workers.list() if self.backend.has_store() else []

    def queue_lengths(self) -> list[QueueLength]:
        """Count the submitted runs that no worker has taken yet, by the labels that they demand."""
        return self.backend.store.submissions.lengths() if self.backend.has_store() else []

    def prune(self, *, older_than: float | None = None, keep: int | None = None, dry_run: bool = False) -> Pruned:
        """Remove runs that have ended, and the data that only they used; return how much was removed.

        With both limits a run is removed only if both allow it; without limits only unused data is removed.

        Args:
            older_than: remove runs that ended, and cached results that were computed, more than so many seconds ago.
            keep: how many of the runs that ended last are kept.
            dry_run: only count.
        """
        before = None if older_than is None else time.time() - older_than
        return self.backend.existing_store().prune(older_than=before, keep=keep, dry_run=dry_run)

    def store_stats(self) -> StoreStats:
        """Return what the store holds, and how large it is."""
        return self.backend.existing_store().stats()

    def resume(
        self,
        run_id: str,
        *,
        pipeline: Source | Pipeline | None = None,
        inputs: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
        by: str | None = None,
    ) -> Run:
        """Resume a run that is paused, failed, cancelled or interrupted, or whose questions are answered.

        Steps that succeeded are not run again. If the run is paused and its owner is alive, the owner continues it;
        otherwise this process executes it. `inputs` are its secrets.

        With a `pipeline` the run continues with that pipeline: changed steps and their dependents run again, even if
        the run succeeded; `changes` lists them beforehand. `inputs` then also holds inputs that the run was created
        without.

        `budget` is what it may spend on models, including what it has spent already. Its limits replace those of the
        file, and those given when it was started or resumed.

        `by` is recorded as who resumed it; by default, the current user.

        Raises:
            RunOwned: Another process executes it.
            RunNotResumable: It has succeeded, or its tools have changed.
            CompilationError: The edited pipeline has errors.
            InputError: A secret is needed again, or the edited pipeline needs another input.
        """
        run = self.get_run(run_id)
        edited = self._edited(run, pipeline)
        run.attach(resume_run(self.backend, run.id, inputs=inputs, edited=edited, budget=budget, by=by))
        return run

    async def aresume(
        self,
        run_id: str,
        *,
        pipeline: Source | Pipeline | None = None,
        inputs: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
        by: str | None = None,
    ) -> Run:
        """As `resume`, on the current event loop."""
        run = await runtime.in_thread(lambda: self.get_run(run_id))
        edited = self._edited(run, pipeline)
        run.attach(await aresume_run(self.backend, run.id, inputs=inputs, edited=edited, budget=budget, by=by))
        return run

    def changes(self, run_id: str, pipeline: Source | Pipeline, *, inputs: Mapping[str, Any] | None = None) -> Changes:
        """Return what `resume` with this pipeline would keep, run again and drop, and why. Nothing is changed.

        Raises:
            CompilationError: The edited pipeline has errors.
            InputError: It needs an input that the run was created without.
        """
        run = self.get_run(run_id)
        return self.backend.engine.changes(run.id, self._plan_for(run, pipeline), inputs or {})

    async def achanges(
        self, run_id: str, pipeline: Source | Pipeline, *, inputs: Mapping[str, Any] | None = None
    ) -> Changes:
        """As `changes`."""
        return await runtime.in_thread(lambda: self.changes(run_id, pipeline, inputs=inputs))

    def retry(self, run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None, by: str | None = None) -> Run:
        """Run a step of a run again, with all steps that depend on it, and continue; also in a run that succeeded.

        `step` is a path: `draft`, an item of a loop such as `translate[17]`, a step in one, `translate[17].draft`.
        `inputs` are the run's secrets, `by` is recorded as who gave the command.

        Raises:
            RunError: The run has no such step (ORC809).
            RunOwned: A process executes it.
            InputError: A secret is needed again.
        """
        run = self.get_run(run_id)
        retried = retry_step(self.backend, run.id, step, inputs, by)
        run.attach(self.backend.call(retried, run_id=run.id, method="retry()", twin="orchestrator.aretry(...)"))
        return run

    async def aretry(
        self, run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None, by: str | None = None
    ) -> Run:
        """As `retry`, on the current event loop."""
        run = await runtime.in_thread(lambda: self.get_run(run_id))
        run.attach(await retry_step(self.backend, run.id, step, inputs, by))
        return run

    def fork(
        self,
        run_id: str,
        *,
        from_step: str,
        inputs: Mapping[str, Any] | None = None,
        by: str | None = None,
        labels: Iterable[str] = (),
        key: str | None = None,
    ) -> Run:
        """Start a new run that shares the results of another one, except those of a step and its dependents.

        The other run may be in any state, and does not change. `from_step` is a path, as of `retry`. `inputs` are those
        that differ, and the secrets. Shared steps are not run again, even if they read an input that differs: then the
        new run has a warning. `by` is recorded as who started it. It can be found by its `labels`. Of all forks with
        one `key` within 24 hours, only the first one starts a run, and the others return that run.

        Raises:
            RunError: The run has no such step (ORC809).
            InputError: An input is invalid, or a secret is needed again.
        """
        return self.backend.call(self._forked(self.get_run(run_id).id, from_step, inputs, by, labels, key))

    async def afork(
        self,
        run_id: str,
        *,
        from_step: str,
        inputs: Mapping[str, Any] | None = None,
        by: str | None = None,
        labels: Iterable[str] = (),
        key: str | None = None,
    ) -> Run:
        """As `fork`, on the current event loop."""
        run = await runtime.in_thread(lambda: self.get_run(run_id))
        return await self._forked(run.id, from_step, inputs, by, labels, key)

    def check_resumable(self, run_id: str, *, inputs: Mapping[str, Any] | None = None) -> None:
        """Raise what `resume` would raise for missing tools, permissions or secrets. Nothing is changed.

        Raises:
            RunNotResumable: Its tools or permissions are missing here, or its plan has changed.
            InputError: A secret is needed again.
        """
        self.backend.engine.rehearse(self.get_run(run_id).id, self.backend.recompile, inputs or {})

    def compile_for(self, run_id: str, source: Source) -> Pipeline:
        """As `compile`, with the tools that a run was started with, for `resume` with an edited pipeline."""
        record = self.get_run(run_id).record()
        return self._pipeline(self.backend.compile(source, registry=self.backend.registry_of(record)))

    def start_words(self, run_id: str) -> tuple[str, ...]:
        """Internal: return the options of a command line that a run was started with, and that it needs again.

        They give what `orchestrator.toml` does not: tools, permissions, recordings.
        """
        return words_lacking(self.get_run(run_id).record(), self.directory)

    def close(self) -> None:
        """Interrupt the runs that are executed here, so that they can be resumed, and close the store."""
        self.backend.close()

    async def aclose(self) -> None:
        """As `close`; runs on the current event loop can finish their cleanup meanwhile."""
        await runtime.in_thread(self.close)

    def _pipeline(self, compilation: Compilation) -> Pipeline:
        return Pipeline(self.backend, plan_of(compilation), compilation.diagnostics, self.backend.start_options)

    async def _forked(
        self,
        run_id: str,
        step: str,
        inputs: Mapping[str, Any] | None,
        by: str | None,
        labels: Iterable[str],
        key: str | None,
    ) -> Run:
        if key is None:
            execution = await fork_run(self.backend, run_id, step, inputs, by, labels=labels)
            return Run(self.backend, execution.run_id, execution)
        record = await runtime.in_thread(lambda: self.backend.store.record(run_id))
        return await run_once(
            self.backend,
            checked_key(key),
            fork_fingerprint(record, step, inputs or {}),
            lambda new_id: fork_run(self.backend, run_id, step, inputs, by, labels=labels, new_id=new_id),
        )

    def _edited(self, run: Run, pipeline: Source | Pipeline | None) -> Plan | None:
        return None if pipeline is None else self._plan_for(run, pipeline)

    def _plan_for(self, run: Run, pipeline: Source | Pipeline) -> Plan:
        return (pipeline if isinstance(pipeline, Pipeline) else self.compile_for(run.id, pipeline)).plan
