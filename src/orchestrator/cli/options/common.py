"""The options that several commands share, and the `Orchestrator` that they describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options.usage_errors import duration, future, whole_number
from orchestrator.config.project_file import project_directory

if TYPE_CHECKING:
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.models.messages import ModelClient
    from orchestrator.tools import Permissions

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, a unique prefix of it, or `last` for the newest.")
]
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The pipeline's YAML file.", readable=False)  # our error is better
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="ORCHESTRATOR_STORE",
        metavar="URL",
        help="The database of runs. Default: `store` in orchestrator.toml, else sqlite:///.orchestrator/runs.db",
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="ORCHESTRATOR_SERVER",
        metavar="URL",
        help="Use the runs of this server, not a store. Its token is ORCHESTRATOR_TOKEN, or found on its machine.",
    ),
]
ToolsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tools",
        metavar="MODULE",
        help="A module or .py file with your own tools, in addition to those of orchestrator.toml. Repeatable.",
    ),
]
AllowPathOption = Annotated[
    list[Path] | None,
    typer.Option("--allow-path", metavar="PATH", help="Let tools also use files below this path. Repeatable."),
]
AllowRunOption = Annotated[bool, typer.Option("--allow-run", help="Let the terminal and python tools run programs.")]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="HOST", help="Let the http tool reach this private host. Repeatable."),
]
InputOption = Annotated[
    list[str] | None,
    typer.Option("-i", "--input", metavar="NAME=VALUE", help="An input, parsed by its declared type. Repeatable."),
]
InputsOption = Annotated[
    str | None,
    typer.Option("--inputs", metavar="FILE", help="A JSON or YAML file with inputs; `-` reads it from stdin."),
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "-i",
        "--input",
        metavar="NAME=VALUE",
        help="An input that the run lacks: a secret, or a new input. Repeatable.",
    ),
]
SecretsOption = Annotated[
    str | None,
    typer.Option("--inputs", metavar="FILE", help="A JSON or YAML file with these inputs; `-` reads it from stdin."),
]
MaxParallelOption = Annotated[
    int | None,
    typer.Option(
        "--max-parallel",
        parser=whole_number("--max-parallel", least=1),
        metavar="N",
        help="Run at most N steps at once.",
    ),
]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")]
RefreshOption = Annotated[
    list[str] | None,
    typer.Option("--refresh", metavar="STEP", help="Compute this step's cached results again. Repeatable."),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        parser=duration("--timeout"),
        metavar="DURATION",
        help="Fail a run that takes longer than this, such as 30m or 2h.",
    ),
]
BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        metavar="AMOUNT",
        help="Spend at most this on models: 2usd, 50000tokens or 100requests. Repeatable.",
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="TEXT", help="A label for `runs --label`. Repeatable."),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="TEXT",
        help="Start one run for this key within 24 hours; repeated commands return that run.",
    ),
]
NotBeforeOption = Annotated[
    float | None,
    typer.Option(
        "--not-before",
        parser=future("--not-before"),
        metavar="TIME",
        help="Start nothing before this time, such as 2026-12-01T02:00, or so long from now, such as 2h.",
    ),
]
ReplayOption = Annotated[
    Path | None, typer.Option("--replay", metavar="DIR", help="Replay recordings instead of calling models.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def open_orchestrator(
    *,
    store: str | None = None,
    tools: list[str] | None = None,
    allow_path: list[Path] | None = None,
    allow_run: bool = False,
    allow_host: list[str] | None = None,
    max_parallel: int | None = None,
    timeout: float | None = None,
    budget: list[str] | None = None,
    no_cache: bool = False,
    refresh: list[str] | None = None,
    models: "ModelClient | None" = None,
) -> "Orchestrator":
    """Return the configuration that the options describe, on top of `orchestrator.toml`."""
    from orchestrator.api.orchestrator import Orchestrator

    limits = None
    if budget:
        from orchestrator.cli.options.budgets import read_budget

        limits = read_budget(budget)
    return Orchestrator(
        store=store,
        tools=tuple(tools or ()),
        permissions=permissions(allow_path, allow_run, allow_host),
        max_parallel=max_parallel,
        timeout=timeout,
        budget=limits,
        cache=False if no_cache else None,
        refresh=refresh or (),
        models=models,
    )


def permissions(paths: list[Path] | None, run: bool, hosts: list[str] | None) -> "Permissions":
    """Return what tools may do: what `orchestrator.toml` and the options allow."""
    from orchestrator.errors import ConfigurationError
    from orchestrator.tools.sandbox.permissions import Permissions

    project = project_directory()
    try:
        allowed = Permissions.load(project)
    except ConfigurationError:
        from orchestrator.api.settings import check_settings

        check_settings(project)  # reports the problems of the other tables too
        raise
    return allowed.extended(paths=[path.absolute() for path in paths or ()], run=run, hosts=hosts or ())
