"""The command on a disk that is nearly full while `video.mp4` is there: databases then get no more than 67 pages.

The limit is SQLite's own, which reports it as it does a disk without space.
"""

import sqlite3
import sys
from pathlib import Path
from typing import Any

from orchestrator.cli.app import run_command

connect = sqlite3.connect


def connect_with_limit(*arguments: Any, **options: Any) -> sqlite3.Connection:
    """Connect, and set the limit, which is one of the connection."""
    connection: sqlite3.Connection = connect(*arguments, **options)
    if Path("video.mp4").exists():
        connection.execute("PRAGMA max_page_count = 67")
    return connection


if __name__ == "__main__":
    vars(sqlite3)["connect"] = connect_with_limit
    raise SystemExit(run_command(sys.argv[1:]))
