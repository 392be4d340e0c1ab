"""Reads all of `orchestrator.toml` before anything is run, so that an invalid setting cannot stop a run half-way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.config.project_file import ProjectFile
from orchestrator.config.setting_errors import InvalidSettings
from orchestrator.models.budget import Budget, budget_of
from orchestrator.runtime.values.result_size import USUAL, ResultSizes
from orchestrator.tools.sandbox.permissions import Permissions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.config.setting_errors import SettingProblem

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
        file = ProjectFile.load(directory)
        if not file.has("store", "tools", "run", "map"):
            return cls()
        from orchestrator.config.tables.run import RunSection

        settings = file.read(RunSection)
        run = settings.run
        return cls(
            store=_store(settings.store, directory),
            tools=tuple(located(source, directory) for source in settings.tools),
            max_parallel=run.max_parallel,
            timeout=run.timeout,
            budget=budget_of(run.budget),
            cache=run.cache,
            sizes=ResultSizes(run.max_result or USUAL.recorded, run.max_told or USUAL.told),
            max_rows=settings.map.max_parallel,
        )


def located(source: str, directory: Path) -> str:
    """Return what names tools with an absolute path, where it names a file: relative ones start in `directory`."""
    name, separator, attribute = source.rpartition(":") if ":" in source[2:] else (source, "", "")
    if not name.endswith(".py"):
        return source
    return f"{os.path.normpath(directory / name)}{separator}{attribute}"


def check_settings(directory: Path) -> None:
    """Validate all of `orchestrator.toml` in `directory`. What reads a table is imported only if it is there.

    Raises:
        ConfigurationError: The file is not TOML, or has unknown or invalid settings; it names all of them.
    """
    file = ProjectFile.load(directory)
    problems: list[SettingProblem] = []
    for load in _loaders(file):
        try:
            load(directory)
        except InvalidSettings as error:
            problems += error.errors
    if problems:
        raise InvalidSettings(file.path, file.text, problems)


def _loaders(file: ProjectFile) -> Iterator[Callable[[Path], object]]:
    yield ProjectSettings.load
    yield Permissions.load
    if file.has("models", "servers"):
        from orchestrator.models.catalog.settings import ModelSettings

        yield ModelSettings.load
    if file.has("limits"):
        from orchestrator.models.limits.settings import LimitSettings

        yield LimitSettings.load
    if file.has("budget"):
        from orchestrator.models.calls.project_budget import ProjectBudget

        yield ProjectBudget.load
    if file.has("serve"):
        from orchestrator.config.tables.serve import ServeSection

        yield lambda directory: ProjectFile.load(directory).read(ServeSection)
    if file.has("notify"):
        from orchestrator.notices.settings import NoticeSettings

        yield NoticeSettings.load
    if file.has("databases"):
        from orchestrator.tools.databases.settings import load_databases

        yield load_databases
    if file.has("storage"):
        from orchestrator.tools.storage.settings import load_storage

        yield load_storage
    if file.has("mail"):
        from orchestrator.tools.mail.settings import load_mail_servers

        yield load_mail_servers
    if file.has("mcp"):
        from orchestrator.tools.mcp.settings import load_servers

        yield load_servers


def _store(url: str | None, directory: Path) -> str | None:
    if url is None or not url.startswith(_SQLITE) or url == f"{_SQLITE}:memory:":
        return url
    return f"{_SQLITE}{directory / url.removeprefix(_SQLITE)}"
