"""Snapshots of a run's fold, written with its events so that readers start there: when, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.journal.store.blob_codec import encode

if TYPE_CHECKING:
    from orchestrator.journal.state.run_state import RunFold

SNAPSHOT_EVENTS = 256
"""How many events are recorded between two snapshots: about how many a reader folds at most."""


class Snapshot(Struct, frozen=True):
    """The fold after the event `seq`: written with it, so that readers start from there."""

    state: str
    seq: int
    text: str


class SnapshotSchedule:
    """Decides when a run gets its next snapshot: when its state changes, and after so many events."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        """The number of the event that the last snapshot is written with."""
        self._every = SNAPSHOT_EVENTS

    def next(self, fold: RunFold, *, before: str) -> Snapshot | None:
        """Return the snapshot to write with the last event of the fold, if it is due; `before` was the state."""
        if fold.state == before and fold.last_seq - self.seq < self._every:
            return None
        self.seq = fold.last_seq
        # As many events as paths to write: the snapshots of a run stay linear in its events.
        self._every = max(SNAPSHOT_EVENTS, fold.size)
        return Snapshot(fold.state, fold.last_seq, encode(fold.to_dict()))
