"""The web page: its document, which is the same at every address that the page has, and its files."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from starlette.responses import Response

from orchestrator.errors import RequestError
from orchestrator.server.page_assets import INDEX, Asset, asset, names

router = APIRouter(include_in_schema=False)

ADDRESSES: Final = ("/", "/runs", "/questions", "/pipelines", "/start")
"""Where the page has something to show, and below which."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""What the document may load: only files of this server, and no script or style that is written into it."""

_CHECKED: Final = "no-cache"
_KEPT: Final = "public, max-age=31536000, immutable"
"""How browsers cache: the document is checked each time; a file with its digest in its name never changes."""

Accepted = Annotated[str, Header(alias="Accept-Encoding", max_length=1_000)]
Known = Annotated[str, Header(alias="If-None-Match", max_length=1_000)]


def show_page(accepted: Accepted = "", known: Known = "") -> Any:
    """Return the document of the page."""
    found = asset(INDEX) if INDEX in names() else None
    if found is None:
        raise RequestError("this installation has no page", status=404, help="build it with `make web`")
    return _response(found, accepted, known, {"cache-control": _CHECKED, "content-security-policy": _POLICY})


for _address in ADDRESSES:
    router.add_api_route(_address, show_page, methods=["GET"])
    if _address != "/":
        router.add_api_route(f"{_address}/{{rest:path}}", show_page, methods=["GET"])


@router.get("/assets/{name}")
def get_asset(name: str, accepted: Accepted = "", known: Known = "") -> Any:
    """Return a file of the page."""
    path = f"assets/{name}"
    found = asset(path) if path in names() else None
    if found is None:  # such as a part of an older version of the page
        raise RequestError(f"the page has no file `{name}`", status=404, help="reload the page")
    return _response(found, accepted, known, {"cache-control": _KEPT})


def _response(found: Asset, accepted: str, known: str, headers: dict[str, str]) -> Response:
    headers |= {"etag": found.tag, "vary": "accept-encoding"}
    if found.tag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=304, headers=headers)
    if found.compressed is not None and "gzip" in accepted:
        headers["content-encoding"] = "gzip"
        return Response(found.compressed, media_type=found.media_type, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
