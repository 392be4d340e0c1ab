"""Workers and what waits for them, as the API returns them."""

from __future__ import annotations

from pydantic import Field

from orchestrator.server.schemas.base import ResponseBody


class WorkerView(ResponseBody):
    """A worker. Times are in seconds since the epoch, by the clock of the store."""

    id: str
    name: str = Field(description="The host and the process.")
    kind: str = Field(description="The same for workers that can execute the same runs.")
    version: str
    labels: list[str]
    concurrency: int = Field(description="How many runs it executes at once.")
    started_at: float
    seen_at: float = Field(description="When it last reported.")
    executing: int = Field(description="Runs that work.")
    waiting: int = Field(description="Runs that it holds, which wait for a time or their turn.")
    draining: bool = Field(description="It is being stopped, and takes no further runs.")
    age: float = Field(description="Seconds since it last reported.")
    lost: bool = Field(description="It has not reported in time.")


class QueueView(ResponseBody):
    """The submitted runs with the same labels that no worker has taken."""

    labels: list[str]
    runs: int
    oldest: float = Field(description="When the oldest of them was submitted, in seconds since the epoch.")


class WorkerList(ResponseBody):
    """The workers of the store, and what waits for them."""

    workers: list[WorkerView]
    queue: list[QueueView]
