"""Who sends a request, by its token or by the session of a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.remedies import AddToken
from orchestrator.server.access.scopes import MEANINGS, Scope, permitted
from orchestrator.server.access.tokens import verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.journal.store.credential_store import Credential
    from orchestrator.server.service import Service

COOKIE: Final = "orchestrator_session"

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A token of a person or a program.")
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


def identified(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None,
    session: Annotated[str | None, Security(_cookie)] = None,
) -> Caller:
    """Return who sends the request.

    Raises:
        RequestError: ORC911, the server does not know the sender; ORC913, after too many attempts.
    """
    service: Service = request.app.state.service
    address = address_of(request)
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


def address_of(request: Request) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client is not None else "unknown"


def not_authenticated(message: str) -> RequestError:
    """Return the error of a request whose sender the server does not know."""
    return RequestError(
        message,
        status=401,
        code=codes.NOT_AUTHENTICATED,
        help="send `Authorization: Bearer TOKEN`",
        remedies=[AddToken()],
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
