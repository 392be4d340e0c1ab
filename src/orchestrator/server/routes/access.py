"""Logging a browser in and out, and who is logged in."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from orchestrator.journal.store.credential_store import Credential
from orchestrator.server.access.caller import COOKIE, Reader, address_of, not_authenticated
from orchestrator.server.access.scopes import SCOPES, permitted
from orchestrator.server.access.tokens import create_token, verified
from orchestrator.server.routes.parameters import PROBLEMS, ServiceDependency
from orchestrator.server.schemas.access import SessionBody, SessionView
from orchestrator.server.service import Service

router = APIRouter(tags=["access"], responses=PROBLEMS)

SESSION_SECONDS = 30 * 86_400.0


@router.post("/v1/session", response_model=SessionView)
def log_in(body: SessionBody, request: Request, response: Response, service: ServiceDependency) -> Any:
    """Open a session: the response sets a cookie that pages send from then on, and that scripts cannot read."""
    credential = _proven(service, body.token, request)
    _set_cookie(service, credential, request, response)
    return _view(credential.name, credential.scopes)


@router.get("/login", include_in_schema=False)
def follow_login_link(
    token: Annotated[str, Query(max_length=200)], request: Request, service: ServiceDependency
) -> Response:
    """Open a session by a link that the server printed, which works once, and show the page."""
    response = RedirectResponse("/", status_code=303)
    _set_cookie(service, _proven(service, token, request), request, response)
    return response


@router.get("/v1/session", response_model=SessionView)
def get_session(caller: Reader) -> Any:
    """Return who sends the request, and what that permits."""
    return _view(caller.name, caller.credential.scopes)


@router.delete("/v1/session", status_code=204, response_class=Response)
def log_out(caller: Reader, response: Response, service: ServiceDependency) -> None:
    """Close the session of the request's cookie. A token stays valid until it is revoked."""
    if caller.credential.kind == "session":
        service.credentials.remove(caller.credential.id)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def _proven(service: Service, token: str, request: Request) -> Credential:
    """Return the credential that a token proves. That of a login link is used up.

    Raises:
        RequestError: ORC911, it proves none; ORC913, after too many attempts.
    """
    address = address_of(request)
    service.failed_logins.refuse(address)
    found = verified(service.credentials, token, "token", "login")
    if found is not None and found.kind == "login" and not service.credentials.remove(found.id):
        found = None  # another request was faster
    if found is None:
        service.failed_logins.count(address)
        raise not_authenticated("the token is unknown, expired or revoked")
    return found


def _set_cookie(service: Service, credential: Credential, request: Request, response: Response) -> None:
    by_token = credential.kind == "token"
    lifetime = SESSION_SECONDS
    if by_token and credential.expires_at is not None:  # a session ends with its token
        lifetime = min(lifetime, credential.expires_at - time.time())
    token = create_token(
        service.credentials,
        credential.name,
        credential.scopes,
        kind="session",
        lifetime=lifetime,
        parent=credential.id if by_token else credential.parent,
    )
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(lifetime),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _view(name: str, scopes: tuple[str, ...]) -> dict[str, Any]:
    allowed = permitted(scopes)
    return {"name": name, "scopes": [scope for scope in SCOPES if scope in allowed]}
