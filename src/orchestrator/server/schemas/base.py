"""What all models of the API have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Json = dict[str, Any]


class RequestBody(BaseModel):
    """What a request contains. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResponseBody(BaseModel):
    """What a response contains. It has exactly these fields, so that the description of the API is true."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemDocument(BaseModel):
    """Why a request failed (RFC 9457). `code` is stable; `orchestrator explain CODE` describes it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`urn:orchestrator:` and the code.")
    title: str
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, and where.")
    code: str
    help: str | None = Field(description="How to fix it.")
    remedies: list[Json] = Field(
        description="What can be done, as data: with `method` and `href` if the API does it, and as a `command`."
    )
