"""The application: all routes, who may use them, and how errors are reported. Any ASGI server can run it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from orchestrator import codes
from orchestrator.distribution import VERSION
from orchestrator.errors import OrchestratorError, RequestError
from orchestrator.server.access.admission import Admission
from orchestrator.server.access.request_guard import RequestGuard, body_too_large, largest_body, served_names
from orchestrator.server.metrics import MeasuredRequests
from orchestrator.server.problems import problem_response
from orchestrator.server.routes import (
    access,
    batches,
    control,
    events,
    files,
    health,
    journal,
    metrics,
    page,
    pipelines,
    quality,
    run_history,
    run_steps,
    runs,
    triggers,
    workers,
)
from orchestrator.server.schemas.base import ProblemDocument
from orchestrator.server.schemas.batches import BatchBody

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.server.service import Service

LARGEST_BODY: Final = 16_000_000
"""Bytes of a request."""

_MOST_PROBLEMS: Final = 20
"""How many fields of a request are reported to be wrong."""

_LONGEST_NAME: Final = 200

_ROUTERS: Final = (
    pipelines,
    runs,
    run_steps,
    run_history,
    files,
    events,
    journal,
    quality,
    control,
    batches,
    triggers,
    workers,
    access,
    health,
    metrics,
    page,
)


_WORDS: Final = {
    "extra_forbidden": "unknown field",
    "missing": "it is required",
    "json_invalid": "it is not valid JSON",
}
"""The words for what is wrong with a request, where the library's are hard to understand."""


def create_app(service: Service) -> ASGIApp:
    """Return the application of a service: its API, behind what guards every request."""
    settings = service.settings
    api: ASGIApp = Admission(create_api(service), service)
    origins = frozenset(settings.origins)
    if origins:
        api = CORSMiddleware(
            api,
            allow_origins=sorted(origins),
            allow_methods=["*"],
            allow_headers=["authorization", "content-type", "idempotency-key", "last-event-id"],
            expose_headers=["etag", "location"],
        )
    names = served_names(settings.host, settings.names)
    guarded = RequestGuard(api, names=names, origins=origins, largest_body=LARGEST_BODY)
    return MeasuredRequests(guarded, service.metrics)


def create_api(service: Service) -> FastAPI:
    """Return the API of a service, and with it its description."""
    app = FastAPI(
        title="Orchestrator",
        version=VERSION,
        summary="Start, watch and control runs of checked, durable pipelines.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        max_body_size=LARGEST_BODY,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    for module in _ROUTERS:
        app.include_router(module.router)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # as FastAPI documents it
    app.add_exception_handler(OrchestratorError, _report)
    app.add_exception_handler(RequestValidationError, _report_invalid)
    app.add_exception_handler(HTTPException, _report_http)
    app.add_exception_handler(Exception, _report_unexpected)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the description of the API, with what its routes refer to."""
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = found["components"]["schemas"]
        for model in (ProblemDocument, BatchBody):  # those that routes name only by reference
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = found
    return app.openapi_schema


async def _report(request: Request, error: Any) -> Response:
    return problem_response(error)


async def _report_invalid(request: Request, error: Any) -> Response:
    """Report every field of a request that is wrong, without its value, which may be secret."""
    found = error.errors()
    problems = [f"{_place(each['loc'])}: {_WORDS.get(each['type'], each['msg'])}" for each in found[:_MOST_PROBLEMS]]
    if len(found) > _MOST_PROBLEMS:
        problems.append("and others")
    message = problems[0] if len(found) == 1 else f"{len(found):,} problems: " + "; ".join(problems)
    return problem_response(RequestError(message, status=422, help="see /v1/openapi.json"))


async def _report_http(request: Request, error: Any) -> Response:
    """Report what the routing refuses: a path that does not exist, a method, a body that is too large or no JSON."""
    path = request.url.path
    if error.status_code == 404:
        found = RequestError(f"there is no `{path}`", status=404, help="see /v1/openapi.json")
    elif error.status_code == 405:
        methods = (route.methods or () for module in _ROUTERS for route in _matching(module.router, request))
        error.headers = {
            "allow": ", ".join(sorted(set[str]().union(*methods)))
        }  # the library has those of one route only
        found = RequestError(f"`{path}` does not support {request.method}", status=405, help="see /v1/openapi.json")
    elif error.status_code == 413:
        found = body_too_large(largest_body(path, LARGEST_BODY))
    else:
        found = RequestError(str(error.detail), status=error.status_code)
    return problem_response(found, headers=error.headers)


async def _report_unexpected(request: Request, error: Exception) -> Response:
    """Report an internal error without its details, which may hold secrets: the server writes them to its log."""
    found = RequestError("internal error", status=500, code=codes.INTERNAL_ERROR, help="see the log of the server")
    return problem_response(found)


def _matching(router: APIRouter, request: Request) -> Iterator[APIRoute]:
    """Yield the routes with the path of a request, whatever their methods."""
    for route in router.routes:
        if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE:
            yield route


def _place(location: Any) -> str:
    """Return where a field is, such as `body.labels[2]`."""
    place = ""
    for part in (_shortened(each) for each in location):
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    return f"`{place}`"


def _shortened(part: Any) -> Any:
    """Return a part of a place; the name of a field, which the client chooses, may have any length."""
    return f"{part[:_LONGEST_NAME]}..." if isinstance(part, str) and len(part) > _LONGEST_NAME else part
