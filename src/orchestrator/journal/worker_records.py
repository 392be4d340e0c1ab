"""What is recorded of workers, and of the runs that wait for them; reading it loads no database toolkit."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

LABEL_PATTERN: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,63}"
"""The labels of workers."""

MOST_LABELS: Final = 4
"""How many labels a run may demand of its worker."""

MOST_WORKER_LABELS: Final = 16
"""How many labels a worker may have: it asks for the runs of each set of at most `MOST_LABELS` of them."""

REPORT_SECONDS: Final = 5.0
"""Seconds between two reports of a worker."""

LOST_SECONDS: Final = 15.0
"""A worker that has not reported for so long is lost: it was killed, or cannot reach the store."""


class QueueLength(Struct, frozen=True):
    """How many due runs that demand the same labels no worker has, and when the oldest of them was created.

    The time is in seconds since the epoch.
    """

    labels: tuple[str, ...]
    runs: int
    oldest: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"labels": list(self.labels), "runs": self.runs, "oldest": self.oldest}


class WorkerStatus(Struct, frozen=True):
    """A worker: it executes at most `concurrency` runs at once, of those that demand none but its `labels`.

    `kind` is the same for workers that can execute the same runs. `executing` runs work, and `waiting` ones are held
    for a person, a time or their turn. A worker that is `draining` takes no further runs. Times are in seconds since
    the epoch, by the clock of the store; `age` is how long ago it reported, and a worker with `lost` did not in time.
    """

    id: str
    name: str
    kind: str
    version: str
    labels: tuple[str, ...]
    concurrency: int
    started_at: float = 0.0
    seen_at: float = 0.0
    executing: int = 0
    waiting: int = 0
    draining: bool = False
    age: float = 0.0

    @property
    def lost(self) -> bool:
        """Whether it has not reported in time."""
        return self.age > LOST_SECONDS

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**asdict(self), "labels": list(self.labels), "lost": self.lost}
