"""Logging a browser in and out, and who is logged in."""

from __future__ import annotations

import time
from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Cookie, Path, Query, Request, Response
from msgspec.structs import asdict
from starlette.responses import HTMLResponse, RedirectResponse

from orchestrator import codes
from orchestrator.errors import ConfigurationError, RequestError
from orchestrator.journal.store.credential_store import BrowserSession, Credential, CredentialKind
from orchestrator.server.access.caller import COOKIE, Admin, Reader, address_of
from orchestrator.server.access.oidc import CALLBACK, OidcLogin, login_failed
from orchestrator.server.access.refused_logins import not_authenticated, refused_token
from orchestrator.server.access.request_guard import LARGEST_LOGIN
from orchestrator.server.access.scopes import SCOPES, permitted
from orchestrator.server.access.sessions import end_sessions
from orchestrator.server.access.tokens import create_token, verified
from orchestrator.server.routes.parameters import PROBLEMS, ServiceDependency
from orchestrator.server.schemas.access import LoginView, OpenSessionList, SessionBody, SessionView
from orchestrator.server.service import Service

router = APIRouter(tags=["access"], responses=PROBLEMS)

SESSION_SECONDS = 30 * 86_400.0

_LOGIN_COOKIE: Final = "orchestrator_login"
_LOGIN_SECONDS: Final = 600.0


@router.post("/v1/session", response_model=SessionView, max_body_size=LARGEST_LOGIN)
def log_in(body: SessionBody, request: Request, response: Response, service: ServiceDependency) -> Any:
    """Open a session: the response sets a cookie that pages send from then on, and that scripts cannot read."""
    credential = _proven(service, body.token, request, "token", "login")
    _set_cookie(service, credential, request, response)
    return _view(service, credential.name, credential.scopes)


@router.get("/login", include_in_schema=False)
def follow_login_link(
    token: Annotated[str, Query(max_length=200)], request: Request, service: ServiceDependency
) -> Response:
    """Open a session by a link that the server printed, which works once, and show the page.

    Only a person who opens the link follows it: pages cannot, nor images in them.
    """
    if request.headers.get("sec-fetch-dest", "document") != "document" or request.headers.get(
        "sec-fetch-site", "none"
    ) not in ("none", "same-origin"):
        raise RequestError(
            "a login link is opened by itself, and not from a page",
            status=403,
            code=codes.REQUEST_REFUSED,
            help="copy it into the address bar of the browser",
        )
    response = RedirectResponse("/", status_code=303)
    _set_cookie(service, _proven(service, token, request, "login"), request, response)
    return response


@router.get("/v1/login", response_model=LoginView)
def get_login(service: ServiceDependency) -> Any:
    """Return how a browser can log in. It needs no token."""
    oidc = service.oidc
    return {"provider": None if oidc is None else {"label": oidc.settings.label, "href": "/login/oidc"}}


@router.get("/login/oidc", include_in_schema=False)
def begin_login(request: Request, service: ServiceDependency) -> Response:
    """Send the browser to the identity provider."""
    address = address_of(request)
    service.begun_logins.refuse(address)
    service.begun_logins.count(address)
    oidc = _oidc(service)
    token = create_token(service.credentials, "", (), kind="oidc", lifetime=_LOGIN_SECONDS)
    response = RedirectResponse(oidc.address_for(token), status_code=303, headers={"cache-control": "no-store"})
    # Not `strict`: the provider sends the browser back.
    response.set_cookie(
        _LOGIN_COOKIE, token, max_age=int(_LOGIN_SECONDS), path="/login/oidc", httponly=True, samesite="lax",
        secure=oidc.url.startswith("https:"),
    )  # fmt: skip
    return response


