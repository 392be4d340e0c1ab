"""The parts that an orchestrator, its pipelines and its runs share: configuration, tools, store, engine, event loop.

Internal, though its names are public: the command and the test runner use it where the public API has no verb.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from orchestrator import codes, compiler, journal, runtime, tools
from orchestrator.api.origin import Origin, refuse_lacking
from orchestrator.api.settings import ProjectSettings, check_settings
from orchestrator.api.source import Source, read_source
from orchestrator.errors import CompilationError, ConfigurationError, RunNotResumable
from orchestrator.models.actions import model_tools
from orchestrator.notices.delivery import NoticeSender
from orchestrator.notices.settings import NoticeSettings
from orchestrator.remedies import GrantAgain
from orchestrator.runtime.host.options import MAX_ROWS, Options
from orchestrator.text.words import plural
from orchestrator.tools.executor import ToolExecutor
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.protection import store_files
from orchestrator.tools.source_files import named_sources, searched_directories, source_files

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from orchestrator.compiler import Compilation
    from orchestrator.journal import RunRecord, RunStatus, Store
    from orchestrator.plan.model import Plan
    from orchestrator.runtime import Engine, Execution, ModelServices, Portal, RunCommands
    from orchestrator.tools import Registry

T = TypeVar("T")

_CLOSE_SECONDS = 10.0  # for tools to end when the backend is closed while they run

_OF_TOOLS = frozenset({codes.UNKNOWN_TOOL, codes.UNKNOWN_ACTION, codes.NOT_PERMITTED})
"""The codes of a pipeline that compiled before and no longer does, because other tools or permissions are given."""


class Configuration(Struct, frozen=True):
    """What a backend is made from. It can be pickled if its tools, where they are objects, can be."""

    store: str | None
    directory: Path
    tools: tuple[Any, ...]
    permissions: Permissions | None
    options: Options
    cache: bool | None
    models: Any
    tool_executor: ToolExecutor | None = None
    notify: bool = True

    def backend(self) -> Backend:
        """Return the open backend of this process that has this configuration, or a new one."""
        return next((known for known in _open_backends if known.configuration == self), None) or Backend(self)


class Backend:
    """What runs of one configuration need. The store is opened and tools are loaded on first use."""

    def __init__(self, given: Configuration) -> None:
        try:
            settings = ProjectSettings.load(given.directory)
            allowed = given.permissions or Permissions.load(given.directory)
        except ConfigurationError:
            check_settings(given.directory)  # reports the problems of the other tables too
            raise
        self.directory = given.directory
        self.store_url = given.store or settings.store or f"sqlite:///{self.directory / '.orchestrator' / 'runs.db'}"
        self.max_rows = settings.max_rows or MAX_ROWS
        """How many runs of a batch are executed at once by default."""
        self.options = replace(given.options, cache=given.cache is not False, sizes=settings.sizes)
        """The options of runs that are resumed: what was given, over what the run was started with."""
        self.start_options = replace(
            self.options,
            max_parallel=given.options.max_parallel or settings.max_parallel,
            timeout=given.options.timeout or settings.timeout,
            budget=given.options.budget or settings.budget,
            cache=settings.cache if given.cache is None else given.cache,
        )
        """The options of runs that are started: what was given, over `[run]` of the project."""
        self._given_tools = given.tools
        self._project_tools = settings.tools
        self._tools = (*self._project_tools, *self._given_tools)
        objects = [found for item in self._given_tools for found in tools.to_tools(item, directory=self.directory)]
        self._registry = self._registry_with(objects, beneath=settings.tools) if objects else None
        named = [item for item in self._tools if isinstance(item, str)]
        files = source_files(objects)
        self.permissions = allowed.protecting(
            *store_files(self.store_url),
            *files,
            *named_sources(named, self.directory),
            searched=searched_directories(named, files, self.directory),
            private=store_files(self.store_url),
        )
        self.configuration = replace(given, store=self.store_url, permissions=self.permissions)
        """What another process needs to make the same backend."""
        self._models = given.models
        self._tool_executor = given.tool_executor
        self._notify = given.notify
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._engine: Engine | None = None
        self._portal: Portal | None = None
        self.closed = False
        _open_backends.add(self)

    def protect_pipelines(self, offered: Iterable[Path], *, outputs: Iterable[Path]) -> None:
        """Have no step put a pipeline into the `offered` directories of a server, except below `outputs`: real paths.

        Raises:
            ConfigurationError: Runs may be executed already, with other permissions.
        """
        with self._lock:
            if self._engine is not None:
                raise ConfigurationError("the pipelines are protected before the first run is executed")
            self.permissions = self.permissions.protecting(offered=offered, outputs=outputs)
            self.configuration = replace(self.configuration, permissions=self.permissions)

    # --- what is opened on first use

    @property
    def registry(self) -> Registry:
        """The tools: the built-in ones, those of plugins, of `orchestrator.toml`, and those that were given.

        Raises:
            ConfigurationError: One of them cannot be loaded.
        """
        if self._registry is None:  # what only reads runs needs none of them
            self._registry = self._registry_with(self._given_tools, beneath=self._project_tools)
        return self._registry

    def require_tools(self) -> None:
        """Load the tools that the project and the caller name, if there are any, before they are needed.

        Raises:
            ConfigurationError: One of them cannot be loaded.
        """
        if self._tools:
            self._registry = self.registry

    @property
    def store(self) -> Store:
        """The store of runs, which is made if it does not exist.

        Raises:
            ConfigurationError: The backend is closed.
            StoreError: It cannot be opened.
        """
        with self._lock:
            return self._opened_store()

    def _opened_store(self) -> Store:
        if self.closed:
            raise ConfigurationError("this orchestrator is closed", help="make a new `Orchestrator`")
        if self._store is None:
            self._store = journal.Store.open(self.store_url)
        return self._store

    @property
    def engine(self) -> Engine:
        """What executes runs. Raises as `store` does."""
        with self._lock:
            store = self._opened_store()
            if self._engine is None:
                services = runtime.ModelServices(
                    self.directory, store, self._models, working=self.permissions.directory
                )
                self._engine = runtime.Engine(
                    store,
                    permissions=self.permissions,
                    services=services,
                    origin=Origin.here(self._tools, self.permissions, models=self._models).to_dict(),
                    executor=self._tool_executor,
                    notices=NoticeSender(NoticeSettings.load(self.directory)) if self._notify else None,
                )
            return self._engine

    @property
    def services(self) -> ModelServices:
        """What calls of models share."""
        return self.engine.services

    @property
    def portal(self) -> Portal:
        """The event loop of runs that are started without one."""
        with self._lock:
            if self._portal is None:
                self._portal = runtime.Portal()
            return self._portal

    def execution(self, run_id: str) -> Execution | None:
        """Return the run's execution, if it is executed here and now. Readers need no engine."""
        with self._lock:
            engine = self._engine
        return None if engine is None else engine.execution(run_id)

    def status(self, run_id: str) -> RunStatus:
        """Return the status of a run, in whichever process it is executed."""
        with self._lock:
            engine = self._engine
        return self.store.status(run_id) if engine is None else engine.status(run_id)

    @property
    def commands(self) -> RunCommands:
        """Carries out commands to runs that are not executed here. Needs no engine. Raises as `store` does."""
        return runtime.RunCommands(self.store)

    def has_store(self) -> bool:
        """Return whether the store exists: reading runs creates none."""
        return self._store is not None or self.closed or journal.Store.exists(self.store_url)

    def existing_store(self) -> Store:
        """Return the store; raise StoreError if it does not exist."""
        return self.store if self.has_store() else journal.Store.open(self.store_url, create=False)

    def find_run(self, name: str) -> str:
        """Return the id of a run, given by its id, a unique prefix of it, or `last`.

        Raises:
            RunNotFound: No run matches, or several do.
        """
        if not self.has_store():
            from orchestrator.journal.store.queries.lookup import no_runs

            raise no_runs(self.store_url, name)
        return self.store.find(name)

    def call(self, work: Coroutine[Any, Any, T], *, run_id: str = "", method: str = "", twin: str = "") -> T:
        """Run a coroutine on the background event loop, and wait for its result.

        Every sync method that starts or resumes runs is its async twin, called through here.

        Raises:
            ConfigurationError: The caller is on an event loop that executes the run `run_id`, or on the background one.
        """
        try:
            if method:
                runtime.refuse_blocking(run_id, method, twin)
        except ConfigurationError:
            work.close()
            raise
        return self.portal.call(work)

    # --- compiling

    def compile(
        self,
        source: Source,
        *,
        directory: Path | None = None,
        name: str | None = None,
        sources: Mapping[str, str] | None = None,
        locks: bool = True,
        registry: Registry | None = None,
        permissions: Permissions | None = None,
        may_read: Callable[[Path], bool] | None = None,
        to_run: bool = True,
    ) -> Compilation:
        """Compile a pipeline with the tools and permissions of this backend, unless others are given.

        The keys of models need to be there only if it is `to_run`.
        """
        check_settings(self.directory)
        content, named = read_source(source)
        notices = NoticeSettings.load(self.directory) if sources is None else None
        return compiler.compile_pipeline(
            content,
            registry=registry or self.registry,
            permissions=permissions or self.permissions,
            directory=directory or self.directory,
            name=name or named,
            sources=sources,
            live_models=to_run and (self._models is None or getattr(self._models, "needs_keys", False)),
            locks=locks,
            may_read=may_read,
            notice_targets=None if notices is None else tuple(notices.targets),
            waiting_targets=() if notices is None else notices.waiting,
        )

    def recompile(self, record: RunRecord, *, registry: Registry | None = None, to_run: bool = True) -> Plan:
        """Compile the recorded pipeline of a run, with the tools that it was started with; see `compile`.

        Raises:
            RunNotResumable: It does not compile here.
        """
        registry = registry or self.registry_of(record)
        compilation = self.compile(
            record.source_text,
            directory=Path(record.directory),
            name=record.source_name,
            sources=record.sources,
            registry=registry,
            permissions=runtime.permissions_for(self.permissions, record),
            to_run=to_run,
        )
        if compilation.plan is not None:
            return compilation.plan
        first = next(diagnostic for diagnostic in compilation.diagnostics if diagnostic.severity == "error")
        origin = Origin.of(record)
        help, remedies = (None, ()) if first.code in _OF_TOOLS else (first.help, first.remedies)
        if not help and not remedies:
            sources = origin.sources if origin else ()
            help = "give its tools again" if sources else "give the same tools and permissions as then"
            remedies = (GrantAgain(sources),) if sources else ()
        raise RunNotResumable(
            f"run `{record.run_id}` cannot be resumed: its pipeline does not compile here: "
            f"{first.message} [{first.code}]",
            run_id=record.run_id,
            help=help,
            remedies=remedies,
        )

    def recompile_for_reading(self, record: RunRecord) -> Plan:
        """Compile the pipeline of a run to draw it: nothing is permitted for that, and no keys and options are needed.

        Raises:
            RunNotResumable: It does not compile here.
        """
        origin = Origin.of(record)
        found = origin.loadable(self.directory) if origin is not None else ()
        names = [name for name in found if name not in self._project_tools]
        registry = self._registry_with(self._given_tools, beneath=[*names, *self._project_tools])
        return self.recompile(record, registry=registry, to_run=False)

    def registry_of(self, record: RunRecord) -> Registry:
        """Return the tools of a run: those that it was started with, replaced by those given now.

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

    def _registry_with(self, given: Iterable[Any], *, beneath: Iterable[Any]) -> Registry:
        """Return the known tools with more; of two with one name those of `beneath` are replaced."""
        known = tools.builtin_registry() | model_tools() | tools.entry_point_tools()
        return known.with_tools(*beneath, directory=self.directory).with_tools(*given, directory=self.directory)

    # --- the end

    def close(self) -> None:
        """Interrupt the runs that are executed here, so that they can be resumed, and close the store."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
        _open_backends.discard(self)
        try:
            if self._engine is not None:
                self._engine.close(timeout=_CLOSE_SECONDS)
        finally:
            if self._portal is not None:
                self._portal.close()
            if self._engine is not None:
                self._engine.services.close()
            if self._store is not None:
                self._store.close()

    def reset(self) -> None:
        """In a child of `fork`: open the store again on next use, as none of the parent's threads exist here."""
        _of_parent.append((self._store, self._engine, self._portal))
        self._store = self._engine = self._portal = None
        self._lock = threading.Lock()


_open_backends: weakref.WeakSet[Backend] = weakref.WeakSet()

_of_parent: list[Any] = []
"""What a child of `fork` has of its parent. It is never closed: the connections in it are still the parent's."""


def plan_of(compilation: Compilation) -> Plan:
    """Return the plan of a pipeline that has no errors, or raise CompilationError."""
    if compilation.plan is not None:
        return compilation.plan
    errors = [diagnostic for diagnostic in compilation.diagnostics if diagnostic.severity == "error"]
    name = compilation.document.source.name
    message = f"the pipeline `{name}` has {plural(len(errors), 'error')}"
    raise CompilationError(message, diagnostics=compilation.diagnostics)


def _reset_all() -> None:
    for backend in list(_open_backends):
        backend.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


@atexit.register
def _close_all() -> None:
    for backend in list(_open_backends):
        backend.close()
