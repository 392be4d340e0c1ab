"""The store's schema from one version to the next, by Alembic, run in the process without a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def configuration(connection: Connection | None = None) -> Config:
    """Return what Alembic needs to know: where the revisions are, and the connection to use."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to `revision`, inside the caller's transaction."""
    command.upgrade(configuration(connection), revision)
