"""The options of every command that executes a run in this process, written once."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from msgspec import Struct

from orchestrator.cli.options import common

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.cli.run.foreground import RunDisplay
    from orchestrator.models.messages import ModelClient


class RunOptions(Struct, frozen=True):
    """The options of a command that executes a run in this process."""

    store: common.StoreOption = None
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
    def display(self) -> RunDisplay:
        """How to show the run."""
        from orchestrator.cli.run.foreground import RunDisplay
        from orchestrator.cli.terminal.hints import Hints

        return RunDisplay(json=self.json, quiet=self.quiet, hints=Hints(self.store))

    def orchestrator(self, models: ModelClient | None = None) -> Orchestrator:
        """Return the configuration that the options describe. `models` replaces the providers."""
        return common.open_orchestrator(
            store=self.store,
            tools=self.tools,
            allow_path=self.allow_path,
            allow_run=self.allow_run,
            allow_host=self.allow_host,
            max_parallel=self.max_parallel,
            timeout=self.timeout,
            budget=self.budget,
            no_cache=self.no_cache,
            refresh=self.refresh,
            models=models,
        )

    def words(self) -> list[str]:
        """Return the same as command line words, without those about output."""
        given: dict[str, list[object]] = {
            "--store": [] if self.store is None else [self.store],
            "--max-parallel": [] if self.max_parallel is None else [self.max_parallel],
            "--timeout": [] if self.timeout is None else [self.timeout],
            "--budget": [*(self.budget or ())],
            "--tools": [*(self.tools or ())],
            "--allow-path": [*(self.allow_path or ())],
            "--allow-host": [*(self.allow_host or ())],
            "--refresh": [*(self.refresh or ())],
        }
        words = [str(word) for option, values in given.items() for value in values for word in (option, value)]
        return words + ["--allow-run"] * self.allow_run + ["--no-cache"] * self.no_cache


def executes(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `options: RunOptions` of a command by the options of its fields."""
    hints = get_type_hints(RunOptions, localns={"Path": Path}, include_extras=True)
    names = RunOptions.__struct_fields__
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])
        for name, default in zip(names, RunOptions.__struct_defaults__, strict=True)
    ]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        options = RunOptions(**{name: given.pop(name) for name in names})
        command(**given, options=options)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
        parameters += shared if parameter.name == "options" else own
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper
