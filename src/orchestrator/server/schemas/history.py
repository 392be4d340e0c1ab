"""The plan of a run, its history and its timeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.server.schemas.base import Json, ResponseBody
from orchestrator.server.schemas.steps import StepRowView


class PlanNodeView(ResponseBody):
    """A step of a plan. Its path has `[*]` for every item of a loop."""

    path: str
    parent: str = Field(description="The path of the step that contains it; empty at the top level.")
    id: str
    name: str
    kind: str
    what: str
    condition: str
    section: str = Field(description="The part of its parent that it belongs to, such as a case or a handler.")
    inside: int = Field(description="How many steps are directly inside.")


class PlanEdgeView(ResponseBody):
    """A step before another one in the same block: it is read, it must end first, or it jumps there."""

    source: str
    target: str
    kind: Literal["value", "order", "on_success", "on_false", "on_failure"]


class PlanView(ResponseBody):
    """What a run consists of: the steps and edges of its plan, its source, and its inputs without secrets."""

    run_id: str
    pipeline: str
    name: str
    source_name: str
    source: str
    offered: str | None = Field(description="The name of the pipeline of the server that is in the same file.")
    nodes: list[PlanNodeView]
    edges: list[PlanEdgeView]
    complete: bool = Field(description="Whether all steps are listed; of very large plans, only the outermost are.")
    inputs: Json
    inputs_schema: Json
    secrets: list[str] = Field(description="The inputs that must be given again, because secrets are never stored.")
    labels: list[str]


class AgainView(ResponseBody):
    """What a retry of a step runs again."""

    path: str = Field(description="What runs again itself: the step, or what contains it where it cannot run alone.")
    steps: list[str] = Field(description="The first hundred steps that depend on it, the innermost first.")
    count: int = Field(description="How many steps depend on it.")
    later_rounds: list[str] = Field(description="The loops around it whose later items or rounds depend on its own.")


class StartView(ResponseBody):
    """What a run was started with. Secrets are never stored."""

    run_id: str
    pipeline: str
    offered: str | None = Field(description="The name of the pipeline of the server that is in the same file.")
    labels: list[str]
    inputs: Json
    omitted: dict[str, int] = Field(description="Inputs that are too large, with their bytes of JSON.")


class PauseView(ResponseBody):
    """A pause of a run."""

    at: float
    until: float | None
    by: str
    resumed_by: str


class ChapterView(ResponseBody):
    """What one owner of the run did. `kept` counts the top-level steps that were kept, by state."""

    seq: int
    at: float
    kind: Literal["started", "forked", "resumed", "retried", "edited"]
    by: str
    step: str
    again: list[str]
    kept: dict[str, int] | None
    until: float | None
    state: str
    error: Json | None
    reason: str
    ended_by: str
    pauses: list[PauseView]


class HistoryView(ResponseBody):
    """The history of a run: when it was started, resumed, retried and continued with an edit."""

    run_id: str
    chapters: list[ChapterView]
    forked_from: dict[str, str] | None = Field(description="The run and the step that it was forked from.")


class SegmentView(ResponseBody):
    """A time in which a step did one thing; `end` is null while it does."""

    kind: Literal["attempt", "steps", "place", "retry", "limit", "person", "time", "handler"]
    begin: float
    end: float | None
    attempt: int
    outcome: str
    text: str
    forgotten: bool


class BandView(ResponseBody):
    """How many items of a loop ended in each of equal parts of a time, and how many of those failed."""

    begin: float
    end: float
    ended: list[int]
    failed: list[int]


class TimelineRowView(ResponseBody):
    """When one step worked, and what it waited for."""

    path: str
    segments: list[SegmentView]
    critical: bool = Field(description="Whether a faster step would have ended this level earlier.")
    band: BandView | None


class EstimateView(ResponseBody):
    """How long the last successful runs of the pipeline took: the median of their working time, in seconds."""

    seconds: float
    runs: int


class TimelineView(ResponseBody):
    """The timeline of one level of a run."""

    run_id: str
    last_seq: int
    within: str
    now: float
    begin: float
    end: float | None = Field(description="When the run was last executed; null while it is, or while it waits.")
    steps: list[StepRowView]
    rows: list[TimelineRowView]
    estimate: EstimateView | None
