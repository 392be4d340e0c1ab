"""The metrics of the server, for a monitoring system."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response, Security

from orchestrator.server.access.caller import address_of, bearer_scheme, cookie_scheme, identify, require
from orchestrator.server.access.request_guard import LOOPBACK
from orchestrator.server.routes.parameters import PROBLEMS, ServiceDependency

router = APIRouter(tags=["health"], responses=PROBLEMS)

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "The metrics, in the text format of Prometheus."}},
)
def read_metrics(
    request: Request,
    service: ServiceDependency,
    bearer: Annotated[Any, Security(bearer_scheme)] = None,
    session: Annotated[Any, Security(cookie_scheme)] = None,
) -> Response:
    """Return the metrics. It needs the scope `read`, unless `open_metrics` in `[serve]` permits this machine more."""
    if not (service.settings.open_metrics and _is_local(request)):
        require(identify(service, request, bearer, session), "read")
    return Response(service.metrics.text(), media_type=_TEXT)


def _is_local(request: Request) -> bool:
    """Whether a program on this machine sends the request; not a page, by whatever name it knows this machine."""
    return (
        address_of(request) in LOOPBACK
        and request.url.hostname in LOOPBACK
        and "origin" not in request.headers
        and "sec-fetch-site" not in request.headers
        and "x-forwarded-for" not in request.headers
    )
