"""The plan: what a checked pipeline will do. Immutable, complete, and all that the runtime needs to know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from orchestrator.expressions import Constant, ListValue, MappingValue, Rendered, Template, Templated, Value
from orchestrator.expressions.schema import to_json_schema
from orchestrator.expressions.types import Type
from orchestrator.language.spec import InputSpec
from orchestrator.tools.contract import Action, Tool


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a failed attempt is made again. Times in seconds.

    The delay before attempt n+1 is `min(max_delay, delay * backoff ** (n - 1))`, plus or minus `jitter` of itself
    (0.1: up to 10 per cent). `on` limits it to errors with one of these codes or type names; empty: all retryable.
    """

    max_attempts: int = 1
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.1
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OnFailure:
    """What follows when the last attempt of a step has failed.

    `fail` ends the run, `continue` goes on with null, `value` goes on with `value`, `jump` goes on at step `target`.
    """

    kind: Literal["fail", "continue", "value", "jump"] = "fail"
    value: Value | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The work of a step that calls one action of one tool. `parameters` evaluates to the keyword arguments."""

    tool: Tool
    action: Action
    parameters: Value


Work = ToolCall
"""What a step does. Loops, groups, sub-pipelines and questions join this union."""


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step.

    `dependencies` holds the ids of all steps that must have ended before this one starts: the declared ones, those
    that its expressions read, and those whose jump could skip it. `skips` maps each of this step's jumps
    (`on_success`, `on_false`, `on_failure`) to the ids of the steps that it skips.
    `condition` and `timeout` are absent where the file has none. `line` is the step's line in the file.
    """

    id: str
    work: Work
    name: str = ""
    description: str = ""
    dependencies: tuple[str, ...] = ()
    condition: Template | None = None
    retry: Retry = Retry()
    timeout: float | None = None
    on_failure: OnFailure = OnFailure()
    on_success: str | None = None
    on_false: str | None = None
    skips: Mapping[Literal["on_success", "on_false", "on_failure"], tuple[str, ...]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """One declared output: its value's template and its type."""

    name: str
    value: Value
    type: Type
    description: str = ""
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked pipeline. `directory` is where relative paths start, `digest` identifies what the plan does."""

    id: str
    source_name: str
    source_text: str
    directory: Path
    digest: str
    steps: tuple[StepPlan, ...]
    name: str = ""
    description: str = ""
    version: str = ""
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    variables: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, OutputPlan] = field(default_factory=dict)
    max_parallel: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON data, for the journal and for people: no functions, templates as their text."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "version": self.version,
            "digest": self.digest,
            "inputs": {name: spec.model_dump(mode="json", exclude_none=True) for name, spec in self.inputs.items()},
            "variables": {name: source_of(value) for name, value in self.variables.items()},
            "steps": [_step_dict(step) for step in self.steps],
            "outputs": {
                output.name: {"value": source_of(output.value), "type": to_json_schema(output.type)}
                for output in self.outputs.values()
            },
            "max_parallel": self.max_parallel,
            "metadata": dict(self.metadata),
        }

    def with_digest(self) -> Plan:
        """Return the plan with its digest: the SHA-256 of what it does, whatever its names and descriptions."""
        content = self.to_dict()
        for inert in ("name", "description", "version", "digest", "metadata"):
            del content[inert]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
        return replace(self, digest=hashlib.sha256(text.encode()).hexdigest())


def source_of(value: Value) -> Any:
    """The value as it stood in the file: JSON data in which templates are text."""
    match value:
        case Constant():
            return value.value
        case Templated() | Rendered():
            return value.template.text
        case ListValue():
            return [source_of(item) for item in value.items]
        case MappingValue():
            return {key: source_of(item) for key, item in value.entries.items()}


def _step_dict(step: StepPlan) -> dict[str, Any]:
    call = step.work
    entry: dict[str, Any] = {
        "id": step.id,
        "tool": call.tool.name,
        "tool_version": call.tool.version,
        "action": call.action.name,
        "parameters": source_of(call.parameters),
        "dependencies": list(step.dependencies),
    }
    optional = {
        "name": step.name if step.name != step.id else None,
        "condition": step.condition.text if step.condition else None,
        "timeout": step.timeout,
        "on_success": step.on_success,
        "on_false": step.on_false,
        "skips": {kind: list(ids) for kind, ids in step.skips.items()} or None,
        "metadata": dict(step.metadata) or None,
    }
    if step.retry != Retry():
        optional["retry"] = asdict(step.retry)
    if step.on_failure.kind != "fail":
        failure = step.on_failure
        optional["on_failure"] = {
            "kind": failure.kind,
            "target": failure.target,
            "value": source_of(failure.value) if failure.value is not None else None,
        }
    entry.update({key: value for key, value in optional.items() if value is not None})
    return entry
