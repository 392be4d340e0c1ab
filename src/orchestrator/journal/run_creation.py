"""A new run: its row and first events, prepared before the transaction that writes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator import codes
from orchestrator.errors import RunError
from orchestrator.journal.events import Event
from orchestrator.journal.process_identity import Owner
from orchestrator.journal.records import LEASE_SECONDS, Lease, NewRun
from orchestrator.journal.state.fold import fold
from orchestrator.journal.state.run_state import RunFold
from orchestrator.journal.store.blob_codec import Blob, blob_references, encode
from orchestrator.journal.store.event_data import encode_data, stored_form

if TYPE_CHECKING:
    from collections.abc import Iterable


class StartKey(Struct, frozen=True):
    """A key of a caller: the run that it stands for, and the fingerprint of the request that brought it first."""

    key: str
    fingerprint: str
    run_id: str
    at: float


class StartKeyTaken(Exception):
    """A run was not created, because its key stands for another one: `claimed`."""

    def __init__(self, claimed: StartKey) -> None:
        super().__init__(claimed.run_id)
        self.claimed = claimed


class RunCreation(Struct):
    """A run to create for `owner`, or without one for workers, with the fold after its first events.

    An event is (seq, at, type, path, attempt, data). `blobs` are its large values, `shared` the hashes of those that
    are in the store already. Writing it sets `key`, the store's number for the run; None means that the id is taken.
    If it `reads_durations`, it also sets the `durations` that earlier runs of the pipeline left.

    With a `start_key`, the run is created only if the key is new, in the same transaction; else it sets `claimed` to
    what the key stands for. Keys older than `keys_since` are forgotten.
    """

    new: NewRun
    owner: Owner | None
    ttl: float = LEASE_SECONDS
    state: RunFold = field(default_factory=RunFold)
    events: list[tuple[int, float, str, str, int, str]] = field(default_factory=list)
    blobs: dict[str, Blob] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    key: int | None = None
    start_key: StartKey | None = None
    keys_since: float = 0.0
    claimed: StartKey | None = None
    reads_durations: bool = False
    durations: str | None = None

    @classmethod
    def of(
        cls, new: NewRun, owner: Owner | None, *, ttl: float = LEASE_SECONDS, copied: Iterable[Event] = ()
    ) -> RunCreation:
        """Prepare a new run; `copied` are events of another run in the store, with references to blobs.

        They get new numbers and keep their times.
        """
        creation = cls(new, owner, ttl)
        first = Event.of(new.run_id, 1, time.time(), new.payload)
        parts = encode_data(first.data).parts
        if isinstance(parts, str):
            creation._add(first, parts)
        else:
            text, large, _ = stored_form(parts)
            creation.blobs = {blob.reference.hash: blob for blob in large}
            creation._add(first, text)
        for seq, event in enumerate(copied, 2):
            creation.shared.update(digest for value in event.data.values() for digest in blob_references(value))
            again = Event(new.run_id, seq, event.at, event.type, event.path, event.attempt, event.data)
            creation._add(again, encode(event.data))
        return creation

    def _add(self, event: Event, text: str) -> None:
        fold(self.state, event)
        self.events.append((event.seq, event.at, event.type, event.path, event.attempt, text))

    @property
    def lease(self) -> Lease:
        """The owner's lease, once the run is written.

        Raises:
            RunError: the id was taken (ORC802).
            StartKeyTaken: the key stands for another run.
        """
        if self.claimed is not None:
            raise StartKeyTaken(self.claimed)
        self.require_written()
        assert self.owner is not None  # noqa: S101 - only a run with an owner has a lease
        assert self.key is not None  # noqa: S101
        return Lease(self.new.run_id, self.owner, 1, self.ttl, self.key)

    def require_written(self) -> None:
        """Raise RunError if the id was taken (ORC802)."""
        if self.key is None:
            raise RunError(
                f"run `{self.new.run_id}` already exists",
                run_id=self.new.run_id,
                code=codes.RUN_ID_TAKEN,
                help="start it again to get another id",
            )
