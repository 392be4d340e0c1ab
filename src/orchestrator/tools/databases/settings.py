"""The databases in `orchestrator.toml`: a table `[databases.NAME]` for each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from orchestrator import codes
from orchestrator.config.project_file import ProjectFile
from orchestrator.config.setting_errors import SettingProblem
from orchestrator.diagnostics import suggest
from orchestrator.errors import StepError
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import URL

DRIVERS: Final = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
"""The driver where an address names none."""


class DatabaseSetting(Struct, frozen=True):
    """A database that steps may use. Its password, and its whole address with `url_env`, are in the environment."""

    name: str
    url: str = ""
    url_env: str = ""
    password_env: str = ""
    read_only: bool = True

    def address(self) -> URL:
        """Return its address.

        Raises:
            StepError: A variable is not set, or does not contain the address of a database.
        """
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        text = _variable(self.url_env, self.name) if self.url_env else self.url
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            raise StepError(  # the text may contain a password
                f"the address of the database `{self.name}` is not one",
                code=codes.DATABASE_FAILED,
                help="write it as `postgresql://USER@HOST/NAME` or `sqlite:///FILE`",
                retryable=False,
            ) from None
        if self.password_env:
            url = url.set(password=_variable(self.password_env, self.name))
        return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def load_databases(directory: str | Path = ".") -> dict[str, DatabaseSetting]:
    """Read the databases from `orchestrator.toml` in `directory`, by name.

    Raises:
        ConfigurationError: The file is not valid TOML, or a setting is unknown or has the wrong type.
    """
    file = ProjectFile.load(directory)
    if not file.has("databases"):
        return {}
    from orchestrator.config.tables.databases import DatabaseSection

    tables = file.read(DatabaseSection, _problems(file)).databases
    return {
        name: DatabaseSetting(name, table.url or "", table.url_env or "", table.password_env or "", table.read_only)
        for name, table in tables.items()
    }


def unknown_database(name: str, known: dict[str, DatabaseSetting]) -> tuple[str, str]:
    """Return the message and the help about a name that no table has."""
    near = suggest(name, tuple(known))
    names = f"; the databases are {quoted_list(tuple(known))}" if known else ""
    help = f"did you mean `{near}`?" if near else f"add a table `[databases.{name}]` with its `url`{names}"
    return f"orchestrator.toml has no database `{name}`", help


def _variable(name: str, database: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise StepError(
            f"the environment variable `{name}`, which the database `{database}` needs, is not set",
            code=codes.DATABASE_FAILED,
            help="set it, and resume the run",
            retryable=False,
        )
    return value


def _problems(file: ProjectFile) -> Iterator[SettingProblem]:
    for name, table in file.tables("databases").items():
        if ("url" in table) == ("url_env" in table):
            yield SettingProblem(
                "{} must have either a `url` or a `url_env`",
                help='write `url = "sqlite:///data.db"`, or `url_env = "ORDERS_URL"`, the variable that contains it',
                keys=("databases", name),
            )
        url = table.get("url")
        if isinstance(url, str) and _has_password(url):
            yield SettingProblem(
                "{} contains a password",
                help="name the variable that contains it with `password_env`, and remove it here",
                keys=("databases", name, "url"),
            )


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        return False
