"""The template language: a subset of Jinja2's syntax over JSON values, with its own engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from orchestrator.errors import EvaluationError
    from orchestrator.expressions.evaluation.scope import Entity, Scope
    from orchestrator.expressions.problem import Inference, Problem, Reference
    from orchestrator.expressions.template import Template, parse_expression, parse_template
    from orchestrator.expressions.types.assignability import explain_mismatch, is_assignable, type_mismatches
    from orchestrator.expressions.types.schema import from_json_schema, to_json_schema
    from orchestrator.expressions.types.value_types import (
        ANY,
        ARRAY,
        BOOLEAN,
        INTEGER,
        NULL,
        NUMBER,
        OBJECT,
        STRING,
        Type,
        array_of,
        describe_type,
        object_of,
        type_of,
        union_of,
    )
    from orchestrator.expressions.values import (
        Constant,
        ListValue,
        MappingValue,
        Rendered,
        Templated,
        Value,
        constant_of,
    )

__all__ = [
    "ANY",
    "ARRAY",
    "BOOLEAN",
    "INTEGER",
    "NULL",
    "NUMBER",
    "OBJECT",
    "STRING",
    "Constant",
    "Entity",
    "EvaluationError",
    "Inference",
    "ListValue",
    "MappingValue",
    "Problem",
    "Reference",
    "Rendered",
    "Scope",
    "Template",
    "Templated",
    "Type",
    "Value",
    "array_of",
    "constant_of",
    "describe_type",
    "explain_mismatch",
    "from_json_schema",
    "is_assignable",
    "object_of",
    "parse_expression",
    "parse_template",
    "to_json_schema",
    "type_mismatches",
    "type_of",
    "union_of",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "ANY": "types.value_types",
        "ARRAY": "types.value_types",
        "BOOLEAN": "types.value_types",
        "Constant": "values",
        "Entity": "evaluation.scope",
        "EvaluationError": "orchestrator.errors",
        "INTEGER": "types.value_types",
        "Inference": "problem",
        "ListValue": "values",
        "MappingValue": "values",
        "NULL": "types.value_types",
        "NUMBER": "types.value_types",
        "OBJECT": "types.value_types",
        "Problem": "problem",
        "Reference": "problem",
        "Rendered": "values",
        "STRING": "types.value_types",
        "Scope": "evaluation.scope",
        "Template": "template",
        "Templated": "values",
        "Type": "types.value_types",
        "Value": "values",
        "array_of": "types.value_types",
        "constant_of": "values",
        "describe_type": "types.value_types",
        "explain_mismatch": "types.assignability",
        "from_json_schema": "types.schema",
        "is_assignable": "types.assignability",
        "object_of": "types.value_types",
        "parse_expression": "template",
        "parse_template": "template",
        "to_json_schema": "types.schema",
        "type_mismatches": "types.assignability",
        "type_of": "types.value_types",
        "union_of": "types.value_types",
    },
)
