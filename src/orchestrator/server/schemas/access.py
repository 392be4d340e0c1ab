"""Sessions of browsers, as the API opens them, and the state of the server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.server.access.scopes import Scope
from orchestrator.server.schemas.base import RequestBody, ResponseBody


class SessionBody(RequestBody):
    """A token to log in with: one of `orchestrator tokens add`, or the one in a login link."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class SessionView(ResponseBody):
    """Who is logged in."""

    name: str
    scopes: list[Scope]


class HealthView(ResponseBody):
    """That the server answers, and with which version."""

    status: Literal["ok"]
    version: str
