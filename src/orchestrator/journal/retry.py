"""Retrying a store that is temporarily unavailable, until the run's lease could have expired."""

from __future__ import annotations

import functools
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from orchestrator import codes
from orchestrator.errors import StoreError, StoreUnavailable
from orchestrator.journal.records import LEASE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

LOCKED = codes.STORE_LOCKED

LOCK_PATIENCE = 60.0
"""Seconds that a run waits for a locked SQLite file, although its lease expires: no process can take it then."""

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Seconds between two attempts: they begin small, as a restart takes little time, and double."""


store_patience: Final[ContextVar[float]] = ContextVar("store_patience", default=LEASE_SECONDS)
"""Seconds that callers in a context wait for a store that cannot be reached; a server has less of it than a run."""


def is_passing(problem: StoreError) -> bool:
    """Whether the store is likely to be available again soon."""
    return isinstance(problem, StoreUnavailable) and problem.passing


def patient(*, locks: bool = False) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Retry a function of the store after a lost connection, and with `locks` while the store is locked.

    A commit whose outcome is unknown is repeated, so the function must be idempotent.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            began, pause = time.monotonic(), FIRST_PAUSE
            while True:
                try:
                    return function(*args, **kwargs)
                except StoreUnavailable as error:
                    is_locked = error.code == LOCKED
                    longest = store_patience.get()
                    if is_locked and longest >= LEASE_SECONDS:
                        longest = LOCK_PATIENCE
                    if not error.passing or (is_locked and not locks) or time.monotonic() - began > longest:
                        raise
                time.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)

        return wrapper

    return decorate
