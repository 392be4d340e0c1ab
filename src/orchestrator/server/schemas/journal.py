"""What is recorded of a run, as clients read it that compute results themselves."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from orchestrator.server.schemas.base import Json, ResponseBody


class RecordView(ResponseBody):
    """What a run was started from, or was last revised to. Secrets are not part of it."""

    run_id: str
    pipeline: str
    name: str
    source_name: str
    source_text: str
    directory: str
    digest: str
    plan: Json
    inputs: Json
    options: Json
    now: float = Field(description="The time that the whole run reads as now.")
    total: int
    metadata: Json
    sources: dict[str, str] = Field(description="The texts of the pipelines that it calls.")
    forked_from: Json | None
    batch: str | None
    row: int | None
    created_at: float


class OutputList(ResponseBody):
    """The outputs of steps, in the order of the request."""

    outputs: list[Any]


class ItemsView(ResponseBody):
    """The items of the loops of a long run."""

    failed: list[str] = Field(description="Paths of failed and cancelled steps and items, from item 10 on.")
    ended: dict[str, int] = Field(description="How many items of the loop have ended, by the types of their events.")


class ValueView(ResponseBody):
    """A large value that events refer to."""

    value: Any
