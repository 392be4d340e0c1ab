"""What a store can do, whatever it is: an interface that object stores and directories have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError

if TYPE_CHECKING:
    from orchestrator.tools.storage.settings import StorageSetting

CHUNK = 8 << 20
"""Bytes that are read at a time, each with its own timeout."""


class StoredObject(Struct, frozen=True):
    """An object. `key` is its whole key; one that ends in `/` stands for what is below it, and has no size."""

    key: str
    size: int = 0
    modified: datetime | None = None
    etag: str | None = None


class ObjectContent(Struct, frozen=True):
    """An object, and its bytes as they were when it was opened."""

    object: StoredObject
    chunks: Iterator[bytes]


class StorageBackend(Protocol):
    """A store. Keys begin at the bucket, or at the root of the disk. Every method raises StepError with ORC745."""

    def find(self, key: str) -> StoredObject | None:
        """Return an object without its content; None if it does not exist."""

    def open(self, key: str) -> ObjectContent:
        """Return the content of an object. An object that changes meanwhile is an error."""

    def write(self, key: str, body: bytes | BinaryIO, *, overwrite: bool, content_type: str | None) -> StoredObject:
        """Write an object as a whole or not at all, and return it."""

    def entries(self, prefix: str, *, recursive: bool) -> Iterator[StoredObject]:
        """Yield the objects below a key; without `recursive`, those directly below it and the next parts of keys."""

    def copy(self, key: str, target: str) -> None:
        """Copy an object within the store, without transferring it."""

    def delete(self, key: str) -> None:
        """Delete an object; one that does not exist is no error."""


def storage_failure(message: str, help: str | None = None, *, retryable: bool = False) -> StepError:
    """Return the error of a request that failed."""
    return StepError(message, code=codes.STORAGE_FAILED, help=help, retryable=retryable)


def not_found(store: StorageSetting, key: str) -> StepError:
    """Return the error of an object that does not exist."""
    return storage_failure(
        f"the store `{store.name}` has no object `{store.shown(key)}`", "check the address: case matters"
    )


def exists_already(store: StorageSetting, key: str) -> StepError:
    """Return the error of an object that is not to be overwritten."""
    message = f"the store `{store.name}` already has an object `{store.shown(key)}`"
    return storage_failure(message, "use another key, or set `overwrite: true`")
