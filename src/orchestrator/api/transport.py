"""How pipelines travel to other processes: as their source, with the configuration that compiles and runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.runtime import Options
from orchestrator.tools import Permissions

if TYPE_CHECKING:
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.api.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Configuration:
    """With what an `Orchestrator` was made. Tools that are objects must be such that can be pickled."""

    store: str
    directory: Path
    tools: tuple[Any, ...]
    permissions: Permissions
    options: Options
    models: Any

    @classmethod
    def of(cls, orchestrator: Orchestrator) -> Configuration:
        """Describe an orchestrator."""
        return cls(
            orchestrator.store_url,
            orchestrator.directory,
            orchestrator._given_tools,
            orchestrator.permissions,
            orchestrator._options,
            orchestrator._models,
        )

    def orchestrator(self) -> Orchestrator:
        """Return the orchestrator of this process that has this configuration, made if there is none."""
        from orchestrator.api.orchestrator import Orchestrator, open_orchestrators

        for known in open_orchestrators():
            if Configuration.of(known) == self:
                return known
        return Orchestrator(
            store=self.store,
            tools=self.tools,
            permissions=self.permissions,
            directory=self.directory,
            max_parallel=self.options.max_parallel,
            budget=self.options.budget,
            cache=None if self.options.cache else False,
            refresh=self.options.refresh,
            models=self.models,
        )


@dataclass(frozen=True, slots=True)
class PipelineSource:
    """What a pipeline is compiled from: its text, and the texts of the files that it calls."""

    text: str
    name: str
    directory: Path
    sources: Mapping[str, str]


def pipeline_parts(pipeline: Pipeline) -> tuple[Any, ...]:
    """Return what `pickle` needs of a pipeline."""
    plan = pipeline._plan
    source = PipelineSource(plan.source_text, plan.source_name, Path(plan.directory), dict(plan.sources))
    return restored_pipeline, (Configuration.of(pipeline._orchestrator), source, pipeline._options)


def restored_pipeline(configuration: Configuration, source: PipelineSource, options: Options) -> Pipeline:
    """Compile a pipeline that was pickled.

    Raises:
        CompilationError: It does not compile in this process.
    """
    from orchestrator.api.pipeline import Pipeline, plan_of

    orchestrator = configuration.orchestrator()
    compilation = orchestrator._compile(
        source.text, directory=source.directory, name=source.name, sources=source.sources
    )
    return Pipeline(orchestrator, plan_of(compilation), compilation.diagnostics, options)
