"""A checked pipeline, and what checking it found."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from orchestrator.api.arguments import flag, inputs_of, one_of, positive, sensible, several
from orchestrator.api.batches import AsyncBatchResults, BatchResults
from orchestrator.api.run import Run, person
from orchestrator.diagnostics import Diagnostic
from orchestrator.errors import CompilationError
from orchestrator.journal.records import Command
from orchestrator.plan.lookup import require_shared
from orchestrator.plan.serialization import plan_data
from orchestrator.runtime import Bound, Options, Result, bind
from orchestrator.runtime.host.batches import Batch, Row
from orchestrator.runtime.run.model_access import merged
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.compiler import Compilation
    from orchestrator.language.spec.pipeline import InputSpec
    from orchestrator.models.budget import Budget
    from orchestrator.plan.model import OutputPlan, Plan
    from orchestrator.plan.steps import StepPlan


class Readable(Protocol):
    """An open file."""

    def read(self, size: int = -1, /) -> str | bytes:
        """Return at most `size` characters or bytes."""


Source = str | bytes | PathLike[str] | Readable | Mapping[str, Any]
"""A pipeline: the path of its file, its YAML text, an open file, or a mapping."""


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found."""

    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """True when no diagnostic is an error."""
        return all(diagnostic.severity != "error" for diagnostic in self.diagnostics)


