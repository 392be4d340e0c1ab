"""Pipelines and their diagnostics, as the API returns them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.server.schemas.base import Json, RequestBody, ResponseBody
from orchestrator.server.schemas.runs import RunView


class CheckBody(RequestBody):
    """A pipeline to check."""

    source: Annotated[str, Field(max_length=5_000_000, description="YAML text.")]
    name: Annotated[
        str | None, Field(max_length=1_000, description="What diagnostics call it; by default `<text>`.")
    ] = None


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
    help: str
    notes: list[str]
    related: list[Json]
    fix: Json | None
    remedies: list[Json]


class CheckView(ResponseBody):
    """What a check found: every problem, in one pass."""

    ok: bool = Field(description="Whether no diagnostic is an error.")
    diagnostics: list[DiagnosticView]


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
    intention: str = Field(description="What it does, in a few sentences; empty if it has errors.")
    graph: str = Field(description="Its steps as a Mermaid diagram; empty if it has errors.")
    diagnostics: list[DiagnosticView]
    runs: list[RunView]
