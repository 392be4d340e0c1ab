"""Leaves the database as a later version would."""

import sqlite3

from orchestrator.journal.store.tables import VERSION_TABLE

with sqlite3.connect(".orchestrator/runs.db") as connection:
    connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
