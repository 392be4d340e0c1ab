"""What a memory holds, and what it needs of the store that keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemoryEntry(Struct, frozen=True):
    """A value by its key. The times are in seconds since the epoch, `size` is in bytes; `value` may not be loaded."""

    key: str
    value: Any
    size: int
    updated_at: float
    expires_at: float | None = None


class MemoryChange(Struct, frozen=True):
    """One write: to set the `value` of a key, or to append the elements of the list `value` to that of the key.

    A write with the `once` of an earlier one is not carried out again. `ttl` is in seconds. `keep` is how many of its
    last elements a list keeps, `most` the most keys that the namespace may have, `largest` the bytes that the value may
    have as JSON.
    """

    namespace: str
    key: str
    value: Any
    once: str
    ttl: float | None
    appends: bool
    keep: int | None
    most: int
    largest: int


class MemoryStore(Protocol):
    """Keeps the entries of one project, without those that have expired by the clock of the store.

    Writes are transactions, and safe to repeat with the same `once`. Errors of the store are `StoreError`.
    """

    def change(self, change: MemoryChange) -> Mapping[str, Any]:
        """Carry out a write; return whether the key was `created`, when it expires, and the `count` of a list.

        Raises:
            StepError: The namespace or the value would be too large, or the value is not a list.
        """

    def get(self, namespace: str, key: str) -> MemoryEntry | None:
        """Return an entry with its value; None if there is none."""

    def entries(self, namespace: str, *, prefix: str, after: str, limit: int) -> Sequence[MemoryEntry]:
        """Return the entries with keys that begin with `prefix` and follow `after`, by key, without their values."""

    def search(self, namespace: str, words: Sequence[str], limit: int) -> Sequence[MemoryEntry]:
        """Return the entries with any of the words, those with most of them first, then the newest."""

    def delete(self, namespace: str, *, key: str | None, prefix: str, once: str) -> int:
        """Remove the entry of a key, or all with keys that begin with `prefix`; return how many there were."""
