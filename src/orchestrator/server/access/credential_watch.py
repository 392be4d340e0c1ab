"""Whether the senders of long requests may still do what they were admitted for: tokens are revoked, and expire."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from orchestrator.errors import StoreError

if TYPE_CHECKING:
    from orchestrator.journal.store.credential_store import Credential, CredentialStore

CHECK_SECONDS: Final = 10.0
"""Seconds between two looks at the credential of an open stream."""

_KEPT: Final = 1_000


class CredentialWatch:
    """Looks credentials up now and then, once for all streams that were opened with one. For one event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def is_valid(self, store: CredentialStore, credential: Credential) -> bool:
        """Whether a credential is still in the store, and has not expired. One that cannot be looked up is believed."""
        if credential.expires_at is not None and credential.expires_at <= time.time():
            return False
        checked_at, valid = self._known.get(credential.id, (float("-inf"), True))
        if time.monotonic() - checked_at < CHECK_SECONDS:
            return valid
        try:
            valid = await run_in_threadpool(store.find, credential.id) is not None
        except StoreError:
            return True
        self._known[credential.id] = (time.monotonic(), valid)
        self._known.move_to_end(credential.id)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return valid
