"""The quality of results, as the API returns it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.server.schemas.base import RequestBody, ResponseBody
from orchestrator.server.schemas.runs import UsageView


class QualityBody(RequestBody):
    """How the quality of a result is checked."""

    judge: Annotated[
        bool | list[str], Field(description="Whether to ask the model that the pipeline names, or which models to ask.")
    ] = False
    rubric: Annotated[str, Field(max_length=100_000, description="The criteria for the judge.")] = ""


class FindingView(ResponseBody):
    """What a rule found in a result."""

    level: Literal["problem", "warning", "note"]
    where: str
    message: str
    suggestion: str


class JudgementView(ResponseBody):
    """A model's judgement of one output."""

    output: str
    score: float
    reason: str
    suggestions: list[str]


class QualityView(ResponseBody):
    """The quality of a result. What the judgements cost is not part of the run's cost."""

    run_id: str
    ok: bool
    score: float | None
    findings: list[FindingView]
    judgements: list[JudgementView]
    model: str
    usage: UsageView
    cost: float | None
    known_cost: float
    model_calls: int
    unpriced: int
