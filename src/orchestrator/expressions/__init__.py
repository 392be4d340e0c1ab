"""The template language: a subset of Jinja2's syntax over JSON values, with its own engine."""

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
from orchestrator.expressions.values import Constant, ListValue, MappingValue, Rendered, Templated, Value, constant_of

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