class Pipeline:
    """A compiled pipeline: immutable, reusable, safe to share between threads."""

    def __init__(
        self, orchestrator: Orchestrator, plan: Plan, diagnostics: tuple[Diagnostic, ...], options: Options
    ) -> None:
        self._orchestrator = orchestrator
        self._plan = plan
        self._options = options
        self._diagnostics = diagnostics

    def __repr__(self) -> str:
        return f"Pipeline({self.id!r})"

    def __copy__(self) -> Pipeline:
        return self

    def __deepcopy__(self, memo: Any) -> Pipeline:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled pipeline is its source; the process that loads it compiles it, with the same configuration."""
        from orchestrator.api.transport import pipeline_parts

        return pipeline_parts(self)

    @property
    def id(self) -> str:
        """The id, by default the name of its file without the ending."""
        return self._plan.id

    @property
    def name(self) -> str:
        """The name, by default the id."""
        return self._plan.name

    @property
    def description(self) -> str:
        """What the file says about it."""
        return self._plan.description

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The warnings."""
        return self._diagnostics

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """The declared inputs by name, for reading."""
        return MappingProxyType({name: _unshared(spec) for name, spec in self._plan.inputs.items()})

    @property
    def outputs(self) -> Mapping[str, OutputPlan]:
        """The declared outputs by name, for reading."""
        return MappingProxyType(self._plan.outputs)

    @property
    def steps(self) -> Sequence[StepPlan]:
        """The steps in the file's order."""
        return self._plan.steps

    @property
    def intention(self) -> str:
        """What the pipeline is for, in a few sentences that are made from the plan alone."""
        from orchestrator.plan.summary import intention

        return intention(self._plan)

    @property
    def architecture(self) -> str:
        """How the pipeline is built, as a page of Markdown that is made from the plan alone."""
        from orchestrator.plan.summary import architecture

        return architecture(self._plan)

    def summary(self) -> str:
        """Return the pipeline in a model's words: that of `orchestrator`, else `model`, else what `auto` means.

        The model is asked once for as long as the pipeline does the same; then the answer comes from the store.

        Raises:
            ModelError: No model has answered.
        """
        from orchestrator.evaluation.adhoc_models import run_blocking

        return run_blocking(self.asummary())

    async def asummary(self) -> str:
        """As `summary`."""
        from orchestrator.evaluation.pipeline_summary import summarize_plan

        engine = self._orchestrator._engine
        return await summarize_plan(engine.store, engine.services, self._plan)

    def to_dict(self) -> dict[str, Any]:
        """Return the checked plan as JSON data: inputs, steps with those within them, called pipelines, outputs."""
        return plan_data(self._plan)

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the steps and what they wait for."""
        from orchestrator.plan.views.mermaid import to_mermaid
        from orchestrator.plan.views.svg import to_svg

        one_of("format", format, ("mermaid", "svg"))
        return to_svg(self._plan) if format == "svg" else to_mermaid(self._plan)

    def with_options(
        self,
        *,
        max_parallel: int | None = None,
        timeout: float | None = None,
        budget: Budget | None = None,
        cache: bool | None = None,
        refresh: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
    ) -> Pipeline:
        """Return the pipeline with other options for its runs.

        Args:
            max_parallel: how many steps run at once, at most.
            timeout: seconds after which a run fails.
            budget: what a run may spend on models. Its limits replace those of the file; others of the file stay.
            cache: false: take no result from the cache, and put none into it.
            refresh: paths of steps whose results are made anew, and then shared in the place of the old ones. The path
                of a loop or a group means all steps within it, one without numbers (`translate.draft`) all items.
            labels: words by which its runs can be found: `list_runs(labels=...)`.

        Raises:
            ConfigurationError: A number is not above 0.
            RunError: ORC809, there is no such step to refresh, or it has no `cache`.
        """
        options = replace(
            self._options,
            max_parallel=positive("max_parallel", max_parallel) or self._options.max_parallel,
            timeout=positive("timeout", timeout) or self._options.timeout,
            budget=merged(self._options.budget, sensible(budget)),
            cache=self._options.cache if cache is None else flag("cache", cache),
            refresh=self._options.refresh if refresh is None else frozenset(several("refresh", refresh)),
            labels=self._options.labels if labels is None else several("labels", labels),
        )
        require_shared(self._plan, options.refresh)
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
        return Run(orchestrator, execution.run_id, execution)

    async def arun(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """As `run`, on the current event loop. Cancelling the caller cancels the run."""
        run = await self.astart(inputs, **kwargs)
        try:
            return await run.aresult()
        except asyncio.CancelledError:
            execution = run._engine.execution(run.id)
            if execution is not None:
                await asyncio.wrap_future(
                    execution.post(Command("cancel", {"reason": "its caller was cancelled"}, person()))
                )
                await asyncio.shield(asyncio.wrap_future(execution.resting))
            raise

    async def astart(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run:
        """As `start`, on the current event loop, which must go on until the run has ended."""
        bound = self._bind(inputs, kwargs)
        engine = self._orchestrator._engine
        execution = await engine.start(self._plan, bound, self._options)
        return Run(self._orchestrator, execution.run_id, execution)

    def map(
        self,
        rows: Iterable[Row],
        *,
        max_parallel: int | None = None,
        batch: str | None = None,
        budget: Budget | None = None,
    ) -> BatchResults:
        """Run the pipeline once for each row, and return an iterator over what becomes of them, as the runs end.

        Rows are read while runs are executed, so they may be more than fit into memory. A row that fails, or whose
        inputs do not fit, has its error in its result. To go on with a batch that was stopped, give its id and the same
        rows: those that succeeded are not run again, runs that were left are resumed.

        Args:
            rows: the inputs of each run, or the error for which they could not be read.
            max_parallel: how many runs are executed at once; by default as `orchestrator.toml` says, or 16.
            batch: the `batch` of earlier results.
            budget: what all runs of the batch may spend on models together, also those before it went on. Say it again
                when it goes on. What each run may spend is said by the file, or by `with_options`.

        Raises:
            RunError: ORC817, while the results are read: there is no such batch, or its rows are others.
        """
        return BatchResults(self._orchestrator._portal, self._batch(max_parallel, batch, budget), rows)

    def amap(
        self,
        rows: Iterable[Row],
        *,
        max_parallel: int | None = None,
        batch: str | None = None,
        budget: Budget | None = None,
    ) -> AsyncBatchResults:
        """As `map`, on the current event loop. `rows` is read in a thread, as it may have to wait."""
        return AsyncBatchResults(self._batch(max_parallel, batch, budget), rows)

    def _batch(self, max_parallel: int | None, batch: str | None, budget: Budget | None) -> Batch:
        at_once = int(positive("max_parallel", max_parallel) or self._orchestrator._rows_at_once)
        return Batch(
            self._orchestrator._engine,
            self._plan,
            self._options,
            batch=batch,
            max_parallel=max(1, at_once),
            budget=sensible(budget),
        )

    def _bind(self, inputs: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> Bound:
        return bind(self._plan.inputs, inputs_of(inputs, kwargs), permissions=self._orchestrator.permissions)


def _unshared(spec: InputSpec) -> InputSpec:
    """Return a declaration whose lists and objects may be changed without changing the pipeline."""
    own: dict[str, Any] = {"default": deepcopy(spec.default), "enum": deepcopy(spec.enum)}
    if spec.items is not None:
        own["items"] = _unshared(spec.items)
    if spec.properties is not None:
        own["properties"] = {name: _unshared(each) for name, each in spec.properties.items()}
    return spec.model_copy(update=own)


def plan_of(compilation: Compilation) -> Plan:
    """Return the plan of a pipeline that has no errors, or raise CompilationError."""
    if compilation.plan is not None:
        return compilation.plan
    errors = [diagnostic for diagnostic in compilation.diagnostics if diagnostic.severity == "error"]
    count = plural(len(errors), "error")
    name = compilation.document.source.name
    raise CompilationError(f"the pipeline `{name}` has {count}", diagnostics=compilation.diagnostics)
