"""Reads all of `orchestrator.toml` before anything is run, so that an invalid setting cannot stop a run half-way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.config.project_file import SettingsTable, one_error, read_configuration
from orchestrator.errors import ConfigurationError
from orchestrator.models.budget import Budget
from orchestrator.runtime.values.result_size import USUAL, ResultSizes
from orchestrator.tools import Permissions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RUN: Final = ("budget", "cache", "max_parallel", "max_result", "max_told", "timeout")
_MAP: Final = ("max_parallel",)
_BUDGET: Final = ("usd", "tokens", "requests")
_SQLITE: Final = "sqlite:///"


class ProjectSettings(Struct, frozen=True):
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
    """Validate all tables of `orchestrator.toml` in `directory`. The reader of a table is imported only if it is there.

    Raises:
        ConfigurationError: The file is not TOML, or has unknown or invalid settings; it names one problem per table.
    """
    tables = read_configuration(directory).values
    problems: list[ConfigurationError] = []
    for names, read in _READERS:
        if not names or tables.keys() & set(names):
            try:
                read(directory)
            except ConfigurationError as error:
                problems.append(error)
    if problems:
        raise one_error(directory, problems)


def _read_models(directory: Path) -> object:
    from orchestrator.models.catalog.settings import ModelSettings

    return ModelSettings.load(directory)


def _read_limits(directory: Path) -> object:
    from orchestrator.models.limits.settings import LimitSettings

    return LimitSettings.load(directory)


def _read_budget(directory: Path) -> object:
    from orchestrator.models.calls.project_budget import ProjectBudget

    return ProjectBudget.load(directory)


def _read_mcp(directory: Path) -> object:
    from orchestrator.tools.mcp.settings import load_servers

    return load_servers(directory)


_READERS: Final[tuple[tuple[tuple[str, ...], Callable[[Path], object]], ...]] = (
    ((), ProjectSettings.load),
    (("allow",), Permissions.load),
    (("models", "servers"), _read_models),
    (("limits",), _read_limits),
    (("budget",), _read_budget),
    (("mcp",), _read_mcp),
)
"""The readers of the file, each with the tables that it reads; the first one reads every file."""


def _store(whole: SettingsTable, directory: Path) -> str | None:
    url = whole.text("store", "sqlite:///runs.db")
    if url is None or not url.startswith(_SQLITE) or url == f"{_SQLITE}:memory:":
        return url
    return f"{_SQLITE}{directory / url.removeprefix(_SQLITE)}"


def _timeout(run: SettingsTable) -> float | None:
    value = run.values.get("timeout")
    if value is None:
        return None
    from orchestrator.language.values.durations import parse_duration

    try:
        seconds = parse_duration(value)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise run.error(f"`{run.path('timeout')}` must be a duration", 'write for example `timeout = "30m"`')
    return seconds


def _sizes(run: SettingsTable) -> ResultSizes:
    return ResultSizes(
        recorded=run.whole("max_result", "200_000_000") or USUAL.recorded,
        told=run.whole("max_told", "50_000") or USUAL.told,
    )


def _budget(table: SettingsTable) -> Budget | None:
    table.only(_BUDGET)
    limits = Budget(table.number("usd", "2"), table.whole("tokens", "50_000"), table.whole("requests", "100"))
    return limits if limits.to_dict() else None
