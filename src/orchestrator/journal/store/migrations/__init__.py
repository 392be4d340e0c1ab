"""Upgrades of the store's schema by Alembic, which runs in the process without a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def configuration(connection: Connection | None = None) -> Config:
    """Return the configuration of Alembic: where the revisions are, and the connection to use."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to `revision`, inside the caller's transaction."""
    command.upgrade(configuration(connection), revision)
