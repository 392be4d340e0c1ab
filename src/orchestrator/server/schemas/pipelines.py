"""Pipelines and their diagnostics, as the API returns them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.server.schemas.base import Json, RequestBody, ResponseBody, SourceName
from orchestrator.server.schemas.runs import RunView


class CheckBody(RequestBody):
    """A pipeline to check."""

    source: Annotated[str, Field(max_length=5_000_000, description="YAML text.")]
    name: SourceName = None


class NewPipelineBody(RequestBody):
    """A pipeline to write into the directory of the server."""

    name: Annotated[str, Field(min_length=1, max_length=200, description="The path of its file, without the ending.")]
    source: Annotated[
        str | None,
        Field(max_length=5_000_000, description="YAML text; by default a commented pipeline to start from."),
    ] = None


class EditedPipelineBody(RequestBody):
    """A new version of a pipeline."""

    source: Annotated[str, Field(max_length=5_000_000, description="YAML text.")]
    replaces: Annotated[
        str,
        Field(
            max_length=5_000_000, description="The text that was edited: a file that has another one is not changed."
        ),
    ]


class ForecastBody(RequestBody):
    """A run that is not started: what would it do, and cost?"""

    pipeline: Annotated[str | None, Field(description="The name of a pipeline, as `GET /v1/pipelines` lists it.")] = (
        None
    )
    source: Annotated[str | None, Field(max_length=5_000_000, description="YAML text, instead of a name.")] = None
    name: SourceName = None
    inputs: Annotated[Json, Field(default_factory=dict, description="The inputs of the pipeline.")]


class CallForecastView(ResponseBody):
    """A call of a model: tokens that are sent, and at most those that are received; US dollars at most."""

    action: str
    models: list[Json] = Field(description="Those that may be called, in order, each with `model` and `ready`.")
    problem: str | None
    input: int
    output: int
    cost: float | None = Field(description="Null if no price is known.")
    rough: bool = Field(description="Whether a part of the prompt is known only during the run.")


class StepForecastView(ResponseBody):
    """A step, and its calls of models."""

    path: str
    does: str
    after: list[str]
    condition: str | None
    times: int | None = Field(description="How often it runs; null if that is known only during the run.")
    calls: list[CallForecastView]


class UpperBoundView(ResponseBody):
    """The most that a run uses: all iterations, turns, attempts and checks. Null: there is no bound, or no price."""

    calls: int | None
    input: int | None
    output: int | None
    cost: float | None
    unbounded: list[str]


class ForecastView(ResponseBody):
    """What a run would do. Sums assume that each step calls a model once. Nothing is run, and no model is called."""

    steps: list[StepForecastView]
    input: int
    output: int
    cost: float
    unpriced: int = Field(description="How many calls have no known price.")
    missing: list[str] = Field(description="What must be set up first, such as a key.")
    most: UpperBoundView
    budget: dict[str, float] | None = Field(description="That of the pipeline's file.")


class DiagnosticView(ResponseBody):
    """One problem of a pipeline. Lines and columns count from 1."""

    code: str
    severity: Literal["error", "warning"]
    message: str
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    label: str = Field(description="A short text to show at the place.")
    help: str
    hint: str | None = Field(description="The part of `help` that the remedies do not say.")
    notes: list[str]
    related: list[Json]
    fix: Json | None
    remedies: list[Json]


class LockView(ResponseBody):
    """A lock that answers of models were taken from."""

    file: str
    answers: int


class CompiledView(ResponseBody):
    """What is known of a pipeline without errors."""

    id: str
    title: str
    description: str
    plan: Json = Field(description="The checked plan: inputs, steps with those within them, called pipelines, outputs.")
    locked: LockView | None


Sources = Annotated[dict[str, str], Field(description="The texts of the files that the diagnostics are about.")]


class CheckView(ResponseBody):
    """What a check found: every problem, in one pass."""

    ok: bool = Field(description="Whether no diagnostic is an error.")
    diagnostics: list[DiagnosticView]
    sources: Sources
    compiled: CompiledView | None = Field(description="The pipeline, if it has no errors.")


class DrawBody(RequestBody):
    """A pipeline to draw: one that the server offers, or YAML text."""

    pipeline: Annotated[str | None, Field(description="The name of a pipeline, as `GET /v1/pipelines` lists it.")] = (
        None
    )
    source: Annotated[str | None, Field(max_length=5_000_000, description="YAML text, instead of a name.")] = None
    name: SourceName = None
    format: Literal["mermaid", "svg"] = "svg"


class PipelineSummary(ResponseBody):
    """A pipeline that the server offers. One with errors cannot be started."""

    name: str = Field(description="The path of its file below its directory, without the ending.")
    id: str
    title: str
    description: str
    ok: bool
    errors: int
    warnings: int
    inputs: Json = Field(description="The JSON Schema of its inputs.")


class PipelineList(ResponseBody):
    """All pipelines that the server offers, by name."""

    pipelines: list[PipelineSummary]


class PipelineView(PipelineSummary):
    """One pipeline: its source, what checking it found, and its newest runs."""

    source: str
    budget: dict[str, float] | None = Field(description="What a run may spend: `usd`, `tokens`, `requests`.")
    intention: str = Field(description="What it does, in a few sentences; empty if it has errors.")
    graph: str = Field(description="Its steps as a Mermaid diagram; empty if it has errors.")
    diagnostics: list[DiagnosticView]
    sources: Sources
    compiled: CompiledView | None
    runs: list[RunView]
