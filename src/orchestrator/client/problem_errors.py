"""Problem documents of a server as the exceptions that an orchestrator raises for the same reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from orchestrator import codes, errors
from orchestrator.client.diagnostic_views import diagnostics_from
from orchestrator.errors import CompilationError, OrchestratorError, RequestError, ServerUnavailable
from orchestrator.remedies import remedies_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2 as httpx

_GATEWAY: Final = frozenset({502, 503, 504})
"""What proxies answer for a server that they cannot reach."""
_COMMON: Final = frozenset({"message", "code", "help", "remedies", "args"})


def error_of(response: httpx.Response) -> OrchestratorError:
    """Return the error that a response reports."""
    if response.headers.get("content-type", "").partition(";")[0] == "application/problem+json":
        try:
            found = msgspec.json.decode(response.content)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            found = None
        if isinstance(found, dict) and isinstance(found.get("detail"), str):
            return error_from(found)
    asked = f"{response.request.method} {response.request.url.path}"
    message = f"the server answered {response.status_code} to {asked}"
    if response.status_code in _GATEWAY:
        return ServerUnavailable(message, status=response.status_code, help="try again when the server has started")
    return RequestError(
        message,
        status=response.status_code,
        help="check that it is an Orchestrator server of this version",
    )


def error_from(problem: Mapping[str, Any]) -> OrchestratorError:
    """Return the exception that a problem document describes, of the class that the server raised."""
    kind = getattr(errors, str(problem.get("exception")), None)
    detail, help = str(problem["detail"]), problem.get("help")
    if isinstance(kind, type) and issubclass(kind, CompilationError):
        diagnostics = diagnostics_from(problem.get("diagnostics", ()), problem.get("sources", {}))
        return CompilationError(detail, diagnostics=diagnostics, help=help)
    if not (isinstance(kind, type) and issubclass(kind, OrchestratorError)):
        kind = RequestError
    error = kind.__new__(kind, detail)
    OrchestratorError.__init__(
        error,
        detail,
        code=str(problem.get("code") or codes.INVALID_REQUEST),
        help=help if isinstance(help, str) else None,
        remedies=remedies_from(problem.get("remedies")),
    )
    vars(error).update(_attributes(problem.get("attributes")))
    if isinstance(error, RequestError):
        error.status = int(problem.get("status") or 400)
    return error


def _attributes(found: Any) -> dict[str, Any]:
    """Return the attributes that only some classes of errors have."""
    given = found.items() if isinstance(found, dict) else ()
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given
        if name.isidentifier() and not name.startswith("_") and name not in _COMMON
    }
