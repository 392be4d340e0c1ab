"""The JSON Schema of steps: every accepted form of their keys."""

from __future__ import annotations

from typing import Any, Final, get_args

from orchestrator.language.aliases import tables
from orchestrator.language.aliases.steps import ITEM_SOURCES
from orchestrator.language.spec.model_options import Effort, Selection
from orchestrator.text.durations import PATTERN

Schema = dict[str, Any]

_TEMPLATE: Final[Schema] = {"type": "string", "pattern": r"\{\{|\{%|<AUTO>"}
_TEXT: Final[Schema] = {"type": "string"}
_PROMPT_FILE: Final[Schema] = {
    "type": "object",
    "properties": {"file": {"type": "string", "description": "The path of a prompt, relative to this file."}},
    "required": ["file"],
    "additionalProperties": False,
}
NULL: Final[Schema] = {"type": "null"}


def describe_field(field: Schema) -> Schema:
    """Return the description, default and examples of a field."""
    return {key: field[key] for key in ("description", "examples", "deprecated") if key in field}


def duration_schema(field: Schema) -> Schema:
    """Return the schema of a field that is a duration."""
    forms: list[Schema] = [{"type": "number", "minimum": 0}, {"type": "string", "pattern": PATTERN}]
    kept: Schema = {key: field[key] for key in ("description", "examples", "default") if key in field}
    return {**kept, "anyOf": forms}


def definition_reference(name: str) -> Schema:
    """Return a reference to a definition."""
    return {"$ref": f"#/$defs/{name}"}


def body_schema(field: Schema, *, optional: bool = False) -> Schema:
    """Return the schema of steps: a list, or a mapping by id; null too if optional."""
    return {**describe_field(field), "anyOf": [*_BLOCK, *([NULL] if optional else [])]}


_LISTED: Final[Schema] = {"type": "array", "items": definition_reference("StepSpec"), "minItems": 1}
_BY_ID: Final[Schema] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"anyOf": [definition_reference("StepBody"), _LISTED]},
}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT, "minItems": 1}
_BLOCK: Final = [_LISTED, _BY_ID]


_PARALLEL: Final = "Whether an agent makes the calls of one turn in parallel."
_AGENT_TOOL: Final[Schema] = {
    "type": "object",
    "properties": {
        "tool": {"type": "string", "description": "A tool, an action such as `http.get`, or `mcp:server.tool`."},
        "pipeline": {"type": "string", "description": "The file of a pipeline; its inputs are the parameters."},
        "name": {"type": "string", "description": "The name that the model requests."},
        "description": {"type": "string", "description": "What it does, in words for the model."},
        "approve": {
            "anyOf": [{"type": "boolean"}, _TEXT],
            "description": "Whether a person approves each call, or a condition that reads its `arguments`.",
        },
        "max_calls": {"type": "integer", "minimum": 1, "description": "How often the model can request it."},
        "timeout": duration_schema({"description": "The time limit of one call."}),
    },
    "oneOf": [{"required": ["tool"]}, {"required": ["pipeline"]}],
    "additionalProperties": False,
}
_AGENT_TOOLS: Final[Schema] = {"type": "array", "items": {"anyOf": [_TEXT, _AGENT_TOOL]}}
_AGENT: Final[Schema] = {
    "anyOf": [
        {"required": ["tools"]},
        {"required": ["hand_over"]},
        {"required": ["action"], "properties": {"action": {"enum": ["agent", "model.agent"]}}},
    ]
}


def write_steps(definitions: dict[str, Schema]) -> None:
    """Write the definitions of steps and their parts, with every accepted form.

    `StepBody` is a step without an id, whose id is a key; `StepSpec` is a step with an id.
    """
    body = definitions["StepBody"] = definitions.pop("StepSpec")
    del body["required"]
    _policies(body["properties"])
    _work(body["properties"])
    body["properties"].update(definitions.pop("CallSpec")["properties"])
    body["properties"]["tools"] = {**describe_field(body["properties"]["tools"]), **_AGENT_TOOLS}
    body["properties"]["hand_over"] = {
        **describe_field(body["properties"]["hand_over"]),
        "type": "object",
        "additionalProperties": _role(definitions["ProfileSpec"]),
    }
    for settings in (body["properties"], definitions["ProfileSpec"]["properties"]):
        _settings(settings)
    body["if"] = {"required": ["parallel"], "properties": {"parallel": {"type": "boolean"}}}
    body["then"] = _AGENT
    _check(definitions["CheckSpec"])
    definitions["BudgetSpec"]["minProperties"] = 1
    _retry(definitions["RetrySpec"])
    _on_failure(definitions["OnFailureSpec"])
    _cache(definitions["CacheSpec"])
    _handler(definitions["HandlerSpec"], body)
    for name in ("ItemsSpec", "RangeSpec"):
        del definitions[name]
    definitions["StepSpec"] = {
        "description": body["description"],
        "allOf": [definition_reference("StepBody")],
        "required": ["id"],
    }


