"""Warns of answer fields that are shadowed by the fields of every step, such as `{{ ticket.status }}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.names import OUTCOME_FIELDS
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import fields_read
from orchestrator.compiler.rules.output_schema import SCHEMA_PARAMETERS
from orchestrator.language.yaml.nodes import Mapping, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep


def report_shadowed_fields(context: CompilationContext) -> None:
    """Report each shadowed field of an answer that is read."""
    hidden: dict[tuple[int, str], dict[str, Scalar]] = {}
    for step in context.steps:
        if step.work is not None and step.work.asks_models and (found := dict(_hidden(step))):
            hidden[id(step.block), step.id] = found
    if not hidden:
        return
    for place in (*(place for step in context.steps for place in step.places()), *context.output_places):
        for reference, scalar in place.references():
            target, fields = place.scope.target(reference), fields_read(reference)
            if target is None or target.block is None or not fields:
                continue
            field = str(fields[0])
            key = hidden.get((id(target.block), target.name), {}).get(field)
            if key is not None:
                context.diagnostics.add(
                    codes.INVALID_OUTPUT_SCHEMA,
                    key.span,
                    f"`{target.name}.{field}` reads the `{field}` that every step has, not this field of the answer",
                    label="hidden",
                    help=f"read the field as `{{{{ {target.name}.data.{field} }}}}`, or give it another name",
                    related=[("read here", scalar.span_of(reference.start, reference.end))],
                    severity="warning",
                )
                context.diagnostics.forget(
                    codes.CONSTANT_COMPARISON, scalar.span
                )  # a comparison with a word of the answer's own field


def _hidden(step: SourceStep) -> Iterator[tuple[str, Scalar]]:
    """Yield the fields of a step's schema that have the name of a field of every step, with their places."""
    for name in SCHEMA_PARAMETERS:
        form = child(step.spec.node, "parameters", name)
        properties = child(form, "properties")
        for fields in (form, properties):
            for entry in fields.entries if isinstance(fields, Mapping) else ():
                if (field := entry.key.text.removesuffix("?")) in OUTCOME_FIELDS:
                    yield field, entry.key
