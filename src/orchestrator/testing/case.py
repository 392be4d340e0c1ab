"""A case of a test file: the inputs of a run, and the expected results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from orchestrator.models.budget import Budget
from orchestrator.testing.expectations import Expectation
from orchestrator.testing.written import ExpectedFile

Kind: TypeAlias = Literal["replay", "fake", "live"]
"""The source of answers: recordings, or answers in the test file; `live` calls the models."""

RunEnd: TypeAlias = Literal["succeeded", "failed", "cancelled", "waiting", "paused"]
StepEnd: TypeAlias = Literal["succeeded", "failed", "skipped", "cancelled", "pending", "waiting"]


class Models(Struct, frozen=True):
    """The source of answers. `directory` holds recordings, `answers` are scripts by step, as of a `FakeModel`."""

    kind: Kind
    directory: Path = Path("recordings")
    answers: Mapping[str, Any] = field(default_factory=dict)


class ExpectedStep(Struct, frozen=True):
    """How a step must have ended, and what its value must be; None: whatever."""

    state: StepEnd | None = None
    value: Expectation | None = None


class Expectations(Struct, frozen=True):
    """What a case expects of its run. `error` has `code`, `step` and `message`; `models` are all that answered.

    `files` are in the case's folder, by relative path.
    """

    state: RunEnd = "succeeded"
    outputs: Mapping[str, Expectation] = field(default_factory=dict)
    steps: Mapping[str, ExpectedStep] = field(default_factory=dict)
    error: Mapping[str, Expectation] = field(default_factory=dict)
    expressions: tuple[Expectation, ...] = ()
    cost_below: float | None = None
    models: tuple[str, ...] | None = None
    files: Mapping[str, ExpectedFile] = field(default_factory=dict)


class Case(Struct, frozen=True):
    """One run of the pipeline. `stub` and `answers` are by step: results of tools, and answers to questions.

    `budget` replaces the pipeline's. With `in_place` it runs in the project's directory, not in a copy of it.
    """

    name: str
    inputs: Mapping[str, Any]
    models: Models
    stub: Mapping[str, Any]
    answers: Mapping[str, Any]
    timeout: float
    expect: Expectations
    line: int = 1
    budget: Budget | None = None
    in_place: bool = False
