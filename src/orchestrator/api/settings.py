"""Reads all of `orchestrator.toml` before anything is run, so that an invalid setting cannot stop a run half-way."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestrator.config.project_file import Table, read_configuration
from orchestrator.models.budget import Budget
from orchestrator.runtime.values.result_size import USUAL, ResultSizes
from orchestrator.tools import Permissions

if TYPE_CHECKING:
    from pathlib import Path

_RUN: Final = ("budget", "cache", "max_parallel", "max_result", "max_told", "timeout")
_MAP: Final = ("max_parallel",)
_BUDGET: Final = ("usd", "tokens", "requests")
_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """The settings outside of the tables that have their own readers.

    `store` and `tools` are as the options of these names, with paths relative to the file; the others are the
    defaults of options of runs that are started, from the table `[run]`, and how many runs of a batch are executed at
    once, from `[map]`.
    """

    store: str | None = None
    tools: tuple[str, ...] = ()
    max_parallel: int | None = None
    timeout: float | None = None
    budget: Budget | None = None
    cache: bool = True
    sizes: ResultSizes = USUAL
    max_rows: int | None = None

    @classmethod
    def load(cls, directory: Path) -> ProjectSettings:
        """Read them from `orchestrator.toml` in `directory`; without the file all are the built-in defaults.

        Raises:
            ConfigurationError: The file is not TOML, or has a setting that is unknown or of the wrong type.
        """
        whole = read_configuration(directory)
        if not whole.values.keys() & {"store", "tools", "run", "map"}:
            return cls()
        run = whole.table("run")
        run.only(_RUN)
        batches = whole.table("map")
        batches.only(_MAP)
        return cls(
            store=_store(whole, directory),
            tools=tuple(located(source, directory) for source in whole.texts("tools")),
            max_parallel=run.whole("max_parallel", "8"),
            timeout=_timeout(run),
            budget=_budget(run.table("budget")),
            cache=run.flag("cache") is not False,
            sizes=_sizes(run),
            max_rows=batches.whole("max_parallel", "16"),
        )


def located(source: str, directory: Path) -> str:
    """Return what names tools with an absolute path, where it names a file: relative ones start in `directory`."""
    name, separator, attribute = source.rpartition(":") if ":" in source[2:] else (source, "", "")
    if not name.endswith(".py"):
        return source
    return f"{os.path.normpath(directory / name)}{separator}{attribute}"


def check_settings(directory: Path) -> None:
    """Read each table that `orchestrator.toml` in `directory` has. What reads some is imported only for those.

    Raises:
        ConfigurationError: The file is not TOML, or has a setting that is unknown or of the wrong type.
    """
    tables = read_configuration(directory).values
    ProjectSettings.load(directory)
    if "allow" in tables:
        Permissions.load(directory)
    if "models" in tables or "servers" in tables:
        from orchestrator.models.catalog.settings import ModelSettings

        ModelSettings.load(directory)
    if "limits" in tables:
        from orchestrator.models.limits.settings import LimitSettings

        LimitSettings.load(directory)
    if "budget" in tables:
        from orchestrator.models.calls.project_budget import ProjectBudget

        ProjectBudget.load(directory)
    if "mcp" in tables:
        from orchestrator.tools.mcp.settings import load_servers

        load_servers(directory)


def _store(whole: Table, directory: Path) -> str | None:
    url = whole.text("store", "sqlite:///runs.db")
    if url is None or not url.startswith(_SQLITE) or url == f"{_SQLITE}:memory:":
        return url
    return f"{_SQLITE}{directory / url.removeprefix(_SQLITE)}"


def _timeout(run: Table) -> float | None:
    value = run.values.get("timeout")
    if value is None:
        return None
    from orchestrator.language.values.durations import parse_duration

    try:
        seconds = parse_duration(value)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise run.wrong(f"`{run.path('timeout')}` must be a duration", 'write for example `timeout = "30m"`')
    return seconds


def _sizes(run: Table) -> ResultSizes:
    return ResultSizes(
        recorded=run.whole("max_result", "200_000_000") or USUAL.recorded,
        told=run.whole("max_told", "50_000") or USUAL.told,
    )


def _budget(table: Table) -> Budget | None:
    table.only(_BUDGET)
    limits = Budget(table.number("usd", "2"), table.whole("tokens", "50_000"), table.whole("requests", "100"))
    return limits if limits.to_dict() else None
