"""One explicit configuration: where runs are stored, which tools exist, what they may do."""

from __future__ import annotations

import atexit
import os
import shlex
import threading
import time
import weakref
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from orchestrator import codes
from orchestrator.api.arguments import flag, instance, one_of, positive, sensible, several
from orchestrator.api.origin import Origin, refuse_lacking
from orchestrator.api.pipeline import Pipeline, Report, Source, plan_of
from orchestrator.api.run import Run, person
from orchestrator.api.settings import ProjectSettings, check_settings
from orchestrator.api.source import contents
from orchestrator.compiler import compile_pipeline
from orchestrator.config.project_file import project_directory
from orchestrator.errors import ConfigurationError, RunNotResumable, RunOwned
from orchestrator.journal.events import RunState
from orchestrator.journal.records import BatchStatus, Command, RunFilter
from orchestrator.models.actions import model_tools
from orchestrator.runtime import Changes, Engine, Execution, ModelServices, Options, Portal, in_thread
from orchestrator.runtime.host.batches import MAX_PARALLEL
from orchestrator.runtime.host.engine import permissions_for
from orchestrator.runtime.host.execution import refuse_blocking
from orchestrator.runtime.run.model_access import merged
from orchestrator.tools import Permissions, builtin_registry, entry_point_tools, to_tools
from orchestrator.tools.sandbox.protection import source_files, store_files
from orchestrator.tools.sibling_imports import named_sources, searched_directories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.api.lock import Locking
    from orchestrator.compiler import Compilation
    from orchestrator.journal import RunRecord, RunStatus, Store
    from orchestrator.journal.records import Pruned, StoreStats
    from orchestrator.models.budget import Budget
    from orchestrator.models.messages import ModelClient
    from orchestrator.plan.model import Plan
    from orchestrator.tools import Registry

_CLOSE_SECONDS = 10.0  # for tools to end when the orchestrator is closed while they run


