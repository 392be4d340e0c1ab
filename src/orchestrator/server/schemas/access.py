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
    asked_as: list[str] = Field(
        description="The names by which questions are for this user: the user's own, and those of groups."
    )


class OpenSessionView(ResponseBody):
    """A browser that is logged in. Times are in seconds since the epoch."""

    id: str = Field(description="Its id, which is no secret.")
    name: str = Field(description="The token's name; that of a user of the identity provider begins with `oidc:`.")
    scopes: list[Scope]
    created_at: float
    expires_at: float | None
    token: str | None = Field(description="The token that it was opened with; null for a user of the provider.")


class OpenSessionList(ResponseBody):
    """The browsers that are logged in, by name."""

    sessions: list[OpenSessionView]


class ProviderView(ResponseBody):
    """An identity provider to log in with."""

    label: str
    href: str = Field(description="Where a browser begins the login.")


class LoginView(ResponseBody):
    """How a browser can log in. A token is always possible, with `POST /v1/session`."""

    provider: ProviderView | None


class HealthView(ResponseBody):
    """That the server answers, and with which version."""

    status: Literal["ok"]
    version: str
    draining: bool = Field(description="Whether it is being stopped: it starts no more runs.")
