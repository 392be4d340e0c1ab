"""Warnings: what is declared and never used, what never runs, and values that may be missing when they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.names import Environment, Target, TargetKind, fields_read
from orchestrator.compiler.templates import PlacedTemplate, child
from orchestrator.language.nodes import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    findings: Findings,
) -> None:
    """Report unused inputs and variables, steps that never run, and unguarded reads of steps that may be skipped."""
    if not findings.unreadable:
        _report_unused(spec, read, findings)
    _report_never(steps, findings)
    skippable = {step.spec.id: _condition_text(step) for step in steps if step.spec.id and step.condition is not None}
    for name in flow.skippers:
        skippable.setdefault(name, None)
    if not skippable:
        return
    for step in steps:
        guarded = {
            target.name
            for place in step.guards
            for reference in place.template.references
            if (target := environment.target(reference)) is not None and target.kind == "step"
        }
        same = {name for name, text in skippable.items() if text is not None and text == _condition_text(step)}
        beside = {
            name
            for name in skippable
            if flow.skippers.get(name) and flow.skippers[name] <= flow.skippers.get(step.spec.id, set())
            if skippable[name] is None
        }
        safe = guarded | same | beside | {step.spec.id}
        _report_reads(step.templates, skippable.keys() - safe, environment, findings)
    for _, place in outputs:
        _report_reads([place], skippable.keys(), environment, findings)


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


def _report_reads(
    places: Iterable[PlacedTemplate], skippable: Iterable[str], environment: Environment, findings: Findings
) -> None:
    names = set(skippable)
    for place in places:
        for reference, scalar in place.references():
            target = environment.target(reference)
            if target is None or target.kind != "step" or target.name not in names or _is_guarded(reference):
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
