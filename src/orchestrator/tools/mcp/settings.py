"""The MCP servers in `orchestrator.toml`: a table `[mcp.NAME]` for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct, field

from orchestrator.config.project_file import read_configuration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from orchestrator.config.project_file import SettingsTable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROGRAM = ("command", "env", "pass_env")
_REMOTE = ("url", "headers_env")
_SERVER = (*_PROGRAM, *_REMOTE, "start_timeout")

START_SECONDS = 30.0
"""Seconds that a server may take to start."""


class McpServer(Struct, frozen=True):
    """One server: a program that is started (`command`), or a URL that is called (`url`).

    A program gets the variables in `env`, those of this process named in `pass_env`, and a few harmless ones such as
    PATH. `headers_env` maps each header that is sent to the URL to the environment variable with its value.
    """

    name: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    url: str = ""
    headers_env: Mapping[str, str] = field(default_factory=dict)
    start_timeout: float = START_SECONDS


def load_servers(directory: str | Path = ".") -> dict[str, McpServer]:
    """Read the servers from `orchestrator.toml` in `directory`, by name.

    Raises:
        ConfigurationError: The file is not valid TOML, or a setting is unknown or has the wrong type.
    """
    whole = read_configuration(directory).table("mcp")
    return {name: _server(whole, name) for name in whole.values}


def _server(whole: SettingsTable, name: str) -> McpServer:
    if not _NAME.fullmatch(name):
        raise whole.error(
            f"`{whole.path(name)}`: invalid server name", "start with a letter, then use letters, digits, `-` and `_`"
        )
    table = whole.table(name)
    table.only(_SERVER)
    command = table.texts("command", "a list of strings: the program and its arguments")
    url = table.text("url", "https://tools.example.com/mcp")
    if bool(command) == bool(url):
        raise table.error(
            f"`{table.name}` must have either a `command` or a `url`",
            'write `command = ["npx", "a-server"]` to start a program, or `url = "https://..."` to call a URL',
        )
    for key in _REMOTE if command else _PROGRAM:
        if key in table.values:
            other = "url" if command else "command"
            raise table.error(f"`{table.path(key)}` is only valid with `{other}`", f"remove `{key}`")
    if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise table.error(f"`{table.path('url')}` must be a URL", 'write `url = "https://tools.example.com/mcp"`')
    seconds = table.number("start_timeout", "30")
    return McpServer(
        name,
        command,
        _texts_by_name(table, "env", "LOG_LEVEL", "debug"),
        _variables(table, "pass_env", table.texts("pass_env")),
        url or "",
        _headers(table),
        START_SECONDS if seconds is None else seconds,
    )


def _headers(table: SettingsTable) -> dict[str, str]:
    headers = _texts_by_name(table, "headers_env", "Authorization", "TOOLS_AUTHORIZATION")
    _variables(table, "headers_env", headers.values())
    return headers


def _texts_by_name(table: SettingsTable, key: str, name: str, value: str) -> dict[str, str]:
    inner = table.table(key)
    for each, found in inner.values.items():
        if not isinstance(found, str):
            raise inner.error(f"`{inner.path(each)}` must be a string", f'write for example `{name} = "{value}"`')
    return dict(inner.values)


def _variables(table: SettingsTable, key: str, names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(names)
    for name in found:
        if not _VARIABLE.fullmatch(name):
            raise table.error(
                f"`{table.path(key)}` must name environment variables, not contain a secret",
                "put the secret into an environment variable, and use its name",
            )
    return found
