"""Warns of unused inputs and variables, steps that never run, and secrets that are transformed or cached."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child, is_always_false
from orchestrator.compiler.rules.shadowed_field import report_shadowed_fields
from orchestrator.compiler.rules.skipped_steps import report_outputs_after_ends, report_skipped_steps
from orchestrator.compiler.rules.unawaited_step import report_unawaited_steps
from orchestrator.compiler.rules.unset_accumulator import report_unset_accumulators
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar
from orchestrator.tools.storage.addresses import is_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate, SourceStep, TargetKind


def report_usage(context: CompilationContext) -> None:
    """Report unused inputs and variables, steps that never run, and unguarded reads of steps that may be skipped."""
    if not context.diagnostics.unreadable:
        _report_unused(context)
    for step in context.steps:
        _report_never(context, step)
        _report_missing_files(context, step)
    report_shadowed_fields(context)
    report_unset_accumulators(context)
    report_unawaited_steps(context)
    secrets = {name for name, spec in context.spec.inputs.items() if spec.secret}
    if secrets:
        places = [place for step in context.steps for place in step.places()]
        _report_derived(context, [*places, *context.output_places], secrets)
        for step in context.steps:
            if step.spec.cache is not None:
                _report_never_cached(context, step, secrets)
    report_skipped_steps(context)
    report_outputs_after_ends(context)


_DERIVES = re.compile(r"\s*(\|\s*+(?!(default|d|string|trim)\b)|\[|~|\.)")
"""What follows a secret in an expression that transforms it, so that redaction cannot recognize the result."""


def _report_derived(context: CompilationContext, places: Iterable[PlacedTemplate], secrets: set[str]) -> None:
    for place in places:
        for reference, scalar in place.references():
            target = place.scope.target(reference)
            if target is None or target.kind != "input" or target.name not in secrets:
                continue
            if _DERIVES.match(place.template.text, reference.end):
                context.diagnostics.add(
                    codes.TRANSFORMED_SECRET,
                    scalar.span_of(reference.start, reference.end),
                    f"the secret `{target.name}` is transformed here, and the result is recorded in plain text",
                    label="no longer redacted",
                    help="pass the secret unchanged, and let the tool derive what it needs",
                )


def _report_never_cached(context: CompilationContext, step: SourceStep, secrets: set[str]) -> None:
    for place in (*step.templates, *(step.work.places if step.work is not None else ())):
        for reference, scalar in place.references():
            target = place.scope.target(reference)
            if target is not None and target.kind == "input" and target.name in secrets:
                key = step.spec.node.key("cache")
                context.diagnostics.add(
                    codes.CACHED_SECRET,
                    scalar.span_of(reference.start, reference.end),
                    f"step `{step.id}` reads the secret `{target.name}`, so its results are never cached",
                    label="a secret",
                    help="remove `cache:`, or move the part that needs the secret into a separate step",
                    related=[("`cache` has no effect", key.span)] if key is not None else [],
                )


def _report_unused(context: CompilationContext) -> None:
    kinds: tuple[tuple[TargetKind, str, str, Iterable[str]], ...] = (
        ("input", codes.UNUSED_INPUT, "inputs", context.spec.inputs),
        ("variable", codes.UNUSED_VARIABLE, "variables", context.spec.variables),
    )
    for kind, code, section, names in kinds:
        part = child(context.spec.node, section)
        for name in names:
            if (kind, name) in context.read or not isinstance(part, Mapping):
                continue
            key = part.key(name)
            if key is not None and not _is_repeated(key, part.get(name)):
                context.diagnostics.add(
                    code,
                    key.span,
                    f"the {kind} `{name}` is never read",
                    label="never read",
                    help=f"use it as `{{{{ {name} }}}}`, or remove it",
                )


def _is_repeated(key: Scalar, value: Node | None) -> bool:
    """Return whether an alias repeats the value or a part of it, so that it is used by its anchor."""
    if value is None or value.start < key.start:  # an alias itself, of something before
        return False
    return any(value.start <= start <= value.end for start in value.layout.aliased)


def _report_never(context: CompilationContext, step: SourceStep) -> None:
    for key in ("condition", "while"):
        node = child(step.spec.node, key)
        if isinstance(node, Scalar) and is_always_false(node):
            context.diagnostics.add(
                codes.UNREACHABLE_STEP,
                node.span,
                f"step `{step.id}` never runs: its condition is always false",
                label="always false",
                help="remove the step, or write a condition that reads an input",
            )


def _report_missing_files(context: CompilationContext, step: SourceStep) -> None:
    """Report missing files that a step reads before another step could create them."""
    nodes = [] if step.work is None else step.work.files_read()
    if not nodes or context.session.files.restricted or any(_may_come_later(outer) for outer in step.ancestors()):
        return
    for node in nodes:
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or "{" in node.value:
            continue
        if "\0" in node.value or is_address(node.value) or os.path.lexists(context.directory / node.value):
            continue
        context.diagnostics.add(
            codes.FILE_NOT_FOUND,
            node.span,
            f"file not found: `{node.value}`, and no earlier step could create it",
            label="not found",
            help=f"relative paths start at `{context.directory}`; name the step that creates it under `dependencies:`",
        )


def _may_come_later(step: SourceStep) -> bool:
    """Return whether another step runs before the step, or its failure is tolerated."""
    tolerant = step.condition is not None or step.spec.on_failure is not None or step.spec.on_error is not None
    return tolerant or step.block.kind in _LATE or bool(step.block.flow.dependencies(step.id))


_LATE = frozenset({"repeat", "handler", "undo", "finally"})
"""Blocks that always run after other steps."""