def _role(profile: Schema) -> Schema:
    """Return the schema of an agent that another one can hand over to."""
    described = {"type": "string", "description": "When to hand over to it."}
    return {
        "type": "object",
        "properties": {"description": described, "tools": _AGENT_TOOLS, **profile["properties"]},
        "required": ["description"],
        "additionalProperties": False,
    }


def _settings(properties: dict[str, Schema]) -> None:
    """Write the forms of the settings and prompts of model calls."""
    for name, words in (("selection", get_args(Selection)), ("effort", get_args(Effort))):
        properties[name] = {**describe_field(properties[name]), "anyOf": [{"enum": [*words]}, _TEMPLATE]}
    for name in ("prompt", "system", "instruction"):
        if name in properties:
            properties[name] = {**describe_field(properties[name]), "anyOf": [_TEXT, _PROMPT_FILE]}


def or_template(field: Schema) -> Schema:
    """Return the schema of a field that can also be a template."""
    kept: Schema = {key: field[key] for key in ("description", "examples", "default", "deprecated") if key in field}
    form = {key: value for key, value in field.items() if key not in kept}
    return {**kept, "anyOf": [*form.get("anyOf", [form]), _TEMPLATE]}


def write_retry_counts(properties: dict[str, Schema], *, computed: bool = False) -> None:
    """Write the forms of `retry` and `timeout`, for steps, where they can be `computed`, and for defaults."""
    attempts = {
        "type": "integer",
        "minimum": 1,
        "description": "The total number of attempts, including the first: 2 allows one retry.",
    }
    properties["retry"] = {
        **describe_field(properties["retry"]),
        "anyOf": [attempts, *([_TEMPLATE] if computed else []), definition_reference("RetrySpec")],
    }
    if "timeout" in properties:
        timeout = duration_schema(properties["timeout"])
        properties["timeout"] = or_template(timeout) if computed else timeout


def write_budget(properties: dict[str, Schema]) -> None:
    """Write the forms of a budget, for steps and the file."""
    amount = {"type": "number", "minimum": 0, "description": "In USD."}
    properties["budget"] = {
        **describe_field(properties["budget"]),
        "anyOf": [amount, definition_reference("BudgetSpec")],
    }


def handlers_schema(field: Schema) -> Schema:
    """Return the schema of one handler, or a list of them."""
    listed = {"type": "array", "items": definition_reference("HandlerSpec"), "minItems": 1}
    return {**describe_field(field), "anyOf": [definition_reference("HandlerSpec"), listed]}


def _policies(properties: dict[str, Schema]) -> None:
    write_retry_counts(properties, computed=True)
    for name in ("max_iterations", "max_parallel", "min_success"):
        properties[name] = or_template(properties[name])
    words: Schema = {"enum": ["fail", "continue"]}
    target = {"type": "string", "description": "The id of a later step to jump to."}
    value = definition_reference("OnFailureSpec")
    properties["on_failure"] = {**describe_field(properties["on_failure"]), "anyOf": [words, target, value]}
    others = {"enum": list(tables.ON_FAILURE_WORDS), "deprecated": True}
    properties["on_item_failure"] = {**describe_field(properties["on_item_failure"]), "anyOf": [words, value, others]}
    for name in ("name", "description"):
        properties[name]["type"] = ["string", "number"]
    on_error = handlers_schema(properties["on_error"])
    short = [{**form, "deprecated": True} for form in (_TEXT, value)]
    properties["on_error"] = {**on_error, "anyOf": [*on_error["anyOf"], *short]}
    names = {"type": "array", "items": {"type": "string"}}
    one = {"type": "string", "deprecated": True}
    properties["dependencies"] = {**describe_field(properties["dependencies"]), "anyOf": [names, one, NULL]}
    written = {"anyOf": [names, {"type": "string"}, NULL]}
    properties["produces"] = {**describe_field(properties["produces"]), **written}
    properties["cache"] = {
        **describe_field(properties["cache"]),
        "anyOf": [{"type": "boolean"}, definition_reference("CacheSpec")],
    }
    write_budget(properties)
    properties["check"] = {
        **describe_field(properties["check"]),
        "anyOf": [_TEXT, _TEXTS, definition_reference("CheckSpec")],
    }
    for name in ("parameters", "inputs", "metadata", "initial", "update"):
        properties[name]["type"] = ["object", "null"]


def _work(properties: dict[str, Schema]) -> None:
    properties["for_each"] = {**describe_field(properties["for_each"]), "anyOf": _items()}
    properties["as"]["pattern"] = "^[A-Za-z_][A-Za-z0-9_-]*$"
    for name in ("steps", "parallel"):
        properties[name] = body_schema(properties[name])
    properties["parallel"]["anyOf"].append({"type": "boolean", "description": _PARALLEL})
    case = {"anyOf": [*_BLOCK, definition_reference("StepBody")]}
    properties["default"] = {**describe_field(properties["default"]), **case}
    properties["undo"] = {**describe_field(properties["undo"]), **case}
    properties["cases"] = {
        **describe_field(properties["cases"]),
        "type": "object",
        "minProperties": 1,
        "additionalProperties": case,
    }
    for name, form in (("ask", "AskSpec"), ("approve", "ApproveSpec"), ("fail", "FailSpec")):
        properties[name] = {**describe_field(properties[name]), "anyOf": [_TEXT, definition_reference(form)]}
    outputs: Schema = {"type": "object", "additionalProperties": True}
    properties["end"] = {**describe_field(properties["end"]), "anyOf": [{"const": True}, outputs]}
    pause = duration_schema(properties["sleep"])
    properties["sleep"] = {**pause, "anyOf": [*pause["anyOf"], _TEMPLATE]}


