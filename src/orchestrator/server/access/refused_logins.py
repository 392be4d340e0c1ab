"""Errors of requests whose sender the server does not know: why, and how to get a token, by the case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.remedies import AddToken
from orchestrator.server.access.request_guard import is_loopback
from orchestrator.server.access.tokens import PREFIX, has_expired, proven

if TYPE_CHECKING:
    from orchestrator.journal.store.credential_store import CredentialStore

_SEND = "send `Authorization: Bearer TOKEN`"


def no_token(address: str) -> RequestError:
    """Return the error of a request without a token, from an address."""
    here = "; the one of this machine is in the file `.orchestrator/server-token` of the server's project"
    return not_authenticated("the request has no token", f"{_SEND}{here if is_loopback(address) else ''}")


def refused_token(store: CredentialStore, token: str) -> RequestError:
    """Return the error of a token that is not valid. Only those who have its secret learn more of it."""
    found = proven(store, token)
    if found is None:
        if not token.startswith(f"{PREFIX}_"):
            return not_authenticated(f"the token does not begin with `{PREFIX}_`, as all tokens do", _SEND)
        message = "the token is unknown: it was revoked or has expired, or it is of another server"
        return not_authenticated(message, "use another one")
    if found.kind == "session":
        return not_authenticated("the session has ended", "log in again, with a token")
    if found.kind != "token":
        return not_authenticated("the token is that of a login link", "open the link in a browser; it works once")
    if has_expired(found):
        return not_authenticated(f"the token `{found.name}` has expired", "use another one")
    return not_authenticated(f"the token `{found.name}` does not log in here", _SEND)


def ended_session() -> RequestError:
    """Return the error of a browser whose session is unknown."""
    return not_authenticated("the session has ended: it was revoked or has expired", "log in again, with a token")


def not_authenticated(message: str, help: str) -> RequestError:
    """Return the error of a request whose sender the server does not know."""
    return RequestError(message, status=401, code=codes.NOT_AUTHENTICATED, help=help, remedies=[AddToken()])
