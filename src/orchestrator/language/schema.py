"""The JSON Schema of pipeline files, for editors that complete and explain keys. Made from the models."""

from __future__ import annotations

from functools import cache
from typing import Any

from orchestrator.language import spellings
from orchestrator.language.durations import PATTERN
from orchestrator.language.spec import PipelineSpec

SCHEMA_ID = "urn:orchestrator:pipeline"

_SCALAR_OR_ARRAY = {"type": ["string", "number", "boolean", "null", "array"]}
_NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_-]*$"

_EXAMPLES: dict[tuple[str, str], list[Any]] = {
    ("StepSpec", "id"): ["fetch", "write_report"],
    ("StepSpec", "tool"): ["filesystem", "http"],
    ("StepSpec", "action"): ["read", "get"],
    ("StepSpec", "parameters"): [{"path": "data/{{ topic }}.csv"}],
    ("StepSpec", "dependencies"): [["fetch", "clean"]],
    ("StepSpec", "condition"): ["topic | length > 10", "fetch.success"],
    ("StepSpec", "retry"): [3, {"max_attempts": 5, "delay": "2s", "backoff": 2}],
    ("StepSpec", "timeout"): [30, "30s", "5m", "1h30m"],
    ("StepSpec", "on_failure"): ["continue", {"value": []}],
    ("InputSpec", "pattern"): ["^[a-z]+$"],
    ("InputSpec", "default_from_env"): ["API_TOKEN"],
    ("OutputSpec", "value"): ["{{ write_report.path }}"],
    ("PipelineSpec", "inputs"): [{"topic": "solar cells", "pages": {"type": "integer", "minimum": 1}}],
    ("PipelineSpec", "outputs"): [{"report": "{{ write_report.path }}"}],
    ("PipelineSpec", "version"): ["1.0"],
}

