"""Who sends a request, by its token or by the session of a browser."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.server.access.scopes import MEANINGS, Scope, permitted
from orchestrator.server.access.tokens import verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.journal.store.credential_store import Credential
    from orchestrator.server.service import Service

COOKIE: Final = "orchestrator_session"

_FAILURES: Final = 20
_WINDOW: Final = 60.0
_ADDRESSES: Final = 10_000

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A token of `orchestrator tokens add`.")
_cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="session",
    description="The session of a browser, from `POST /v1/session`.",
)


class Caller(Struct, frozen=True):
    """Who sends a request: the `name` of the token, where from, and what that permits."""

    name: str
    address: str
    scopes: frozenset[Scope]
    credential: Credential

    @property
    def by(self) -> str:
        """What the journal records as who gave a command."""
        return f"{self.name} from {self.address}"


class FailedLogins:
    """Counts failed logins by address, and refuses an address with too many of them for a while."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def refuse(self, address: str) -> None:
        """Raise RequestError if there were too many failures from an address."""
        recent = self._recent(address)
        if len(recent) >= _FAILURES:
            seconds = int(_WINDOW - (time.monotonic() - recent[0])) + 1
            raise RequestError(
                "too many failed logins from this address",
                status=429,
                code=codes.REQUEST_REFUSED,
                help=f"try again in {seconds} seconds",
            )

    def count(self, address: str) -> None:
        """Note a failure."""
        recent = self._recent(address)
        self._failures[address] = [*recent, time.monotonic()]
        self._failures.move_to_end(address)
        while len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = time.monotonic() - _WINDOW
        return [moment for moment in self._failures.get(address, ()) if moment > since]


def identified(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    session: Annotated[str | None, Security(_cookie)] = None,
) -> Caller:
    """Return who sends the request.

    Raises:
        RequestError: ORC911, nobody that the server knows; ORC913, after too many attempts.
    """
    service: Service = request.app.state.service
    address = request.client.host if request.client is not None else "unknown"
    service.failed_logins.refuse(address)
    if bearer is not None:
        found = verified(service.credentials, bearer.credentials, "token")
    elif session is not None:
        found = verified(service.credentials, session, "session")
    else:
        raise not_authenticated("the request has no token")
    if found is None:
        service.failed_logins.count(address)
        raise not_authenticated("the token is unknown, expired or revoked")
    return Caller(found.name, address, permitted(found.scopes), found)


def not_authenticated(message: str) -> RequestError:
    """Return the error of a request from nobody that the server knows."""
    return RequestError(
        message,
        status=401,
        code=codes.NOT_AUTHENTICATED,
        help="send `Authorization: Bearer TOKEN`; make one with: orchestrator tokens add NAME",
    )


def require(caller: Caller, scope: Scope) -> None:
    """Raise RequestError, ORC912, if the caller may not do what a scope permits."""
    if scope not in caller.scopes:
        raise RequestError(
            f"`{caller.name}` lacks the scope `{scope}`: {MEANINGS[scope]}",
            status=403,
            code=codes.SCOPE_MISSING,
            help=f"use a token with the scope `{scope}`",
        )


def caller_with(scope: Scope) -> Callable[[Caller], Caller]:
    """Return a dependency that admits callers with a scope."""

    def admitted(caller: Annotated[Caller, Depends(identified)]) -> Caller:
        require(caller, scope)
        return caller

    return admitted


Reader = Annotated[Caller, Depends(caller_with("read"))]
Runner = Annotated[Caller, Depends(caller_with("run"))]
Answerer = Annotated[Caller, Depends(caller_with("answer"))]
Admin = Annotated[Caller, Depends(caller_with("admin"))]
