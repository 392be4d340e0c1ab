"""Ending the sessions of browsers, before they expire."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.diagnostics import suggest
from orchestrator.errors import RequestError
from orchestrator.remedies import ListSessions

if TYPE_CHECKING:
    from orchestrator.journal.store.credential_store import BrowserSession, CredentialStore


def end_sessions(store: CredentialStore, which: str) -> list[BrowserSession]:
    """End the session with an id, or all sessions of the user with a name, and return them.

    Raises:
        RequestError: There is none.
    """
    known = store.sessions(time.time())
    ended = [session for session in known if which in (session.id, session.name) and store.remove(session.id)]
    if not ended:
        near = suggest(which, sorted({session.name for session in known}))
        raise RequestError(
            f"no browser is logged in as `{which}`",
            status=404,
            help=f"did you mean `{near}`?" if near else None,
            remedies=() if near else [ListSessions()],
        )
    return ended
