"""No value of the project shows a secret that it holds: not in Python, not in Rich, and so in no log or traceback."""

from __future__ import annotations

from pathlib import Path
from pprint import pformat
from typing import Any

import pytest
from rich.pretty import pretty_repr

from orchestrator.config.project_file import ProjectFile
from orchestrator.config.tables.mcp import McpServerTable
from orchestrator.models.catalog.keys import Key, Keys
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.clients.endpoints import Endpoint
from orchestrator.runtime.values.inputs import Bound
from orchestrator.tools.mcp.settings import McpServer

SECRET = "sk-seven-grey-herons"


@pytest.mark.parametrize(
    "value",
    [
        Key("OPENAI_API_KEY", "environment", SECRET),
        Keys(Path("keys"), {"OPENAI_API_KEY": SECRET}),
        Endpoint(PROVIDERS["openai"], key=SECRET),
        Bound({"password": SECRET}, {"password": SECRET}),
        McpServer("files", command=("serve",), env={"TOKEN": SECRET}),
        McpServerTable(command=("serve",), env={"TOKEN": SECRET}),
        ProjectFile(Path("orchestrator.toml"), f"token = {SECRET!r}", {"mcp": {"files": {"env": {"T": SECRET}}}}),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("show", [repr, str, format, pformat, pretty_repr], ids=lambda show: show.__name__)
def test_a_secret_is_not_shown(value: Any, show: Any):
    for shown in (value, [value], {"held": value}):
        text = show(shown)
        assert text
        assert SECRET not in text
