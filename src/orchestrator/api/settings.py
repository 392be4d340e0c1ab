"""Reads all of `orchestrator.toml` before anything is run: what is wrong there must not stop a run half-way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.configuration import read_configuration
from orchestrator.tools import Permissions

if TYPE_CHECKING:
    from pathlib import Path


def check_settings(directory: Path) -> None:
    """Read each table that `orchestrator.toml` in `directory` has. What reads some is imported only for those.

    Raises:
        ConfigurationError: The file is not TOML, or has a setting that is unknown or of the wrong type.
    """
    tables = read_configuration(directory).values
    if "allow" in tables:
        Permissions.load(directory)
    if "models" in tables or "servers" in tables:
        from orchestrator.models.settings import ModelSettings

        ModelSettings.load(directory)
    if "limits" in tables:
        from orchestrator.models.limits.settings import LimitSettings

        LimitSettings.load(directory)
    if "budget" in tables:
        from orchestrator.models.project import ProjectBudget

        ProjectBudget.load(directory)
    if "mcp" in tables:
        from orchestrator.tools.mcp.settings import load_servers

        load_servers(directory)
