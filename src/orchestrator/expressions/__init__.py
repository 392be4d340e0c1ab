"""The template language: a subset of Jinja2's syntax over JSON values, with its own engine."""

from __future__ import annotations

from orchestrator.lazy_exports import lazy_exports

_EXPORTS = {
    "orchestrator.errors": ("EvaluationError",),
    "orchestrator.expressions.evaluation.scope": (
        "Entity",
        "Scope",
    ),
    "orchestrator.expressions.problem": (
        "Inference",
        "Problem",
        "Reference",
    ),
    "orchestrator.expressions.template": (
        "Template",
        "parse_expression",
        "parse_template",
    ),
    "orchestrator.expressions.types.assignability": (
        "explain_mismatch",
        "is_assignable",
        "type_mismatches",
    ),
    "orchestrator.expressions.types.schema": (
        "from_json_schema",
        "to_json_schema",
    ),
    "orchestrator.expressions.types.value_types": (
        "ANY",
        "ARRAY",
        "BOOLEAN",
        "INTEGER",
        "NULL",
        "NUMBER",
        "OBJECT",
        "STRING",
        "Type",
        "array_of",
        "describe_type",
        "object_of",
        "type_of",
        "union_of",
    ),
    "orchestrator.expressions.values": (
        "Constant",
        "ListValue",
        "MappingValue",
        "Rendered",
        "Templated",
        "Value",
        "constant_of",
    ),
}
"""Each module with its names that the package has too."""

__getattr__ = lazy_exports(__name__, _EXPORTS)