@router.get(CALLBACK, include_in_schema=False)
def finish_login(
    service: ServiceDependency,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4_000)] = "",
    token: Annotated[str, Cookie(alias=_LOGIN_COOKIE, max_length=200)] = "",
) -> Response:
    """Open a session for a browser that comes back from the identity provider."""
    oidc = _oidc(service)
    try:
        begun = verified(service.credentials, token, "oidc")
        if begun is None or not service.credentials.remove(begun.id):  # each login is finished once
            raise login_failed("the login was begun by another browser, or is over")
        if not code:
            raise login_failed("the provider has refused the login")
        found = oidc.finish(token, state, code)
    except RequestError as error:
        response = HTMLResponse(_page(error.message, '<a href="/login/oidc">Log in again</a>'), error.status)
    else:
        lifetime = oidc.settings.session
        session = create_token(service.credentials, found.name, found.scopes, kind="session", lifetime=lifetime)
        # Loaded by a page of this site, `/` receives the cookie; a redirect of the provider's would not have it.
        response = HTMLResponse(_page(f"Logged in as {found.name}.", '<meta http-equiv="refresh" content="0;url=/">'))
        response.set_cookie(
            COOKIE, session, max_age=int(lifetime), httponly=True, samesite="strict",
            secure=oidc.url.startswith("https:"),
        )  # fmt: skip
    response.delete_cookie(_LOGIN_COOKIE, path="/login/oidc", httponly=True, samesite="lax")
    response.headers["cache-control"] = "no-store"
    return response


def _oidc(service: Service) -> OidcLogin:
    if service.oidc is None:
        raise RequestError("this server has no identity provider", status=404, help="log in with a token")
    return service.oidc


def _page(text: str, more: str) -> str:
    return f"<!DOCTYPE html><meta charset=utf-8><title>Orchestrator</title><p>{escape(text)}</p>{more}"


@router.get("/v1/session", response_model=SessionView)
def get_session(caller: Reader, service: ServiceDependency) -> Any:
    """Return who sends the request, and what that permits."""
    return _view(service, caller.name, caller.credential.scopes)


@router.delete("/v1/session", status_code=204, response_class=Response)
def log_out(caller: Reader, response: Response, service: ServiceDependency) -> None:
    """Close the session of the request's cookie. A token stays valid until it is revoked."""
    if caller.credential.kind == "session":
        service.credentials.remove(caller.credential.id)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.get("/v1/sessions", response_model=OpenSessionList)
def list_sessions(caller: Admin, service: ServiceDependency) -> Any:
    """List the browsers that are logged in."""
    return {"sessions": list(map(_session_view, service.credentials.sessions(time.time())))}


@router.delete("/v1/sessions/{which:path}", response_model=OpenSessionList)
def end_session(
    which: Annotated[str, Path(description="The id of a session, or the name of a user, all of whose sessions end.")],
    caller: Admin,
    service: ServiceDependency,
) -> Any:
    """Log browsers out, at once. Tokens stay valid, and users of an identity provider can log in again."""
    return {"sessions": list(map(_session_view, end_sessions(service.credentials, which)))}


def _session_view(session: BrowserSession) -> dict[str, Any]:
    return {**asdict(session), "scopes": [scope for scope in SCOPES if scope in session.scopes]}


def _proven(service: Service, token: str, request: Request, *kinds: CredentialKind) -> Credential:
    """Return the credential that a token of one of these kinds proves. That of a login link is used up.

    Raises:
        RequestError: ORC911, it proves none; ORC913, after too many attempts.
    """
    address = address_of(request)
    found = verified(service.credentials, token, *kinds)
    if found is not None and found.kind == "login" and not service.credentials.remove(found.id):
        found = None  # another request was faster
    if found is None:
        service.failed_logins.refuse(address)
        service.failed_logins.count(address)
        raise refused_token(service.credentials, token)
    return found


def _set_cookie(service: Service, credential: Credential, request: Request, response: Response) -> None:
    by_token = credential.kind == "token"
    lifetime = SESSION_SECONDS
    if by_token and credential.expires_at is not None:  # a session ends with its token
        lifetime = min(lifetime, credential.expires_at - time.time())
    parent = credential.id if by_token else credential.parent
    name, scopes = credential.name, credential.scopes
    try:
        token = create_token(service.credentials, name, scopes, kind="session", lifetime=lifetime, parent=parent)
    except ConfigurationError as error:
        raise not_authenticated(error.message, "log in again, with another token") from None
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(lifetime),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _view(service: Service, name: str, scopes: tuple[str, ...]) -> dict[str, Any]:
    allowed = permitted(scopes)
    return {
        "name": name,
        "scopes": [scope for scope in SCOPES if scope in allowed],
        "asked_as": sorted(service.audience_names(name)),
    }
