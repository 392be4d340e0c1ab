"""The table `[web]` of orchestrator.toml: which provider searches, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.config.project_file import ProjectFile
from orchestrator.config.setting_errors import SettingProblem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


KEEP: Final = 900.0
"""Seconds for which the results of a search are used again."""


class WebSettings(Struct, frozen=True):
    """The provider of searches that name none, the addresses of servers, and for how long results are kept."""

    provider: str = "ddgs"
    searxng_url: str = ""
    keep: float = KEEP
    per_second: float | None = None

    @classmethod
    def load(cls, directory: str | Path = ".") -> WebSettings:
        """Read the settings from `orchestrator.toml` in `directory`.

        Raises:
            ConfigurationError: The file is not valid TOML, or a setting is unknown or has the wrong type.
        """
        file = ProjectFile.load(directory)
        if not file.has("web"):
            return cls()
        from orchestrator.config.tables.web import WebSection

        table = file.read(WebSection, _conflicts(file)).web
        return cls(
            table.provider,
            (table.searxng_url or "").rstrip("/"),
            KEEP if table.keep is None else table.keep,
            table.per_second,
        )


def _conflicts(file: ProjectFile) -> Iterator[SettingProblem]:
    table = file.values.get("web")
    if isinstance(table, dict) and table.get("provider") == "searxng" and "searxng_url" not in table:
        yield SettingProblem(
            '{} is "searxng", which needs the address of a server',
            help='add `searxng_url = "https://search.example.org"`',
            keys=("web", "provider"),
        )
