"""The tables of databases that pipelines may use."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting


class DatabaseTable(SettingsTable):
    """A database that the tool `sql` may use, by its name here. Passwords are in environment variables."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("dsn", "uri", "address", "connection", "connection_string"), "url"),
        **dict.fromkeys(("dsn_env", "uri_env", "connection_env"), "url_env"),
        **dict.fromkeys(("password", "pass", "secret_env"), "password_env"),
        **dict.fromkeys(("readonly", "writable", "write", "writes"), "read_only"),
    }

    url: kinds.Text | None = setting(
        '"postgresql://reader@db.example.com/orders"',
        "the address, without a password: `postgresql://USER@HOST/NAME`, or `sqlite:///FILE`, relative to the project",
    )
    url_env: kinds.Variable | None = setting(
        '"ORDERS_URL"', "instead of `url`, the environment variable that contains the address"
    )
    password_env: kinds.Variable | None = setting('"ORDERS_PASSWORD"', "the variable that contains the password")
    read_only: kinds.Flag = setting("false", "false lets steps write; by default they can only read", True)


class DatabaseSection(Section):
    """Databases."""

    databases: dict[kinds.DatabaseName, DatabaseTable] = Field({})
