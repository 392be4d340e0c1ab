"""The options of every command that executes a run, written once."""

from typing import TYPE_CHECKING, Any, Final

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import OptionGroup
from orchestrator.cli.options.place import Place

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.api.interfaces import AnyOrchestrator
    from orchestrator.cli.options.model_source import ModelOptions
    from orchestrator.cli.run.foreground import RunDisplay

STARTING: Final = frozenset({"max_parallel", "timeout", "budget", "no_cache", "refresh"})
"""The options that a server applies to a run that it starts."""

RESUMING: Final = frozenset({"budget"})
"""The options that a server applies to a run that it resumes."""


class RunOptions(OptionGroup, frozen=True):
    """The options of a command that executes a run: in this process, or on a server."""

    store: common.StoreOption = None
    server: common.ServerOption = None
    max_parallel: common.MaxParallelOption = None
    timeout: common.TimeoutOption = None
    budget: common.BudgetOption = None
    no_cache: common.NoCacheOption = False
    refresh: common.RefreshOption = None
    json: common.JsonOption = False
    quiet: common.QuietOption = False
    tools: common.ToolsOption = None
    allow_path: common.AllowPathOption = None
    allow_run: common.AllowRunOption = False
    allow_host: common.AllowHostOption = None

    @property
    def place(self) -> Place:
        """Where the run is executed."""
        return Place(self.store, self.server)

    @property
    def display(self) -> "RunDisplay":
        """How to show the run."""
        from orchestrator.cli.run.foreground import RunDisplay

        return RunDisplay(json=self.json, quiet=self.quiet, hints=self.place.hints)

    def orchestrator(
        self, model_source: "ModelOptions | None" = None, *, over_http: "Collection[str]" = STARTING
    ) -> "AnyOrchestrator":
        """Return what the options describe. `over_http` are those of the limits that a server can apply.

        `model_source` says where the answers of models come from.
        """
        limits: dict[str, Any] = {name: getattr(self, name) for name in sorted(STARTING)}
        only_here = {f"--{name.replace('_', '-')}": limits[name] for name in sorted(STARTING - set(over_http))}
        only_here |= model_source.options if model_source is not None else {}
        return self.place.open(
            tools=self.tools,
            allow_path=self.allow_path,
            allow_run=self.allow_run,
            allow_host=self.allow_host,
            models=model_source.client() if model_source is not None and not self.place.is_server else None,
            only_here=only_here,
            **limits,
        )

    def words(self) -> list[str]:
        """Return the same as command line words, without those about output."""
        given: dict[str, list[object]] = {
            "--max-parallel": [] if self.max_parallel is None else [self.max_parallel],
            "--timeout": [] if self.timeout is None else [self.timeout],
            "--budget": [*(self.budget or ())],
            "--tools": [*(self.tools or ())],
            "--allow-path": [*(self.allow_path or ())],
            "--allow-host": [*(self.allow_host or ())],
            "--refresh": [*(self.refresh or ())],
        }
        words = [str(word) for option, values in given.items() for value in values for word in (option, value)]
        return self.place.words + words + ["--allow-run"] * self.allow_run + ["--no-cache"] * self.no_cache
