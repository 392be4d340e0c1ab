"""Triggers and what they have fired, as the API returns them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.server.schemas.base import Json, RequestBody, ResponseBody


class FiringView(ResponseBody):
    """One firing. Times are in seconds since the epoch."""

    run_id: str = Field(description="The id of its run, also before that is started.")
    state: Literal["due", "started", "skipped", "failed"] = Field(
        description="`due`: its run will be started; `skipped`, `failed`: it has none."
    )
    reason: str = Field(description="Why it has no run; empty if it has one.")
    instant: float = Field(description="The time of the schedule, or that of the delivery or command.")
    created_at: float
    by: str = Field(description="What made it fire: its schedule, a delivery, or a person.")


class TriggerView(ResponseBody):
    """A trigger of a pipeline that the server offers."""

    id: str = Field(description="The name of its pipeline and its own, such as `report/nightly`.")
    pipeline: str
    name: str
    kind: Literal["schedule", "webhook"]
    description: str
    declaration: Json = Field(description="What the file declares.")
    paused_at: float | None
    paused_by: str | None
    next: list[float] = Field(description="The next instants of its schedule; empty for a webhook or if it is paused.")
    ready: bool = Field(description="Whether it can fire; false for a webhook without its secret.")
    firings: list[FiringView] = Field(description="The last firings, newest first.")


class TriggerList(ResponseBody):
    """All triggers, by id."""

    triggers: list[TriggerView]


class FireBody(RequestBody):
    """A firing by a person or a program."""

    inputs: Json | None = Field(
        default=None,
        description="Inputs that replace those of the trigger. A webhook needs all inputs of its pipeline.",
    )


class DeliveryView(ResponseBody):
    """What a delivery has started."""

    trigger: str
    run_id: str
    repeated: bool = Field(description="Whether an earlier delivery with the same id started the run.")
