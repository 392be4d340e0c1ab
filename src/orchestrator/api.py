"""The public face: compile a pipeline, run it, follow it, control it, look at it afterwards."""

from __future__ import annotations

import asyncio
import atexit
import getpass
import threading
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from orchestrator.compiler import compile_pipeline
from orchestrator.diagnostics import Diagnostic
from orchestrator.errors import CompilationError, ConfigurationError, RunNotResumable, RunOwned
from orchestrator.journal.records import Command
from orchestrator.runtime import Bound, Engine, Follower, Options, Portal, Result, StepResult, bind, in_thread, verdict
from orchestrator.tools import Permissions, builtin_registry, entry_point_tools

if TYPE_CHECKING:
    from orchestrator.compiler import Compilation
    from orchestrator.compiler.plan import OutputPlan, Plan, StepPlan
    from orchestrator.journal import Event, RunRecord, RunState, RunStatus, Store
    from orchestrator.language.spec import InputSpec

__all__ = [
    "Orchestrator",
    "Pipeline",
    "Report",
    "Result",
    "Run",
    "StepResult",
    "check",
    "compile",
    "default",
    "get_run",
    "list_runs",
    "resume",
]

Source = str | Path | Mapping[str, Any]

_CLOSE_SECONDS = 10.0  # for tools to end when the orchestrator is closed while they run


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found."""

    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """True when no diagnostic is an error."""
        return all(diagnostic.severity != "error" for diagnostic in self.diagnostics)


class Run:
    """A handle on one run, whoever executes it. Every sync method `x` has the async twin `ax`."""

    def __init__(self, orchestrator: Orchestrator, run_id: str) -> None:
        self.id = run_id
        self._orchestrator = orchestrator

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    @property
    def _engine(self) -> Engine:
        return self._orchestrator._engine

    @property
    def _follower(self) -> Follower:
        return Follower(self._engine, self.id)

    def status(self) -> RunStatus:
        """Where the run stands now."""
        return self._engine.status(self.id)

    def events(self, *, after: int = 0, follow: bool = True) -> Iterator[Event]:
        """Return the events with a `seq` greater than `after`, in order and without gaps.

        With `follow`, waits for new ones until the run has ended, or until nobody executes it any more (`interrupted`).
        To leave and rejoin, remember the last event's `seq` and give it as `after`.
        """
        return self._follower.events(after, follow=follow)

    def wait(self, *, timeout: float | None = None) -> RunStatus:
        """Return the status as soon as the run has ended or rests: paused with nothing running, or interrupted.

        Raises:
            TimeoutError: It still runs after `timeout` seconds.
            StoreError: This process executed the run and had to give it up because of the store.
        """
        return self._follower.rest(timeout)[0]

    def result(self, *, timeout: float | None = None) -> Result:
        """Wait for the run and return what it achieved.

        Raises:
            RunFailed: A step failed; `.result` holds what was achieved nevertheless.
            RunCancelled: Somebody cancelled it; with `.result`, too.
            RunPaused: It is paused.
            RunError: It was interrupted (ORC808).
            TimeoutError: It still runs after `timeout` seconds.
        """
        return verdict(self._follower.result(*self._follower.rest(timeout)))

    def snapshot(self) -> Result:
        """Return what the run has achieved up to now, whatever its state."""
        return self._follower.result(self.status())

    def pause(self) -> None:
        """Have nothing new started; what runs goes on to its end."""
        self._control("pause")

    def resume(self) -> None:
        """Go on after a pause, a failure, a cancellation or a crash; here, unless its owner is alive."""
        self._orchestrator.resume(self.id)

    def cancel(self, *, reason: str = "") -> None:
        """Stop what runs. The run ends as cancelled, and can be resumed."""
        self._control("cancel", reason=reason)

    async def astatus(self) -> RunStatus:
        """Where the run stands now."""
        execution = self._engine.execution(self.id)
        if execution is not None and execution.is_on_this_thread:
            return execution.status()
        return await in_thread(self.status)

    def aevents(self, *, after: int = 0, follow: bool = True) -> AsyncIterator[Event]:
        """As `events`."""
        return self._follower.aevents(after, follow=follow)

    async def await_(self, *, timeout: float | None = None) -> RunStatus:  # noqa: ASYNC109 - the twin of `wait`
        """As `wait`."""
        return (await self._follower.arest(timeout))[0]

    async def aresult(self, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - the twin of `result`
        """As `result`."""
        return verdict(await self._follower.aresult(*await self._follower.arest(timeout)))

    async def apause(self) -> None:
        """As `pause`."""
        await self._acontrol("pause")

    async def aresume(self) -> None:
        """As `resume`; if the run is executed here, then on the current event loop."""
        await self._orchestrator.aresume(self.id)

    async def acancel(self, *, reason: str = "") -> None:
        """As `cancel`."""
        await self._acontrol("cancel", reason=reason)

    def _control(self, kind: Literal["pause", "resume", "cancel"], **data: Any) -> None:
        command = Command(kind, data, _person())
        execution = self._engine.execution(self.id)
        if execution is None:
            self._engine.control(self.id, command)
            return
        taken = execution.post(command)
        if not execution.is_on_this_thread:
            taken.result()

    async def _acontrol(self, kind: Literal["pause", "resume", "cancel"], **data: Any) -> None:
        command = Command(kind, data, _person())
        execution = self._engine.execution(self.id)
        if execution is None:
            await in_thread(lambda: self._engine.control(self.id, command))
        else:
            await asyncio.wrap_future(execution.post(command))


class Pipeline:
    """A compiled pipeline: immutable, reusable, safe to share between threads."""

    def __init__(
        self, orchestrator: Orchestrator, plan: Plan, diagnostics: tuple[Diagnostic, ...], options: Options
    ) -> None:
        self._orchestrator = orchestrator
        self._plan = plan
        self._options = options
        self.id = plan.id
        self.name = plan.name
        self.description = plan.description
        self.diagnostics = diagnostics
        """The warnings."""

    def __repr__(self) -> str:
        return f"Pipeline({self.id!r})"

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """The declared inputs by name."""
        return self._plan.inputs

    @property
    def outputs(self) -> Mapping[str, OutputPlan]:
        """The declared outputs by name."""
        return self._plan.outputs

    @property
    def steps(self) -> Sequence[StepPlan]:
        """The steps in the file's order."""
        return self._plan.steps

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the steps and what they wait for."""
        from orchestrator.compiler.graph import to_mermaid, to_svg

        if format not in ("mermaid", "svg"):
            raise ConfigurationError(f"`{format}` is no format of a graph", help="use `mermaid` or `svg`")
        return to_svg(self._plan) if format == "svg" else to_mermaid(self._plan)

    def with_options(self, *, max_parallel: int | None = None, timeout: float | None = None) -> Pipeline:
        """Return the pipeline with other options for its runs.

        Args:
            max_parallel: how many steps run at once, at most.
            timeout: seconds after which a run fails.
        """
        options = replace(
            self._options,
            max_parallel=_positive("max_parallel", max_parallel) or self._options.max_parallel,
            timeout=_positive("timeout", timeout) or self._options.timeout,
        )
        return Pipeline(self._orchestrator, self._plan, self.diagnostics, options)

    def run(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """Run the pipeline with these inputs and wait for the result. Ctrl-C cancels the run.

        Raises:
            InputError: The inputs do not fit; nothing was started.
            RunFailed, RunCancelled, RunPaused: As `Run.result`.
        """
        run = self.start(inputs, **kwargs)
        try:
            return run.result()
        except KeyboardInterrupt:
            run.cancel(reason="interrupted from the keyboard")
            run.wait()
            raise

    def start(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run:
        """Start a run in the background of this process, and return at once."""
        bound = self._bind(inputs, kwargs)
        orchestrator = self._orchestrator
        execution = orchestrator._portal.call(orchestrator._engine.start(self._plan, bound, self._options))
        return Run(orchestrator, execution.run_id)

    async def arun(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """As `run`, on the current event loop. Cancelling the caller cancels the run."""
        run = await self.astart(inputs, **kwargs)
        try:
            return await run.aresult()
        except asyncio.CancelledError:
            execution = run._engine.execution(run.id)
            if execution is not None:
                await asyncio.wrap_future(
                    execution.post(Command("cancel", {"reason": "its caller was cancelled"}, _person()))
                )
                await asyncio.shield(asyncio.wrap_future(execution.resting))
            raise

    async def astart(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run:
        """As `start`, on the current event loop, which must go on until the run has ended."""
        bound = self._bind(inputs, kwargs)
        engine = self._orchestrator._engine
        execution = await engine.start(self._plan, bound, self._options)
        return Run(self._orchestrator, execution.run_id)

    def _bind(self, inputs: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> Bound:
        return bind(self._plan.inputs, {**(inputs or {}), **kwargs}, permissions=self._orchestrator.permissions)


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
        self._options = Options(max_parallel=_positive("max_parallel", max_parallel))
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
        return Pipeline(self, _plan_of(compilation), compilation.diagnostics, self._options)

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
            engine.control(run.id, Command("resume", {}, _person()))
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
            await in_thread(lambda: engine.control(run.id, Command("resume", {}, _person())))
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
_default: Orchestrator | None = None
_default_lock = threading.Lock()


@atexit.register
def _close_all() -> None:
    for orchestrator in list(_open_orchestrators):
        orchestrator.close()


def default() -> Orchestrator:
    """The orchestrator of the module-level functions: no arguments, made on first use."""
    global _default
    with _default_lock:
        if _default is None or _default._closed:
            _default = Orchestrator()
        return _default


def compile(source: Source) -> Pipeline:
    """As `Orchestrator.compile`, with the default orchestrator."""
    return default().compile(source)


def check(source: Source) -> Report:
    """As `Orchestrator.check`, with the default orchestrator."""
    return default().check(source)


def get_run(run_id: str) -> Run:
    """As `Orchestrator.get_run`, with the default orchestrator."""
    return default().get_run(run_id)


def list_runs(*, state: RunState | None = None, limit: int = 50) -> list[RunStatus]:
    """As `Orchestrator.list_runs`, with the default orchestrator."""
    return default().list_runs(state=state, limit=limit)


def resume(run_id: str, *, inputs: Mapping[str, Any] | None = None) -> Run:
    """As `Orchestrator.resume`, with the default orchestrator."""
    return default().resume(run_id, inputs=inputs)


def _plan_of(compilation: Compilation) -> Plan:
    if compilation.plan is not None:
        return compilation.plan
    errors = [diagnostic for diagnostic in compilation.diagnostics if diagnostic.severity == "error"]
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    name = compilation.document.source.name
    raise CompilationError(f"the pipeline `{name}` has {count}", diagnostics=compilation.diagnostics)


def _positive(name: str, value: Any) -> Any:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value <= 0):
        raise ConfigurationError(f"`{name}` must be a number greater than 0, not {value!r}")
    return value


def _person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user number without a name, as in many containers
        return "somebody"
