"""One explicit configuration: where runs are stored, which tools exist, what they may do."""

from __future__ import annotations

import atexit
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from orchestrator.api.pipeline import Pipeline, Report, Source, plan_of, positive
from orchestrator.api.run import Run, person
from orchestrator.compiler import compile_pipeline
from orchestrator.errors import ConfigurationError, RunNotResumable, RunOwned
from orchestrator.journal.records import Command
from orchestrator.runtime import Engine, Options, Portal, in_thread
from orchestrator.tools import Permissions, builtin_registry, entry_point_tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.compiler import Compilation
    from orchestrator.compiler.plan import Plan
    from orchestrator.journal import RunRecord, RunState, RunStatus, Store

_CLOSE_SECONDS = 10.0  # for tools to end when the orchestrator is closed while they run


class Orchestrator:
    """One explicit configuration: where runs are stored, which tools exist, what they may do.

    `store`: a URL, default `sqlite:///.orchestrator/runs.db` below `directory`. `tools`: `@tool` functions, classes,
    modules, or names of modules. `permissions`: default from `orchestrator.toml` in `directory`, else deny.
    `directory`: where relative paths start, default the current one. `max_parallel`: how many steps of a run are
    executed at once, whatever the pipeline says.

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
    ) -> None:
        self.directory = Path(directory or Path.cwd()).absolute()
        self.permissions = permissions or Permissions.load(self.directory)
        self.registry = (builtin_registry() | entry_point_tools()).with_tools(*tools)
        self.store_url = store or f"sqlite:///{self.directory / '.orchestrator' / 'runs.db'}"
        self._options = Options(max_parallel=positive("max_parallel", max_parallel))
        self._portal = Portal()
        self._lock = threading.Lock()
        self._opened: tuple[Store, Engine] | None = None
        self._closed = False
        _open_orchestrators.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _engine(self) -> Engine:
        with self._lock:
            if self._closed:
                raise ConfigurationError("this orchestrator is closed", help="make a new `Orchestrator`")
            if self._opened is None:
                from orchestrator.journal import Store  # its database toolkit is slow to load, and `check` needs none

                store = Store.open(self.store_url)
                self._opened = (store, Engine(store, permissions=self.permissions))
            return self._opened[1]

    def compile(self, source: Source) -> Pipeline:
        """Check a pipeline (a path, YAML text or a mapping) and make it ready to run.

        Raises:
            CompilationError: It is wrong; `.diagnostics` has every mistake.
        """
        compilation = self._compile(source)
        return Pipeline(self, plan_of(compilation), compilation.diagnostics, self._options)

    def check(self, source: Source) -> Report:
        """Check a pipeline. Never raises for a wrong one."""
        return Report(self._compile(source).diagnostics)

    def get_run(self, run_id: str) -> Run:
        """Return a handle on a run, by its id, a unique beginning of it, or `last`.

        Raises:
            RunNotFound: There is none, or several.
        """
        self._require_runs(run_id)
        return Run(self, self._engine.store.find(run_id))

    def list_runs(self, *, state: RunState | None = None, limit: int = 50) -> list[RunStatus]:
        """Return the newest runs first."""
        return self._engine.store.list(state=state, limit=limit) if self._has_store() else []

    def resume(self, run_id: str, *, inputs: Mapping[str, Any] | None = None) -> Run:
        """Go on with a run that was paused, has failed, was cancelled or was interrupted; `inputs` are its secrets.

        What had succeeded is not run again. If its owner is alive and the run is paused, the owner goes on with it;
        otherwise this process executes it from now on.

        Raises:
            RunOwned: Another process executes it at this moment.
            RunNotResumable: It has succeeded, or its tools have changed.
            InputError: A secret is needed again.
        """
        self._require_runs(run_id)
        engine = self._engine
        run = Run(self, engine.store.find(run_id))
        if engine.execution(run.id) is not None:
            run._control("resume")
            return run
        try:
            self._portal.call(engine.resume(run.id, self._recompile, inputs or {}, self._options))
        except RunOwned:
            if engine.store.status(run.id).state != "paused":
                raise
            engine.control(run.id, Command("resume", {}, person()))
        return run

    async def aresume(self, run_id: str, *, inputs: Mapping[str, Any] | None = None) -> Run:
        """As `resume`, on the current event loop."""
        self._require_runs(run_id)
        engine = self._engine
        run = Run(self, await in_thread(lambda: engine.store.find(run_id)))
        if engine.execution(run.id) is not None:
            await run._acontrol("resume")
            return run
        try:
            await engine.resume(run.id, self._recompile, inputs or {}, self._options)
        except RunOwned:
            if (await run.astatus()).state != "paused":
                raise
            await in_thread(lambda: engine.control(run.id, Command("resume", {}, person())))
        return run

    def _has_store(self) -> bool:
        """Whether there is a store to look into: looking makes none."""
        from orchestrator.journal import Store

        return self._opened is not None or self._closed or Store.exists(self.store_url)

    def _require_runs(self, run_id: str) -> None:
        if not self._has_store():
            from orchestrator.journal.store import no_runs

            raise no_runs(self.store_url, run_id)

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
                opened[0].close()

    def _compile(self, source: Source, *, directory: Path | None = None, name: str | None = None) -> Compilation:
        return compile_pipeline(
            source,
            registry=self.registry,
            permissions=self.permissions,
            directory=directory or self.directory,
            name=name,
        )

    def _recompile(self, record: RunRecord) -> Plan:
        compilation = self._compile(record.source_text, directory=Path(record.directory), name=record.source_name)
        if compilation.plan is not None:
            return compilation.plan
        first = next(diagnostic for diagnostic in compilation.diagnostics if diagnostic.severity == "error")
        raise RunNotResumable(
            f"run `{record.run_id}` cannot go on: its pipeline does not compile here: {first.message} [{first.code}]",
            run_id=record.run_id,
            help="give the same tools and permissions as when it was started",
        )


_open_orchestrators: weakref.WeakSet[Orchestrator] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for orchestrator in list(_open_orchestrators):
        orchestrator.close()
