"""Errors as problem details (RFC 9457): the code, what went wrong, and remedies as links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from orchestrator import codes
from orchestrator.errors import (
    CompilationError,
    InputError,
    OrchestratorError,
    PermissionDenied,
    RequestError,
    RunError,
    StoreError,
)
from orchestrator.remedies import Answer, Cancel, Follow, ListTriggers, Remedy, Resume, RetryStep, ShowRun, ShowStatus
from orchestrator.server.diagnostic_views import diagnostic_views

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE: Final = "application/problem+json"

_BY_CODE: Final = {
    codes.RUN_NOT_FOUND: 404,
    codes.STEP_NOT_FOUND: 404,
    codes.BATCH_NOT_FOUND: 404,
    codes.NO_OPEN_QUESTION: 409,
    codes.START_KEY_REUSED: 422,
    codes.INCOMPATIBLE_PIPELINE: 422,
    codes.EXTRA_MISSING: 501,
    codes.INTERNAL_ERROR: 500,
}
_BY_CLASS: Final[tuple[tuple[type[OrchestratorError], int], ...]] = (
    (InputError, 422),
    (CompilationError, 422),
    (PermissionDenied, 403),
    (RunError, 409),
    (StoreError, 503),
)
RETRY_SECONDS: Final = 2
_COMMON: Final = frozenset({"message", "code", "help", "remedies", "diagnostics"})

_LINKS: Final[dict[type[Remedy], tuple[str, str]]] = {
    Resume: ("POST", "/v1/runs/{run_id}/resume"),
    RetryStep: ("POST", "/v1/runs/{run_id}/retry"),
    Answer: ("POST", "/v1/runs/{run_id}/answer"),
    Cancel: ("POST", "/v1/runs/{run_id}/cancel"),
    Follow: ("GET", "/v1/runs/{run_id}/events"),
    ShowRun: ("GET", "/v1/runs/{run_id}"),
    ShowStatus: ("GET", "/v1/runs/{run_id}"),
    ListTriggers: ("GET", "/v1/triggers"),
}
"""The request that carries a remedy out, where the API has one."""


def status_of(error: OrchestratorError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, RequestError):
        return error.status
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((status for kind, status in _BY_CLASS if isinstance(error, kind)), 400)


def problem(error: OrchestratorError) -> dict[str, Any]:
    """Return the problem details of an error."""
    found: dict[str, Any] = {
        "type": f"urn:orchestrator:{error.code}",
        "title": error_title(error.code),
        "status": status_of(error),
        "detail": error.message,
        "code": error.code,
        "exception": type(error).__name__,
        "attributes": _attributes(error),
        "help": error.help,
        "remedies": [remedy_link(remedy) for remedy in error.remedies],
    }
    if isinstance(error, CompilationError):
        found |= diagnostic_views(error.diagnostics)
    if isinstance(error, InputError):
        found["problems"] = list(error.problems)
    if isinstance(error, RunError) and error.run_id is not None:
        found["run_id"] = error.run_id
    return found


def _attributes(error: OrchestratorError) -> dict[str, Any]:
    """Return what the class of an error adds, such as the `owner` of a run, as far as it is plain data."""
    if isinstance(error, RequestError):
        return {}  # its status is that of the response
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(error).items()
        if name not in _COMMON and not name.startswith("_") and _is_plain(value)
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(each, str) for each in value)
    return value is None or isinstance(value, str | int | float)


def error_title(code: str) -> str:
    """Return the title of a code."""
    from orchestrator.diagnostics import CODES

    return CODES[code].title if code in CODES else "error"


def remedy_link(remedy: Remedy) -> dict[str, Any]:
    """Return a remedy as data: what it does, the request that does it if there is one, and the command."""
    found: dict[str, Any] = {**remedy.to_dict(), "label": remedy.introduction, "command": remedy.shell}
    link = _LINKS.get(type(remedy))
    if link is not None:
        method, path = link
        found |= {"method": method, "href": path.format(run_id=quote(str(getattr(remedy, "run_id", "")), safe=""))}
    return found


def problem_response(error: OrchestratorError, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response that reports an error."""
    status = status_of(error)
    more = dict(headers or {})
    if status == 401:
        more["www-authenticate"] = "Bearer"
    if status in (429, 503):
        more["retry-after"] = str(RETRY_SECONDS)
    return JSONResponse(problem(error), status, media_type=MEDIA_TYPE, headers=more)
