"""Who sends a request, by its token or by the session of a browser."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.server.access.refused_logins import ended_session, no_token, refused_token
from orchestrator.server.access.scopes import MEANINGS, Scope, permitted
from orchestrator.server.access.tokens import verified

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestrator.journal.store.credential_store import Credential
    from orchestrator.server.service import Service

COOKIE: Final = "orchestrator_session"

CALLER: Final = "orchestrator.caller"
"""Where the scope of a request has its caller once that is known."""

bearer_scheme = HTTPBearer(auto_error=False, scheme_name="token", description="A token of a person or a program.")
cookie_scheme = APIKeyCookie(
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

    def own_key(self, key: str | None) -> str | None:
        """Return the key of a request as one that no other caller has."""
        return None if key is None else f"{self.credential.id}:{key}"


async def identified(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_scheme)] = None,
    session: Annotated[str | None, Security(cookie_scheme)] = None,
) -> Caller:
    """Return who sends the request.

    Raises:
        RequestError: ORC911, the server does not know the sender; ORC913, after too many attempts.
    """
    known: Caller | None = request.scope.get(CALLER)
    if known is not None:
        return known
    service: Service = request.app.state.service
    return await service.identifications.call(identify, service, request, bearer, session)


def identify(
    service: Service, request: Request, bearer: HTTPAuthorizationCredentials | None, session: str | None
) -> Caller:
    """As `identified`, by what a request has as its token or its session."""
    address = address_of(request)
    if bearer is not None:
        found = verified(service.credentials, bearer.credentials, "token")
    elif session is not None:
        found = verified(service.credentials, session, "session")
    else:
        raise no_token(address)
    if found is None:
        service.failed_logins.refuse(address)
        service.failed_logins.count(address)
        raise ended_session() if bearer is None else refused_token(service.credentials, bearer.credentials)
    return Caller(found.name, address, permitted(found.scopes), found)


def address_of(request: Request) -> str:
    """Return the address that a request comes from, by what a trusted proxy says if there is one."""
    try:
        return str(ipaddress.ip_address(request.client.host)) if request.client is not None else "unknown"
    except ValueError:  # of a header
        return "unknown"


def require(caller: Caller, scope: Scope) -> None:
    """Raise RequestError, ORC912, if the caller may not do what a scope permits."""
    if scope not in caller.scopes:
        raise RequestError(
            f"`{caller.name}` lacks the scope `{scope}`: {MEANINGS[scope]}",
            status=403,
            code=codes.SCOPE_MISSING,
            help=f"use a token with the scope `{scope}`",
        )


def caller_with(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    """Return a dependency that admits callers with a scope."""

    async def admitted(caller: Annotated[Caller, Depends(identified)]) -> Caller:
        require(caller, scope)
        return caller

    return admitted


Reader = Annotated[Caller, Depends(caller_with("read"))]
Runner = Annotated[Caller, Depends(caller_with("run"))]
Answerer = Annotated[Caller, Depends(caller_with("answer"))]
Admin = Annotated[Caller, Depends(caller_with("admin"))]
