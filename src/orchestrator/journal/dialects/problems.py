"""Why a store cannot be used, in words: what every kind of database reports in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

INTACT = "what was recorded before is intact"


def unusable(
    url: str, message: str, help: str, *, code: str = codes.STORE_UNAVAILABLE, passing: bool = False
) -> StoreUnavailable:
    """Return the error of a store that cannot be used; `passing` if a retry is likely to succeed."""
    problem = StoreUnavailable(message, url=url, code=code, help=help)
    problem.passing = passing
    return problem


def locked(url: str, help: str) -> StoreUnavailable:
    """Return the error of a store that another program has locked."""
    message = f"the store {url} is locked by another program"
    return unusable(url, message, f"{help}; {INTACT}", code=codes.STORE_LOCKED, passing=True)


def disk_full(url: str) -> StoreUnavailable:
    """Return the error of a store whose disk is full."""
    help = f"free some space, then resume the run; {INTACT}"
    return unusable(url, f"the disk of the store {url} is full", help, code=codes.DISK_FULL)


def foreign(url: str, what: str) -> StoreUnavailable:
    """Return the error of a database that holds something other than runs."""
    help = "choose another store; nothing was changed in this one"
    return unusable(url, f"{what}, so it cannot be a store of runs", help, code=codes.FOREIGN_DATABASE)


def unwritable_store(url: str, path: Path) -> StoreUnavailable:
    """Return the error of a file that this user cannot write."""
    help = f"allow this user to write {path} and its directory, or choose another store"
    return unusable(url, f"the store {url} cannot be opened for writing", help)


def removed(url: str) -> StoreUnavailable:
    """Return the error of a store that is no longer where it was."""
    problem = unusable(
        url,
        f"the store {url} was removed or replaced while it was in use",
        "its records are lost; run the pipeline again, with a store in a place where files are kept",
    )
    problem.removed = True
    return problem


def older(url: str, revision: str) -> StoreUnavailable:
    """Return the error of a store from before the first release, which cannot be upgraded."""
    message = f"the store {url} was written before the first release of Orchestrator (schema {revision})"
    return unusable(url, message, "choose another store")


def newer(url: str, revision: str) -> StoreUnavailable:
    """Return the error of a store that a later version of Orchestrator wrote."""
    message = f"the store {url} was written by a newer Orchestrator (schema {revision})"
    return unusable(url, message, "upgrade Orchestrator here, or choose another store", code=codes.NEWER_STORE)
