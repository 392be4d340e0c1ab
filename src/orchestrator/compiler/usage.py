"""Warnings: what is declared and never used, what never runs, and values that may be missing when they are read."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from orchestrator.compiler.names import Environment, Target, TargetKind, fields_read
from orchestrator.compiler.templates import PlacedTemplate, child
from orchestrator.language.nodes import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from orchestrator.compiler.compilation import StepParts
    from orchestrator.compiler.findings import Findings
    from orchestrator.compiler.flow import Flow
    from orchestrator.expressions import Reference
    from orchestrator.language.spec import PipelineSpec

_ALWAYS_THERE = frozenset({"status", "success", "error", "attempts", "duration"})
"""Fields of a step that have a value even when it was skipped."""


def report_usage(
    spec: PipelineSpec,
    steps: Sequence[StepParts],
    outputs: Sequence[tuple[str, PlacedTemplate]],
    flow: Flow,
    environment: Environment,
    read: set[Target],
    directory: Path,
    findings: Findings,
) -> None:
    """Report unused inputs and variables, steps that never run, and unguarded reads of steps that may be skipped."""
    if not findings.unreadable:
        _report_unused(spec, read, findings)
    _report_never(steps, findings)
    _report_missing_files(steps, flow, directory, findings)
    secrets = {name for name, spec_ in spec.inputs.items() if spec_.secret}
    if secrets:
        places = [place for step in steps for place in (*step.templates, *step.guards)]
        _report_derived([*places, *(place for _, place in outputs)], secrets, environment, findings)
    skippable = _Skippable(steps, flow, environment)
    if not skippable.conditions:
        return
    for step in steps:
        _report_reads(step.templates, skippable, step, findings)
    for _, place in outputs:
        _report_reads([place], skippable, None, findings)


_DERIVES = re.compile(r"\s*(\|\s*+(?!(default|d|string|trim)\b)|\[|~|\.)")
"""What follows a secret in an expression that makes something else of it, which redaction cannot recognise."""


def _report_derived(
    places: Iterable[PlacedTemplate], secrets: set[str], environment: Environment, findings: Findings
) -> None:
    for place in places:
        for reference, scalar in place.references():
            target = environment.target(reference)
            if target is None or target.kind != "input" or target.name not in secrets:
                continue
            if _DERIVES.match(place.template.text, reference.end):
                findings.add(
                    "ORC507",
                    scalar.span_of(reference.start, reference.end),
                    f"the secret `{target.name}` is changed here, and what comes of it is recorded in clear",
                    label="no longer known as a secret",
                    help="give the secret to the tool as it is, and let the tool derive what it needs",
                )


class _Skippable:
    """The steps that may be skipped, and who need not care."""

    def __init__(self, steps: Sequence[StepParts], flow: Flow, environment: Environment) -> None:
        self.environment = environment
        self.conditions = {s.spec.id: _condition_text(s) for s in steps if s.spec.id and s.condition is not None}
        for name in flow.skippers:
            self.conditions.setdefault(name, None)
        self._flow = flow

    def is_safe(self, name: str, reader: StepParts | None) -> bool:
        """Whether `reader` only runs if the step `name` was not skipped, or asks itself whether it was."""
        if name not in self.conditions:
            return True
        if reader is None:
            return False
        condition, skippers = self.conditions[name], self._flow.skippers
        if condition is None:
            same = skippers[name] <= skippers.get(reader.spec.id, set())
        else:
            same = condition == self.conditions.get(reader.spec.id)
        together = reader.spec.id in self._flow.skips.get(name, {}).get("on_false", ())
        return same or together or name == reader.spec.id or self._asks(name, reader)

    def _asks(self, name: str, reader: StepParts) -> bool:
        targets = (self.environment.target(read) for place in reader.guards for read in place.template.references)
        return any(target is not None and target.kind == "step" and target.name == name for target in targets)


def _report_unused(spec: PipelineSpec, read: set[Target], findings: Findings) -> None:
    kinds: tuple[tuple[TargetKind, str, str, Iterable[str]], ...] = (
        ("input", "ORC501", "inputs", spec.inputs),
        ("variable", "ORC504", "variables", spec.variables),
    )
    for kind, code, section, names in kinds:
        part = child(spec.node, section)
        for name in names:
            if Target(kind, name) in read or not isinstance(part, Mapping):
                continue
            key = part.key(name)
            if key is not None:
                findings.add(
                    code,
                    key.span,
                    f"nothing reads the {kind} `{name}`",
                    label="never read",
                    help=f"use it as `{{{{ {name} }}}}`, or remove it",
                )


def _report_never(steps: Sequence[StepParts], findings: Findings) -> None:
    for step in steps:
        node = child(step.spec.node, "condition")
        if isinstance(node, Scalar) and str(node.value).strip().lower() in ("false", "{{ false }}"):
            findings.add(
                "ORC503",
                node.span,
                f"step `{step.spec.id}` never runs: its condition is always false",
                label="always false",
                help="remove the step, or write a condition that reads an input",
            )


def _report_missing_files(steps: Sequence[StepParts], flow: Flow, directory: Path, findings: Findings) -> None:
    """Report files that a step reads before any other could have made them, and that are not there."""
    for step in steps:
        tolerant = step.condition is not None or step.spec.on_failure is not None
        if step.call is None or not step.call[1].reads or flow.dependencies(step.spec.id) or tolerant:
            continue
        for name in step.call[1].reads:
            node = child(step.spec.node, "parameters", name)
            if not isinstance(node, Scalar) or not isinstance(node.value, str) or "{" in node.value:
                continue
            if "\0" in node.value or os.path.lexists(directory / node.value):
                continue
            findings.add(
                "ORC409",
                node.span,
                f"there is no file `{node.value}`, and no step runs before this one that could make it",
                label="not there",
                help=f"relative paths start at `{directory}`; name the step that makes it under `dependencies:`",
            )


def _report_reads(
    places: Iterable[PlacedTemplate], skippable: _Skippable, reader: StepParts | None, findings: Findings
) -> None:
    for place in places:
        for reference, scalar in place.references():
            target = skippable.environment.target(reference)
            if target is None or target.kind != "step" or _is_guarded(reference):
                continue
            if skippable.is_safe(target.name, reader):
                continue
            findings.add(
                "ORC502",
                scalar.span_of(reference.start, reference.end),
                f"step `{target.name}` may be skipped, and is then null here",
                label="may be null",
                help=f"guard it: `{{{{ {target.name} | default('...') }}}}`, or `{{% if {target.name} %}}`",
            )


def _is_guarded(reference: Reference) -> bool:
    fields = fields_read(reference)
    return reference.guarded or bool(fields and fields[0] in _ALWAYS_THERE)


def _condition_text(step: StepParts) -> str | None:
    node = child(step.spec.node, "condition")
    return str(node.value).strip().removeprefix("{{").removesuffix("}}").strip() if isinstance(node, Scalar) else None
