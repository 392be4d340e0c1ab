"""Who is admitted before the body of a request is read, so that a stranger's body costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from orchestrator.errors import OrchestratorError
from orchestrator.server.access.caller import CALLER, bearer_scheme, cookie_scheme, identify
from orchestrator.server.problems import problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from orchestrator.server.service import Service

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests whose bodies no route reads: their routes say who may send them."""


class Admission:
    """Refuses requests with a body whose sender the server does not know, before it is read.

    Those that prove who sends them by their body are read: logins, and deliveries to webhooks.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http" and _needs_caller(scope["method"], scope["path"]):
            request = Request(scope)
            bearer, session = await bearer_scheme(request), await cookie_scheme(request)
            try:
                scope[CALLER] = await self._service.identifications.call(
                    identify, self._service, request, bearer, session
                )
            except OrchestratorError as error:
                await problem_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _needs_caller(method: str, path: str) -> bool:
    proves_itself = (method == "POST" and path == "/v1/session") or path.startswith("/v1/hooks/")
    return method not in _WITHOUT_BODY and path.startswith("/v1/") and not proves_itself
