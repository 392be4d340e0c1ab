"""The MCP servers in `orchestrator.toml`: a table `[mcp.NAME]` for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import field

from orchestrator.config.project_file import ProjectFile
from orchestrator.config.setting_errors import SettingProblem
from orchestrator.text.representation import PartlyShown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.config.tables.mcp import McpServerTable

_OF_PROGRAMS = ("command", "env", "pass_env")
_OF_URLS = ("url", "headers_env")


class McpServer(PartlyShown, frozen=True):
    """One server: a program that is started (`command`), or a URL that is called (`url`).

    A program gets the variables in `env`, those of this process named in `pass_env`, and a few harmless ones such as
    PATH. `headers_env` maps each header that is sent to the URL to the environment variable with its value.
    """

    hidden: ClassVar = ("env",)

    name: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    url: str = ""
    headers_env: Mapping[str, str] = field(default_factory=dict)
    start_timeout: float = 30.0


def load_servers(directory: str | Path = ".") -> dict[str, McpServer]:
    """Read the servers from `orchestrator.toml` in `directory`, by name.

    Raises:
        ConfigurationError: The file is not valid TOML, or a setting is unknown or has the wrong type.
    """
    file = ProjectFile.load(directory)
    if not file.has("mcp"):
        return {}
    from orchestrator.config.tables.mcp import McpSection

    tables = file.read(McpSection, _conflicts(file)).mcp
    return {name: McpServer(name, **_given(table)) for name, table in tables.items()}


def _given(table: McpServerTable) -> dict[str, Any]:
    return {key: value for key, value in table if value is not None}


def _conflicts(file: ProjectFile) -> Iterator[SettingProblem]:
    for name, table in file.tables("mcp").items():
        if ("command" in table) == ("url" in table):
            yield SettingProblem(
                "{} must have either a `command` or a `url`",
                help='write `command = ["npx", "a-server"]` to start a program, or `url = "https://..."` to call a URL',
                keys=("mcp", name),
            )
            continue
        owner, others = ("command", _OF_URLS) if "command" in table else ("url", _OF_PROGRAMS)
        for key in others:
            if key in table:
                other = "url" if owner == "command" else "command"
                yield SettingProblem(
                    f"{{}} is only valid with `{other}`", help=f"remove `{key}`", keys=("mcp", name, key)
                )
