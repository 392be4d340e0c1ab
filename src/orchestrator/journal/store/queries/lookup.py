"""Finding a run by its id, the beginning of one, or `last`."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orchestrator.errors import RunNotFound
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.tables import REMOVED, runs
from orchestrator.remedies import ListRuns, StartRun

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from orchestrator.journal.store.database import Database


def no_runs(url: str, name: str) -> RunNotFound:
    """Return the error of a store without runs."""
    return RunNotFound(f"no runs in {url} yet", run_id=name, remedies=[StartRun()])


def find_run(database: Database, name: str) -> str:
    """Return the run's id for an id, a unique beginning of one, or `last` (the newest run).

    Raises:
        RunNotFound: no run matches, or more than one; the help names the candidates.
    """
    name = storable(name)
    with database.read() as connection:
        newest = _newest()
        if name == "last":
            run_id = connection.execute(newest.limit(1)).scalar()
            if run_id is None:
                raise run_not_found(connection, database.url, name)
            return str(run_id)
        if connection.execute(_newest().where(runs.c.run_id == name)).first():
            return name
        begins = sa.and_(runs.c.run_id >= name, runs.c.run_id < name + "\U0010ffff")
        found = connection.execute(newest.where(begins).limit(6)).scalars().all() if name else []
        if len(found) == 1:
            return str(found[0])
        if found:
            more = " and more" if len(found) > 5 else ""
            raise RunNotFound(
                f"more than one run begins with `{name}`",
                run_id=name,
                help=f"give more of the id: {', '.join(found[:5])}{more}",
            )
        raise run_not_found(connection, database.url, name)


def run_not_found(connection: Connection, url: str, name: str) -> RunNotFound:
    """Return the error of an unknown run."""
    recent = connection.execute(_newest().limit(200)).scalars().all()
    if not recent:
        return no_runs(url, name)
    near = difflib.get_close_matches(name, recent, n=3, cutoff=0.5)
    return RunNotFound(
        f"unknown run `{name}` in {url}",
        run_id=name,
        help=f"did you mean {' or '.join(near)}?" if near else None,
        remedies=() if near else [ListRuns()],
    )


def _newest() -> sa.Select[Any]:
    """Return the query of the ids of runs, newest first, without those that are being removed."""
    return sa.select(runs.c.run_id).where(runs.c.state != REMOVED).order_by(runs.c.key.desc())