def _items() -> list[Schema]:
    number: Schema = {"anyOf": [{"type": "integer"}, _TEMPLATE]}
    bounds: Schema = {
        "description": "Numbers up to but not including the last one: `10`, `[1, 10]`, or `[1, 10, 2]`.",
        "anyOf": [
            *number["anyOf"],
            {"type": "array", "items": number, "minItems": 1, "maxItems": 3},
            {
                "type": "object",
                "properties": dict.fromkeys(("start", "stop", "step"), number),
                "required": ["stop"],
                "additionalProperties": False,
            },
        ],
    }
    rows: Schema = {
        "file": {"type": "string", "description": "A file whose rows are read lazily."},
        "format": {"enum": ["jsonl", "csv", "text"], "description": "The format of the file."},
        "delimiter": {"type": "string", "description": "The delimiter of CSV."},
        "encoding": {"type": "string", "description": "The encoding of the file; default UTF-8."},
        "types": {
            "type": "object",
            "additionalProperties": {"enum": ["string", "integer", "number", "boolean"]},
            "description": "The types of CSV columns, by name; default: detected.",
        },
    }
    one: Schema = {"anyOf": [{"type": "array"}, _TEMPLATE]}
    lists: Schema = {
        "description": "Lists by name; an item is an object with these names.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": one,
    }
    objects: Schema = {"anyOf": [{"type": "array", "items": {"type": "object"}}, _TEMPLATE]}
    form = {"type": "object", "additionalProperties": False}
    return [
        _TEMPLATE,
        {"type": "array"},
        {**form, "properties": {"range": bounds}, "required": ["range"]},
        {**form, "properties": rows, "required": ["file"]},
        {**form, "properties": {"matrix": lists, "exclude": objects, "include": objects}, "required": ["matrix"]},
        {**form, "properties": {"zip": lists}, "required": ["zip"]},
        {"type": "object", "not": {"anyOf": [{"required": [key]} for key in ITEM_SOURCES]}},
    ]


def _retry(definition: Schema) -> None:
    properties = definition["properties"]
    for name in ("delay", "max_delay"):
        properties[name] = duration_schema(properties[name])
    for name in ("delay", "max_attempts"):
        properties[name] = or_template(properties[name])
    backoff = properties["backoff"]
    properties["backoff"] = {
        **describe_field(backoff),
        "default": backoff["default"],
        "anyOf": [{"type": "number", "minimum": 1}, {"enum": list(tables.BACKOFF_WORDS), "deprecated": True}],
    }
    jitter = properties["jitter"]
    properties["jitter"] = {
        **describe_field(jitter),
        "default": jitter["default"],
        "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "boolean", "deprecated": True}],
    }
    names = [{"type": "array", "items": _TEXT}, {**_TEXT, "deprecated": True}]
    properties["on"] = {**describe_field(properties["on"]), "default": [], "anyOf": names}


def _on_failure(definition: Schema) -> None:
    """Write the schema of a failure action: a word, a step id, or a mapping with the key `value`."""
    value = definition["properties"]["value"]
    other = {
        "default": "value",
        "target": "only the id of a step",
        "jump": "only the id of a step",
        "goto": "only the id of a step",
    }
    spelled = {name: {"description": f"Write {better}.", "deprecated": True} for name, better in other.items()}
    definition["properties"] = {"value": value, **spelled}
    definition.update(minProperties=1, maxProperties=1)


def _check(definition: Schema) -> None:
    properties = definition["properties"]
    definition["minProperties"] = 1
    properties["that"] = {**describe_field(properties["that"]), "anyOf": [_TEXT, _TEXTS]}
    properties["judge"] = {**describe_field(properties["judge"]), "anyOf": [_TEXT, definition_reference("JudgeSpec")]}


def _cache(definition: Schema) -> None:
    properties = definition["properties"]
    properties["ttl"] = duration_schema(properties["ttl"])


def _handler(definition: Schema, body: Schema) -> None:
    """Write the schema of a handler: its own keys, and those of a single step."""
    properties = definition["properties"]
    definition["minProperties"] = 1
    write_retry_counts(properties)
    properties["steps"] = body_schema(properties["steps"])
    for name in ("error_types", "error_patterns"):
        properties[name] = {
            **describe_field(properties[name]),
            "anyOf": [{"type": "array", "items": _TEXT}, {**_TEXT, "deprecated": True}],
        }
    for name, field in body["properties"].items():
        if name not in properties:
            place = definition_reference(f"StepBody/properties/{name}")
            properties[name] = {"description": field["description"], "allOf": [place]}
