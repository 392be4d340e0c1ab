"""JSON Schema, draft 2020-12 and earlier: validates schemas, and values against schemas.

The library `jsonschema` validates. Patterns are searched in linear time, nothing is fetched, and a validation that
would take too long is stopped: schemas and values may both come from a model.
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
