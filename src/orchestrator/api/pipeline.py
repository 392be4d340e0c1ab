"""A checked pipeline, and what checking it found."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator import runtime
from orchestrator.api.arguments import (
    checked_priority,
    flag,
    inputs_of,
    moment,
    positive,
    several,
    validate_budget,
    word_among,
)
from orchestrator.api.backend import Configuration, plan_of
from orchestrator.api.control import command, giver
from orchestrator.api.run import Run
from orchestrator.api.start_key import checked_key, run_as, start_once
from orchestrator.api.submission import submit_run, worker_labels
from orchestrator.diagnostics import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from orchestrator.api.backend import Backend
    from orchestrator.api.batches import AsyncBatchResults, BatchResults
    from orchestrator.journal import RunStatus
    from orchestrator.journal.records import RunLimit
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.models.budget import Budget
    from orchestrator.plan.model import OutputPlan, Plan
    from orchestrator.plan.steps import StepPlan
    from orchestrator.plan.triggers import TriggerPlan
    from orchestrator.runtime import Batch, Bound, Result, Row
    from orchestrator.runtime.host.options import Options


class Report(Struct, frozen=True):
    """What `check` found."""

    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """True when no diagnostic is an error."""
        return all(diagnostic.severity != "error" for diagnostic in self.diagnostics)


class Pipeline:
    """A compiled pipeline: immutable, reusable, safe to share between threads."""

    def __init__(self, backend: Backend, plan: Plan, diagnostics: tuple[Diagnostic, ...], options: Options) -> None:
        self.backend = backend
        self.plan = plan
        self.options = options
        self._diagnostics = diagnostics

    def __repr__(self) -> str:
        return f"Pipeline({self.id!r})"

    def __copy__(self) -> Pipeline:
        return self

    def __deepcopy__(self, memo: Any) -> Pipeline:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled pipeline is its source; the process that loads it compiles it, with the same configuration."""
        plan = self.plan
        source = _PickledSource(plan.source_text, plan.source_name, Path(plan.directory), dict(plan.sources))
        return _restored, (self.backend.configuration, source, self.options)

    @property
    def id(self) -> str:
        """The id, by default the name of its file without the ending."""
        return self.plan.id

    @property
    def name(self) -> str:
        """The name, by default the id."""
        return self.plan.name

    @property
    def description(self) -> str:
        """The description in the file."""
        return self.plan.description

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The warnings."""
        return self._diagnostics

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """The declared inputs by name, for reading."""
        return MappingProxyType({name: _unshared(spec) for name, spec in self.plan.inputs.items()})

    @property
    def outputs(self) -> Mapping[str, OutputPlan]:
        """The declared outputs by name, for reading."""
        return MappingProxyType(self.plan.outputs)

    @property
    def locked(self) -> tuple[str, int] | None:
        """The lock file that answers of models were taken from, and how many; None if none were."""
        count = sum(1 for auto in self.plan.autos if auto.locked is not None)
        return (self.plan.lock[0], count) if count and self.plan.lock is not None else None

    @property
    def steps(self) -> Sequence[StepPlan]:
        """The steps in the file's order."""
        return self.plan.steps

    @property
    def triggers(self) -> Sequence[TriggerPlan]:
        """What starts runs by itself while a server offers the pipeline."""
        return self.plan.triggers

    @property
    def intention(self) -> str:
        """The purpose of the pipeline in a few sentences, made from the plan alone."""
        from orchestrator.plan.summary import intention

        return intention(self.plan)

    @property
    def architecture(self) -> str:
        """The structure of the pipeline as a Markdown page, made from the plan alone."""
        from orchestrator.plan.summary import architecture

        return architecture(self.plan)

    def summary(self) -> str:
        """Return a summary of the pipeline by a model: its `judge_model`, else its `model`, else `auto`.

        The model is called once; the answer is stored until the pipeline changes.

        Raises:
            ModelError: No model answered.
        """
        from orchestrator.evaluation.adhoc_models import run_blocking

        return run_blocking(self.asummary())

    async def asummary(self) -> str:
        """As `summary`."""
        from orchestrator.evaluation.pipeline_summary import summarize_plan

        engine = self.backend.engine
        return await summarize_plan(engine.store, engine.services, self.plan)

    def to_dict(self) -> dict[str, Any]:
        """Return the checked plan as JSON data: inputs, steps with those within them, called pipelines, outputs."""
        from orchestrator.plan.serialization import plan_data

        return plan_data(self.plan)

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the steps and what they wait for."""
        from orchestrator.plan.views.mermaid import to_mermaid
        from orchestrator.plan.views.svg import to_svg

        word_among("format", format, ("mermaid", "svg"))
        return to_svg(self.plan) if format == "svg" else to_mermaid(self.plan)

    def with_options(
        self,
        *,
        max_parallel: int | None = None,
        timeout: float | None = None,
        budget: Budget | None = None,
        cache: bool | None = None,
        refresh: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
        by: str | None = None,
        key: str | None = None,
        priority: int | None = None,
        not_before: float | datetime | None = None,
        runs_on: Iterable[str] | None = None,
    ) -> Pipeline:
        """Return the pipeline with other options for its runs.

        Args:
            max_parallel: how many steps run at once, at most.
            timeout: seconds after which a run fails.
            budget: what a run may spend on models. Its limits replace those of the file; other limits of the file still
                hold.
            cache: false: neither read nor write the cache.
            refresh: paths of steps whose cached results are computed again and replaced. The path of a loop or a group
                means all steps within it, one without numbers (`translate.draft`) all items.
            labels: words by which its runs can be found: `list_runs(labels=...)`.
            by: recorded as who started its runs; by default, the current user.
            key: what a caller chooses for one run, such as the number of an order: of all starts with this key within
                24 hours, in all processes, only the first one starts a run, and the others return that run.
            priority: from -100 to 100, by default 0. Where runs share slots, as in a server, steps of runs with a
                higher one start first; workers take runs with a higher one first.
            not_before: the time before which nothing of a run starts (seconds since the epoch, or a `datetime`). The
                process that started it waits for that time; if it ends before, the run can be resumed.
            runs_on: the labels that a worker must have to execute its submitted runs, at most four; see `submit`.

        Raises:
            ConfigurationError: A number is not above 0, or out of its range.
            RunError: ORC809, a step to refresh is unknown, or has no `cache`.
        """
        from orchestrator.plan.lookup import require_shared

        options = replace(
            self.options,
            max_parallel=positive("max_parallel", max_parallel) or self.options.max_parallel,
            timeout=positive("timeout", timeout) or self.options.timeout,
            budget=runtime.merged(self.options.budget, validate_budget(budget)),
            cache=self.options.cache if cache is None else flag("cache", cache),
            refresh=self.options.refresh if refresh is None else frozenset(several("refresh", refresh)),
            labels=self.options.labels if labels is None else several("labels", labels),
            by=self.options.by if by is None else giver(by),
            key=self.options.key if key is None else checked_key(key),
            priority=self.options.priority if priority is None else checked_priority(priority),
            not_before=self.options.not_before if not_before is None else moment("not_before", not_before),
            runs_on=self.options.runs_on if runs_on is None else worker_labels(runs_on),
        )
        require_shared(self.plan, options.refresh)
        return Pipeline(self.backend, self.plan, self.diagnostics, options)

    def bind(self, inputs: Mapping[str, Any]) -> Bound:
        """Internal: return the inputs of a run with their defaults, checked and converted to their types.

        Raises:
            InputError: They do not fit.
        """
        return runtime.bind(self.plan.inputs, inputs, permissions=self.backend.permissions)

    def bind_given(self, inputs: Mapping[str, Any]) -> Bound:
        """Internal: as `bind`, without the inputs that a run would take from environment variables.

        Raises:
            InputError: They do not fit.
        """
        known = {name: spec for name, spec in self.plan.inputs.items() if name in inputs or not spec.default_from_env}
        return runtime.bind(known, inputs, permissions=self.backend.permissions, environment={})

    def limit_of(self, inputs: Mapping[str, Any]) -> RunLimit | None:
        """Internal: return how many runs may be executed together with one with these inputs, None without a limit.

        Raises:
            InputError: They do not fit, or the concurrency key cannot be evaluated.
        """
        return None if self.plan.concurrency is None else runtime.concurrency_limit(self.plan, self.bind(inputs))

    def run(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """Run the pipeline with these inputs and wait for the result. Ctrl-C cancels the run.

        Raises:
            InputError: The inputs are invalid; nothing was started.
            RunFailed, RunCancelled, RunPaused: As `Run.result`.
        """
        run = self.start(inputs, **kwargs)
        try:
            return run.result()
        except KeyboardInterrupt:
            run.cancel(reason="interrupted from the keyboard", by=self.options.by)
            run.wait()
            raise

    def start(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run:
        """Start a run in the background of this process, and return immediately."""
        bound = self.bind(inputs_of(inputs, kwargs))
        return self.backend.call(self._begun(bound))

    def submit(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run:
        """Leave a run to a worker, and return at once: `orchestrator worker` takes it from the store.

        The run is `queued` until a worker takes it, on this machine or another one. The worker reads secret inputs from
        the environment variables that the pipeline names (`default_from_env`), as secrets are never stored.

        Raises:
            InputError: The inputs are invalid, or a secret is given; nothing was submitted.
        """
        return self.backend.call(self._submitted(inputs_of(inputs, kwargs)))

    async def asubmit(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run:
        """As `submit`."""
        return await self._submitted(inputs_of(inputs, kwargs))

    async def _submitted(self, inputs: Mapping[str, Any]) -> Run:
        return await submit_run(self.backend, self.plan, inputs, self.options, by=self._by)

    def begin(self, inputs: Mapping[str, Any], *, submits: bool = False) -> Future[tuple[Run, RunStatus]]:
        """Internal: as `start`, without waiting until the run is recorded; the future then has its status, too.

        With `submits`, as `submit`.
        """
        begun = self._submitted(inputs) if submits else self._begun(self.bind(inputs))
        return self.backend.portal.submit(_with_status(begun))

    def start_as(self, run_id: str, inputs: Mapping[str, Any]) -> Run:
        """Internal: start the run with an id that was recorded before, or return it if it has been started."""
        backend, bound = self.backend, self.bind(inputs)
        work = run_as(
            backend, run_id, lambda id: backend.engine.start(self.plan, bound, self.options, by=self._by, run_id=id)
        )
        return backend.call(work)

    async def arun(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """As `run`, on the current event loop. Cancelling the caller cancels the run."""
        import asyncio

        run = await self.astart(inputs, **kwargs)
        try:
            return await run.aresult()
        except asyncio.CancelledError:
            execution = self.backend.engine.execution(run.id)
            if execution is not None:
                taken = execution.post(command("cancel", self.options.by, reason="its caller was cancelled"))
                await asyncio.wrap_future(taken or execution.left)
                await asyncio.shield(asyncio.wrap_future(execution.resting))
            raise

    async def astart(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run:
        """As `start`, on the current event loop, which must keep running until the run has ended."""
        return await self._begun(self.bind(inputs_of(inputs, kwargs)))

    async def _begun(self, bound: Bound) -> Run:
        """Start a run on the current event loop, or return the one that was started with the same key."""
        if self.options.key is None:
            execution = await self.backend.engine.start(self.plan, bound, self.options, by=self._by)
            return Run(self.backend, execution.run_id, execution)
        return await start_once(self.backend, self.plan, bound, self.options, by=self._by, key=self.options.key)

    def map(
        self,
        rows: Iterable[Row],
        *,
        max_parallel: int | None = None,
        batch: str | None = None,
        budget: Budget | None = None,
    ) -> BatchResults:
        """Run the pipeline once for each row, and return an iterator over the results, in the order in which runs end.

        Rows are read while runs are executed, so there may be more than fit into memory. The result of a row that
        fails, or whose inputs are invalid, has the error. To resume a batch that was stopped, give its id and the same
        rows: rows that succeeded are not run again, interrupted runs are resumed.

        Args:
            rows: the inputs of each run, or the error for which they could not be read.
            max_parallel: how many runs are executed at once; by default that of `orchestrator.toml`, or 16.
            batch: the `batch` of earlier results.
            budget: what all runs of the batch together may spend on models, including those before it was resumed. Give
                it again when you resume the batch. The budget of each run is in the file, or in `with_options`.

        Raises:
            RunError: ORC817, while the results are read: the batch is unknown, or its rows differ.
        """
        from orchestrator.api.batches import BatchResults

        return BatchResults(self.backend.portal, self._batch(max_parallel, batch, budget), rows)

    def amap(
        self,
        rows: Iterable[Row],
        *,
        max_parallel: int | None = None,
        batch: str | None = None,
        budget: Budget | None = None,
    ) -> AsyncBatchResults:
        """As `map`, on the current event loop. `rows` is read in a thread, as it may have to wait."""
        from orchestrator.api.batches import AsyncBatchResults

        return AsyncBatchResults(self._batch(max_parallel, batch, budget), rows)

    def map_numbered(
        self,
        rows: Iterable[tuple[int, Row]],
        *,
        max_parallel: int | None = None,
        batch: str | None = None,
        may_be_new: bool = False,
        budget: Budget | None = None,
    ) -> BatchResults:
        """Internal: as `map`, of rows with their numbers, which a server receives from its clients.

        A `batch` that `may_be_new` is started with this id if it is unknown.
        """
        from orchestrator.api.batches import BatchResults

        batch_of_rows = self._batch(max_parallel, batch, budget, may_be_new=may_be_new)
        return BatchResults(self.backend.portal, batch_of_rows, None, numbered=rows)

    def _batch(
        self, max_parallel: int | None, batch: str | None, budget: Budget | None, *, may_be_new: bool = False
    ) -> Batch:
        at_once = int(positive("max_parallel", max_parallel) or self.backend.max_rows)
        return runtime.Batch(
            self.backend.engine,
            self.plan,
            self.options,
            batch=batch,
            may_be_new=may_be_new,
            max_parallel=max(1, at_once),
            budget=validate_budget(budget),
            by=self._by,
        )

    @property
    def _by(self) -> str:
        return giver(self.options.by)


async def _with_status(begun: Coroutine[Any, Any, Run]) -> tuple[Run, RunStatus]:
    run = await begun
    return run, await run.astatus()


def _unshared(spec: InputSpec) -> InputSpec:
    """Return a declaration whose lists and objects may be changed without changing the pipeline."""
    own: dict[str, Any] = {"default": deepcopy(spec.default), "enum": deepcopy(spec.enum)}
    if spec.items is not None:
        own["items"] = _unshared(spec.items)
    if spec.properties is not None:
        own["properties"] = {name: _unshared(each) for name, each in spec.properties.items()}
    return spec.model_copy(update=own)


class _PickledSource(Struct, frozen=True):
    """What a pipeline is compiled from: its text, and the texts of the files that it calls."""

    text: str
    name: str
    directory: Path
    sources: Mapping[str, str]


def _restored(configuration: Configuration, source: _PickledSource, options: Options) -> Pipeline:
    """Compile a pipeline that was pickled.

    Raises:
        CompilationError: It does not compile in this process.
    """
    backend = configuration.backend()
    compilation = backend.compile(source.text, directory=source.directory, name=source.name, sources=source.sources)
    return Pipeline(backend, plan_of(compilation), compilation.diagnostics, options)
