"""Chooses what carries out requests to a store: obstore is loaded only for those over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.tools.sandbox.permissions import Permissions
    from orchestrator.tools.storage.backend import StorageBackend
    from orchestrator.tools.storage.settings import StorageSetting


def backend_of(store: StorageSetting, permissions: Permissions) -> StorageBackend:
    """Return what carries out requests to a store.

    Raises:
        StepError: A variable with a credential is not set.
    """
    if store.scheme == "file":
        from orchestrator.tools.storage.directory_backend import DirectoryBackend

        return DirectoryBackend(store, permissions)
    from orchestrator.tools.storage.object_backend import ObjectBackend

    return ObjectBackend(store)