_KEYS = {
    "PipelineSpec": spellings.PIPELINE_KEYS,
    "StepSpec": spellings.STEP_KEYS,
    "InputSpec": spellings.INPUT_KEYS,
    "OutputSpec": spellings.OUTPUT_KEYS,
    "RetrySpec": spellings.RETRY_KEYS,
    "DefaultsSpec": spellings.DEFAULTS_KEYS,
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a pipeline file.

    It describes the canonical keys with their short forms; the other spellings that are accepted are marked as
    deprecated, so that an editor completes the canonical ones.
    """
    import copy

    return copy.deepcopy(_schema())


@cache
def _schema() -> dict[str, Any]:
    schema = PipelineSpec.model_json_schema(ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = schema.pop("$defs")
    definitions["PipelineSpec"] = schema
    for name, definition in definitions.items():
        _tidy(name, definition)
    pipeline = definitions.pop("PipelineSpec")
    step, inputs = definitions["StepSpec"], definitions["InputSpec"]
    _steps(pipeline)
    _named(pipeline["properties"], "inputs", "InputSpec")
    _named(pipeline["properties"], "outputs", "OutputSpec")
    _short_forms(step["properties"], definitions)
    _short_forms(definitions["DefaultsSpec"]["properties"], definitions)
    _retry(definitions["RetrySpec"])
    _on_failure(definitions["OnFailureSpec"])
    inputs["properties"]["default"].pop("default", None)
    inputs["properties"]["required"].pop("default", None)
    part = {"anyOf": [{"$ref": "#/$defs/InputSpec"}, {"type": "string", "enum": _types(inputs)}]}
    inputs["properties"]["items"] = {**_described(inputs["properties"]["items"]), **part}
    inputs["properties"]["properties"] = {
        **_described(inputs["properties"]["properties"]),
        "type": "object",
        "additionalProperties": part,
    }
    for name, definition in [*definitions.items(), ("PipelineSpec", pipeline)]:
        _other_spellings(name, definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **pipeline,
        "title": "Orchestrator pipeline",
        "$defs": definitions,
    }


def _tidy(name: str, definition: dict[str, Any]) -> None:
    """Drop titles and "or null" that only restate the key, and add the examples."""
    definition.pop("title", None)
    for key, field in definition.get("properties", {}).items():
        field.pop("title", None)
        members = [member for member in field.get("anyOf", ()) if member != {"type": "null"}]
        if field.get("default", 0) is None:
            field.pop("default")
        if len(members) == 1:
            del field["anyOf"]
            field.update({**members[0], **field})
        elif members:
            field["anyOf"] = members
        if (name, key) in _EXAMPLES:
            field["examples"] = _EXAMPLES[name, key]


def _described(field: dict[str, Any]) -> dict[str, Any]:
    return {key: field[key] for key in ("description", "examples", "deprecated") if key in field}


def _types(inputs: dict[str, Any]) -> list[str]:
    types: list[str] = inputs["properties"]["type"]["enum"]
    words = [*types, *(word for word in spellings.TYPE_WORDS if word not in types)]
    inputs["properties"]["type"]["enum"] = words
    return words


def _named(properties: dict[str, Any], name: str, model: str) -> None:
    """A section of names: short form or mapping; also as a list."""
    field = properties[name]
    reference = {"$ref": f"#/$defs/{model}"}
    entry = {"anyOf": [reference, _SCALAR_OR_ARRAY]}
    by_name: dict[str, Any] = {"type": "object", "additionalProperties": entry}
    if name == "inputs":
        by_name["propertyNames"] = {"pattern": _NAME_PATTERN}
    items = {"anyOf": [{"type": "string"}, {"type": "object"}]}
    listed = {"type": "array", "items": items, "deprecated": True}
    properties[name] = {**_described(field), "anyOf": [by_name, listed, {"type": "null"}]}


def _steps(pipeline: dict[str, Any]) -> None:
    field = pipeline["properties"]["steps"]
    listed = {"type": "array", "items": {"$ref": "#/$defs/StepSpec"}, "minItems": 1}
    by_id = {"type": "object", "deprecated": True}
    pipeline["properties"]["steps"] = {**_described(field), "anyOf": [listed, by_id]}
    pipeline["required"] = ["steps"]
    for name in ("version", "name"):
        pipeline["properties"][name]["type"] = ["string", "number"]
    for name in ("variables", "metadata"):
        pipeline["properties"][name]["type"] = ["object", "null"]


def _duration(field: dict[str, Any]) -> dict[str, Any]:
    forms: list[dict[str, Any]] = [{"type": "number", "minimum": 0}, {"type": "string", "pattern": PATTERN}]
    kept: dict[str, Any] = {key: field[key] for key in ("description", "examples", "default") if key in field}
    return {**kept, "anyOf": forms}


def _short_forms(properties: dict[str, Any], definitions: dict[str, Any]) -> None:
    attempts = {"type": "integer", "minimum": 1, "description": "The number of attempts in all."}
    properties["retry"] = {**_described(properties["retry"]), "anyOf": [attempts, {"$ref": "#/$defs/RetrySpec"}]}
    properties["timeout"] = _duration(properties["timeout"])
    if "on_failure" not in properties:
        return
    words: dict[str, Any] = {"enum": ["fail", "continue"]}
    target = {"type": "string", "description": "The id of a later step to jump to."}
    reference = {"$ref": "#/$defs/OnFailureSpec"}
    properties["on_failure"] = {**_described(properties["on_failure"]), "anyOf": [words, target, reference]}
    names = {"type": "array", "items": {"type": "string"}}
    one = {"type": "string", "deprecated": True}
    properties["dependencies"] = {**_described(properties["dependencies"]), "anyOf": [names, one, {"type": "null"}]}
    for name in ("parameters", "metadata"):
        properties[name]["type"] = ["object", "null"]


def _retry(definition: dict[str, Any]) -> None:
    properties = definition["properties"]
    for name in ("delay", "max_delay"):
        properties[name] = _duration(properties[name])
    backoff = properties["backoff"]
    properties["backoff"] = {
        **_described(backoff),
        "default": backoff["default"],
        "anyOf": [{"type": "number", "minimum": 1}, {"enum": list(spellings.BACKOFF_WORDS), "deprecated": True}],
    }
    jitter = properties["jitter"]
    properties["jitter"] = {
        **_described(jitter),
        "default": jitter["default"],
        "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "boolean", "deprecated": True}],
    }
    properties["on"].update(default=[])


def _on_failure(definition: dict[str, Any]) -> None:
    """Its canonical mapping has one key, `value`; the others are how short forms are kept."""
    properties = definition["properties"]
    definition["properties"] = {"value": properties["value"]}
    definition["required"] = ["value"]


def _other_spellings(name: str, definition: dict[str, Any]) -> None:
    properties = definition["properties"]
    others = dict(_KEYS.get(name, {}))
    for other, canonical in others.items():
        if other not in properties and canonical in properties:
            properties[other] = {
                **{key: value for key, value in properties[canonical].items() if key not in ("examples", "default")},
                "description": f"Another spelling of `{canonical}`.",
                "deprecated": True,
            }
    if name in ("StepSpec", "RetrySpec", "DefaultsSpec"):
        for other in spellings.RETRY_COUNTS:
            properties[other] = {
                "type": "integer",
                "minimum": 0,
                "description": "Attempts after the first one. Write `retry`, the number of attempts in all.",
                "deprecated": True,
            }
    if name == "StepSpec":
        properties["continue_on_error"] = {
            "type": "boolean",
            "description": "Write `on_failure: continue`.",
            "deprecated": True,
        }
    if name == "PipelineSpec":
        definition["required"] = ["steps"]
