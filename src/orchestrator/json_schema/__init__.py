"""JSON Schema, draft 2020-12 and those before it: whether a schema is one, and where a value does not satisfy it.

The library `jsonschema` validates. Its patterns are searched in linear time, nothing is fetched, and what would take
too long is given up: schemas and values may both come from a model.
"""

from orchestrator.json_schema.references import embedded, modern
from orchestrator.json_schema.subschemas import SchemaFault, faults, subschemas
from orchestrator.json_schema.validation import ReferenceMissing, ValidationTooLong, is_valid, violations

__all__ = [
    "ReferenceMissing",
    "SchemaFault",
    "ValidationTooLong",
    "embedded",
    "faults",
    "is_valid",
    "modern",
    "subschemas",
    "violations",
]