class Orchestrator:
    """One explicit configuration: where runs are stored, which tools exist, what they may do.

    `directory`: the project's directory, where relative paths start; default the nearest one with an
    `orchestrator.toml`, from the current one upwards, else the current one. `store`: a URL, default that of
    `orchestrator.toml`, else `sqlite:///.orchestrator/runs.db` below `directory`. `tools`: `@tool` functions, classes,
    modules, or names of modules, besides those of `orchestrator.toml`. `permissions`: default from `orchestrator.toml`,
    else deny. `max_parallel`: how many steps of a run are executed at once, whatever the pipeline says. `timeout`:
    how many seconds a run may take, whatever it says. `budget`,
    `cache` and `refresh`: as in `Pipeline.with_options`, for all runs; the defaults are those of `[run]` in
    `orchestrator.toml`. `models`: what answers in the place of models' providers, such as recordings (see
    `orchestrator.testing`).

    Close it, or use it as a context manager: runs that it still executes are then stopped, and can be resumed.
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
    ) -> None:
        if directory is not None:
            instance("directory", directory, (str, os.PathLike), 'directory="project"')  # type: ignore[arg-type]
        if permissions is not None:
            instance("permissions", permissions, Permissions, "permissions=Permissions.load()")
        self.directory = project_directory() if directory is None else Path(directory).absolute()
        settings = ProjectSettings.load(self.directory)
        self.store_url = store or settings.store or f"sqlite:///{self.directory / '.orchestrator' / 'runs.db'}"
        self._given_tools = tuple([tools] if isinstance(tools, str) else tools)
        self._project_tools = settings.tools
        self._rows_at_once = settings.rows_at_once or MAX_PARALLEL
        self._tools = (*self._project_tools, *self._given_tools)
        given = [found for item in self._given_tools for found in to_tools(item, directory=self.directory)]
        self._registry = self._registry_with(given, beneath=settings.tools) if given else None
        allowed = permissions or Permissions.load(self.directory)
        named = [item for item in self._tools if isinstance(item, str)]
        files = source_files(given)
        self.permissions = allowed.protecting(
            *store_files(self.store_url),
            *files,
            *named_sources(named, self.directory),
            searched=searched_directories(named, files, self.directory),
        )
        self._options = Options(
            max_parallel=positive("max_parallel", max_parallel),
            timeout=positive("timeout", timeout),
            budget=sensible(budget),
            cache=cache is None or flag("cache", cache),
            refresh=frozenset(several("refresh", refresh)),
            sizes=settings.sizes,
        )
        self._starting = replace(
            self._options,
            max_parallel=self._options.max_parallel or settings.max_parallel,
            timeout=self._options.timeout or settings.timeout,
            budget=self._options.budget or settings.budget,
            cache=settings.cache if cache is None else cache,
        )
        self._models = models
        self._portal = Portal()
        self._lock = threading.Lock()
        self._opened: tuple[Store, Engine, ModelServices] | None = None
        self._closed = False
        _open_orchestrators.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def registry(self) -> Registry:
        """The tools: the built-in ones, those of plugins, of `orchestrator.toml`, and those that were given.

        Raises:
            ConfigurationError: One of them cannot be loaded.
        """
        if self._registry is None:  # what only looks at runs needs none of them
            self._registry = self._registry_with(self._given_tools, beneath=self._project_tools)
        return self._registry

    def _registry_with(self, tools: Iterable[Any], *, beneath: Iterable[Any]) -> Registry:
        """Return the known tools with more; of two with one name those `beneath` give way."""
        known = builtin_registry() | model_tools() | entry_point_tools()
        return known.with_tools(*beneath, directory=self.directory).with_tools(*tools, directory=self.directory)

    @property
    def _engine(self) -> Engine:
        with self._lock:
            if self._closed:
                raise ConfigurationError("this orchestrator is closed", help="make a new `Orchestrator`")
            if self._opened is None:
                from orchestrator.journal import Store  # its database toolkit is slow to load, and `check` needs none

                store = Store.open(self.store_url)
                working = self.permissions.directory
                services = ModelServices(self.directory, store, self._models, working=working)
                origin = Origin.here(self._tools, self.permissions, models=self._models).to_dict()
                engine = Engine(store, permissions=self.permissions, services=services, origin=origin)
                self._opened = (store, engine, services)
            return self._opened[1]

    def compile(self, source: Source) -> Pipeline:
        """Check a pipeline (a path, YAML text or a mapping) and make it ready to run.

        Raises:
            CompilationError: It is wrong; `.diagnostics` has every mistake.
            ConfigurationError: `orchestrator.toml` is wrong.
        """
        compilation = self._compile(source)
        return Pipeline(self, plan_of(compilation), compilation.diagnostics, self._starting)

    def check(self, source: Source) -> Report:
        """Check a pipeline. Never raises for a wrong one.

        Raises:
            ConfigurationError: `orchestrator.toml` is wrong.
        """
        return Report(self._compile(source).diagnostics)

    def lock(self, file: str | Path, *, run: str | None = None, fresh: bool = False, check: bool = False) -> Locking:
        """Write the answers for the `<AUTO>` values of a file to its lock, `FILE.lock`, which its runs then repeat.

        Those that the lock has stay. Others are taken from a run, by default the last of this pipeline that succeeded;
        a question that is the same in each run is asked now, if it was not there.

        Args:
            file: the pipeline's file.
            run: the run, by its id, a unique beginning of it, or `last`.
            fresh: forget what the lock has.
            check: only say whether the lock is up to date.

        Raises:
            CompilationError: The file is wrong, or its lock cannot be read.
            ModelError: No model has answered. What others did is in the lock.
        """
        from orchestrator.api.lock import lock_file

        return lock_file(self, Path(file), run=run, fresh=fresh, check=check)

    def get_run(self, run_id: str) -> Run:
        """Return a handle on a run, by its id, a unique beginning of it, or `last`.

        Raises:
            RunNotFound: There is none, or several.
        """
        instance("run_id", run_id, str, 'get_run("last")')
        self._require_runs(run_id)
        return Run(self, self._engine.store.find(run_id))

    def list_runs(
        self,
        *,
        state: RunState | None = None,
        limit: int = 50,
        pipeline: str | None = None,
        batch: str | None = None,
        since: float | datetime | None = None,
        labels: Iterable[str] = (),
    ) -> list[RunStatus]:
        """Return the newest runs first.

        Args:
            state: only runs in this state.
            limit: how many, at most.
            pipeline: only runs of the pipeline with this id.
            batch: only runs of this batch.
            since: only runs that were created at this time or later (seconds since the epoch, or a `datetime`).
            labels: only runs that have all of these labels.

        Raises:
            ConfigurationError: There is no such state, or `limit` is not above 0.
        """
        if state is not None:
            one_of("state", state, get_args(RunState))
        positive("limit", limit)
        if not self._has_store():
            return []
        moment = since.timestamp() if isinstance(since, datetime) else since
        wanted = RunFilter(state, pipeline, batch, moment, several("labels", labels))
        return self._engine.store.list(limit=limit, wanted=wanted)

    def list_batches(self, *, limit: int = 50) -> list[BatchStatus]:
        """Return where the newest batches stand, the newest first."""
        positive("limit", limit)
        return self._engine.store.batches(limit) if self._has_store() else []

    def prune(self, *, older_than: float | None = None, keep: int | None = None, dry_run: bool = False) -> Pruned:
        """Remove runs that have ended, and what only they used; return how much went.

        With both limits a run goes only if both allow it; with none only what nothing uses any more goes.

        Args:
            older_than: remove runs that ended, and shared results that were made, more than so many seconds ago.
            keep: how many runs stay, of those that ended last.
            dry_run: only count.
        """
        before = None if older_than is None else time.time() - older_than
        return self._existing_store().prune(older_than=before, keep=keep, dry_run=dry_run)

    def store_stats(self) -> StoreStats:
        """Return what the store holds, and how large it is."""
        return self._existing_store().stats()

    def resume(
        self,
        run_id: str,
        *,
        pipeline: Source | Pipeline | None = None,
        inputs: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> Run:
        """Go on with a run that was paused, has failed, was cancelled, was interrupted, or has its answers.

        What had succeeded is not run again. If its owner is alive and the run is paused, the owner goes on with it;
        otherwise this process executes it from now on. `inputs` are its secrets.

        With a `pipeline` the run goes on with that one: what has changed, and what depends on it, runs again, also if
        the run has succeeded; `changes` says beforehand what. `inputs` are then also those that the run was created
        without.

        `budget` is what it may spend on models from now on, with what it has spent already: its limits replace those
        that were said before, by the file, when it was started or resumed.

        Raises:
            RunOwned: Another process executes it at this moment.
            RunNotResumable: It has succeeded, or its tools have changed.
            CompilationError: The edited pipeline is wrong.
            InputError: A secret is needed again, or the edited pipeline needs another input.
        """
        run = self.get_run(run_id)
        edited = self._edited(run, pipeline)
        if edited is None and budget is None and self._engine.obeys(run.id):
            run._control("resume")
            return run
        refuse_blocking(run.id, "resume()", "orchestrator.aresume(...)")
        try:
            run._follower.saw(self._portal.call(self._go_on(run, inputs, edited=edited, budget=budget)))
        except RunOwned:
            if edited is not None or budget is not None or run.status().state != "paused":
                raise
            self._engine.control(run.id, Command("resume", {}, person()))
        return run

    async def aresume(
        self,
        run_id: str,
        *,
        pipeline: Source | Pipeline | None = None,
        inputs: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
    ) -> Run:
        """As `resume`, on the current event loop."""
        run = await in_thread(lambda: self.get_run(run_id))
        edited = self._edited(run, pipeline)
        if edited is None and budget is None and self._engine.obeys(run.id):
            await run._acontrol("resume")
            return run
        try:
            run._follower.saw(await self._go_on(run, inputs, edited=edited, budget=budget))
        except RunOwned:
            if edited is not None or budget is not None or (await run.astatus()).state != "paused":
                raise
            await in_thread(lambda: self._engine.control(run.id, Command("resume", {}, person())))
        return run

    def changes(self, run_id: str, pipeline: Source | Pipeline, *, inputs: Mapping[str, Any] | None = None) -> Changes:
        """Say what `resume` with this pipeline would keep, run again and drop, and why. Nothing happens.

        Raises:
            CompilationError: The edited pipeline is wrong.
            InputError: It needs an input that the run was created without.
        """
        run = self.get_run(run_id)
        return self._engine.changes(run.id, self._edited_plan(run, pipeline), inputs or {})

    async def achanges(
        self, run_id: str, pipeline: Source | Pipeline, *, inputs: Mapping[str, Any] | None = None
    ) -> Changes:
        """As `changes`."""
        return await in_thread(lambda: self.changes(run_id, pipeline, inputs=inputs))

    def retry(self, run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None) -> Run:
        """Do a step of a run again, and all that depends on it, and go on; also in a run that has succeeded.

        `step` is a path: `draft`, an item of a loop such as `translate[17]`, a step in one, `translate[17].draft`.
        `inputs` are the run's secrets.

        Raises:
            RunError: The run has no such step (ORC809).
            RunOwned: A process executes it at this moment.
            InputError: A secret is needed again.
        """
        run = self.get_run(run_id)
        refuse_blocking(run.id, "retry()", "orchestrator.aretry(...)")
        run._follower.saw(self._portal.call(self._go_on(run, inputs, again=step)))
        return run

    async def aretry(self, run_id: str, step: str, *, inputs: Mapping[str, Any] | None = None) -> Run:
        """As `retry`, on the current event loop."""
        run = await in_thread(lambda: self.get_run(run_id))
        run._follower.saw(await self._go_on(run, inputs, again=step))
        return run

    def fork(self, run_id: str, *, from_step: str, inputs: Mapping[str, Any] | None = None) -> Run:
        """Begin a new run that shares what another one has achieved, except the step and all that depends on it.

        The other run may stand anywhere, and is left as it is. `from_step` is a path, as of `retry`. `inputs` are those
        that are to differ, and the secrets. What is shared is not run again, even if it read an input that differs:
        then the new run has a warning.

        Raises:
            RunError: The run has no such step (ORC809).
            InputError: An input does not fit, or a secret is needed again.
        """
        return self._forked(self._portal.call(self._fork(self.get_run(run_id), from_step, inputs)))

    async def afork(self, run_id: str, *, from_step: str, inputs: Mapping[str, Any] | None = None) -> Run:
        """As `fork`, on the current event loop."""
        run = await in_thread(lambda: self.get_run(run_id))
        return self._forked(await self._fork(run, from_step, inputs))

    async def _go_on(
        self,
        run: Run,
        inputs: Mapping[str, Any] | None,
        *,
        edited: Plan | None = None,
        again: str | None = None,
        budget: Budget | None = None,
    ) -> Execution:
        options = replace(self._options, budget=merged(self._options.budget, sensible(budget)))
        return await self._engine.resume(
            run.id, self._recompile, inputs or {}, options, edited=edited, again=again, by=person()
        )

    async def _fork(self, run: Run, step: str, inputs: Mapping[str, Any] | None) -> Execution:
        return await self._engine.fork(run.id, self._recompile, step, inputs or {}, self._options)

    def _forked(self, execution: Execution) -> Run:
        return Run(self, execution.run_id, execution)

    def check_resumable(self, run_id: str, *, inputs: Mapping[str, Any] | None = None) -> None:
        """Raise what `resume` would raise for what this process lacks: tools, permissions, secrets. Nothing happens.

        Raises:
            RunNotResumable: Its tools or permissions are missing here, or its plan is not what it was.
            InputError: A secret is needed again.
        """
        self._engine.rehearse(self.get_run(run_id).id, self._recompile, inputs or {})

    def compile_for(self, run_id: str, source: Source) -> Pipeline:
        """As `compile`, with the tools that a run was started with, for `resume` with an edited pipeline."""
        record = self.get_run(run_id).record()
        compilation = self._compile(source, registry=self._registry_of(record))
        return Pipeline(self, plan_of(compilation), compilation.diagnostics, self._starting)

    def _edited(self, run: Run, pipeline: Source | Pipeline | None) -> Plan | None:
        return None if pipeline is None else self._edited_plan(run, pipeline)

    def _edited_plan(self, run: Run, pipeline: Source | Pipeline) -> Plan:
        return (pipeline if isinstance(pipeline, Pipeline) else self.compile_for(run.id, pipeline))._plan

    def _has_store(self) -> bool:
        """Whether there is a store to look into: looking makes none."""
        from orchestrator.journal import Store

        return self._opened is not None or self._closed or Store.exists(self.store_url)

    def _existing_store(self) -> Store:
        from orchestrator.journal import Store

        return self._engine.store if self._has_store() else Store.open(self.store_url, create=False)

    def _require_runs(self, run_id: str) -> None:
        if not self._has_store():
            from orchestrator.journal.store.lookup import no_runs

            raise no_runs(self.store_url, run_id)

    def _reset(self) -> None:
        _of_parent.append((self._opened, self._portal))
        self._opened, self._portal, self._lock = None, Portal(), threading.Lock()

    def close(self) -> None:
        """Stop what is still executed here, so that it can be resumed, and close the store."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            opened = self._opened
        _open_orchestrators.discard(self)
        try:
            if opened is not None:
                opened[1].close(timeout=_CLOSE_SECONDS)
        finally:
            self._portal.close()
            if opened is not None:
                opened[2].close()
                opened[0].close()

    def _compile(
        self,
        source: Source,
        *,
        directory: Path | None = None,
        name: str | None = None,
        sources: Mapping[str, str] | None = None,
        locks: bool = True,
        registry: Registry | None = None,
        permissions: Permissions | None = None,
    ) -> Compilation:
        check_settings(self.directory)
        source, named = contents(source)
        return compile_pipeline(
            source,
            registry=registry or self.registry,
            permissions=permissions or self.permissions,
            directory=directory or self.directory,
            name=name or named,
            sources=sources,
            live_models=self._models is None or getattr(self._models, "needs_keys", False),
            locks=locks,
        )

    def _recompile(self, record: RunRecord, *, registry: Registry | None = None) -> Plan:
        registry = registry or self._registry_of(record)
        compilation = self._compile(
            record.source_text,
            directory=Path(record.directory),
            name=record.source_name,
            sources=record.sources,
            registry=registry,
            permissions=permissions_for(self.permissions, record),
        )
        if compilation.plan is not None:
            return compilation.plan
        first = next(diagnostic for diagnostic in compilation.diagnostics if diagnostic.severity == "error")
        origin = Origin.of(record)
        given = " ".join(f"--tools {shlex.quote(source)}" for source in (origin.sources if origin else ()))
        again = f"give its tools again: `{given}`" if given else "give the same tools and permissions as then"
        raise RunNotResumable(
            f"run `{record.run_id}` cannot be resumed: its pipeline does not compile here: "
            f"{first.message} [{first.code}]",
            run_id=record.run_id,
            help=(None if first.code in _OF_TOOLS else first.help) or again,
        )

    def _drawn_plan(self, record: RunRecord) -> Plan:
        """Compile a run's pipeline to look at it: nothing is permitted for that, and nothing asked for again."""
        origin = Origin.of(record)
        found = origin.loadable(self.directory) if origin is not None else ()
        names = [name for name in found if name not in self._project_tools]
        return self._recompile(
            record, registry=self._registry_with(self._given_tools, beneath=[*names, *self._project_tools])
        )

    def _registry_of(self, record: RunRecord) -> Registry:
        """Return the tools of a run: those that it was started with, and in the place of those what is given now.

        Raises:
            RunNotResumable: ORC818, it was started with more than this process is given.
            ConfigurationError: The tools that it was started with cannot be loaded.
        """
        origin = Origin.of(record)
        if origin is None:
            return self.registry
        names = [name for name in self._tools if isinstance(name, str)]
        refuse_lacking(record.run_id, origin.lacking(self.permissions, tools=names, project=self.directory))
        more = [name for name in origin.loadable(self.directory) if name not in self._tools]
        return self._registry_with(self._given_tools, beneath=[*more, *self._project_tools]) if more else self.registry


_OF_TOOLS = frozenset({codes.UNKNOWN_TOOL, codes.UNKNOWN_ACTION, codes.NOT_PERMITTED})
"""What a pipeline that compiled once may lack later because other tools or permissions are given."""

_open_orchestrators: weakref.WeakSet[Orchestrator] = weakref.WeakSet()


def open_orchestrators() -> list[Orchestrator]:
    """Return those of this process that are not closed."""
    return list(_open_orchestrators)


_of_parent: list[Any] = []
"""What a child of `fork` has of its parent. It is never closed: the connections in it are still the parent's."""


def _reset_all() -> None:
    """In a child of `fork`: have every orchestrator open its store anew, as none of its threads are there."""
    for orchestrator in list(_open_orchestrators):
        orchestrator._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


@atexit.register
def _close_all() -> None:
    for orchestrator in list(_open_orchestrators):
        orchestrator.close()
