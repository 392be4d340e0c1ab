"""The table of MCP servers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting


class McpServerTable(SettingsTable):
    """A server of the Model Context Protocol: a program that is started, or a URL that is called."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("args", "arguments", "cmd", "program"), "command"),
        **dict.fromkeys(("environment", "variables"), "env"),
        **dict.fromkeys(("base_url", "address", "endpoint"), "url"),
        "headers": "headers_env",
        "timeout": "start_timeout",
    }

    command: kinds.Command = setting(
        '["npx", "a-server"]', "the program to start, with its arguments, in the project directory", ()
    )
    env: dict[str, kinds.AnyText] = setting(
        '{LOG_LEVEL = "debug"}',
        "additional environment variables; `PATH`, `HOME` and a few similar ones are always passed",
        {},
        shown=False,
    )
    pass_env: kinds.Variables = setting('["GITHUB_TOKEN"]', "names of your environment variables to pass", ())
    url: kinds.Url | None = setting(
        '"https://tools.example.com/mcp"', "instead of a program, the address of a running server (streamable HTTP)"
    )
    headers_env: dict[str, kinds.Variable] = setting(
        '{Authorization = "TOOLS_AUTHORIZATION"}', "for each header to send, the variable that contains it", {}
    )
    start_timeout: kinds.Duration | None = setting('"30s"', "the maximum time to start; by default 30s")


class McpSection(Section):
    """MCP servers."""

    mcp: dict[kinds.McpName, McpServerTable] = Field({})
