"""The JSON Schema of pipeline files, for completion and explanations in editors, generated from the specs."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from orchestrator.language.aliases import tables
from orchestrator.language.reference.editor_schema import add_explanations, offer_canonical
from orchestrator.language.reference.step_schema import (
    NULL,
    body_schema,
    describe_field,
    duration_schema,
    handlers_schema,
    write_budget,
    write_retry_counts,
    write_steps,
)
from orchestrator.language.spec.model_options import CallSpec
from orchestrator.language.spec.pipeline import PipelineSpec

SCHEMA_ID = "urn:orchestrator:pipeline"

_SCALAR_OR_ARRAY = {"type": ["string", "number", "boolean", "null", "array"]}
_NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_-]*$"

_EXAMPLES: dict[tuple[str, str], list[Any]] = {
    ("StepSpec", "id"): ["fetch", "write_report"],
    ("StepSpec", "tool"): ["filesystem", "http"],
    ("StepSpec", "action"): ["read", "get"],
    ("StepSpec", "parameters"): [{"path": "data/{{ topic }}.csv"}],
    ("StepSpec", "detach"): [True],
    ("StepSpec", "produces"): ["report.pdf", ["figures/{{ month }}.csv"]],
    ("StepSpec", "dependencies"): [["fetch", "clean"]],
    ("StepSpec", "condition"): ["topic | length > 10", "fetch.success"],
    ("StepSpec", "retry"): [3, {"max_attempts": 5, "delay": "2s", "backoff": 2}],
    ("StepSpec", "timeout"): [30, "30s", "5m", "1h30m"],
    ("StepSpec", "on_failure"): ["continue", {"value": []}],
    ("StepSpec", "for_each"): ["{{ rows }}", {"range": [1, 10]}, {"file": "rows.jsonl"}],
    ("StepSpec", "as"): ["row"],
    ("StepSpec", "on_item_failure"): ["continue", {"value": None}],
    ("StepSpec", "min_success"): [0.9],
    ("StepSpec", "while"): ["check.score < 0.8"],
    ("StepSpec", "until"): ["check.ok"],
    ("StepSpec", "initial"): [{"total": 0}],
    ("StepSpec", "update"): [{"total": "{{ total + count }}"}],
    ("StepSpec", "collect"): ["{{ draft.text }}"],
    ("StepSpec", "switch"): ["{{ kind }}"],
    ("StepSpec", "cases"): [{"short": [{"id": "summarise", "tool": "text"}], "long": {"tool": "text"}}],
    ("StepSpec", "parallel"): [[{"id": "left", "tool": "text"}, {"id": "right", "tool": "text"}]],
    ("StepSpec", "wait_for"): ["all", "any", 2],
    ("StepSpec", "pipeline"): ["./translate.yaml"],
    ("StepSpec", "inputs"): [{"topic": "{{ topic }}"}],
    ("StepSpec", "ask"): ["How many pages?", {"prompt": "Which one?", "choices": ["first", "second"]}],
    ("StepSpec", "approve"): ["Publish?", {"title": "Publish?", "content": "{{ draft }}", "allow_editing": True}],
    ("AskSpec", "questions"): [{"count": {"prompt": "How many?", "type": "integer"}, "name": "For whom?"}],
    ("StepSpec", "wait_until"): ["2030-12-01T09:00", "{{ start }}"],
    ("StepSpec", "sleep"): ["5m", "{{ pause }}"],
    ("StepSpec", "value"): ["{{ paid / total }}", {"paid": "{{ paid }}", "total": "{{ total }}"}],
    ("StepSpec", "fail"): ["The state {{ state }} is unsafe", {"message": "Sold out", "code": "OutOfStock"}],
    ("StepSpec", "end"): [True, {"report": "Nothing new"}],
    ("StepSpec", "in_order"): [True],
    ("StepSpec", "compensate"): [True],
    ("StepSpec", "undo"): [{"action": "http.delete", "parameters": {"url": "https://example.com/cars/{{ car.id }}"}}],
    ("StepSpec", "check"): [
        "output | length > 100",
        {"that": ["output.score > 0"], "judge": {"rubric": "It is polite.", "min_score": 0.8}},
    ],
    ("StepSpec", "budget"): [0.5, {"usd": 0.5, "tokens": 20000}],
    ("CallSpec", "prompt"): ["Summarise {{ text }}"],
    ("CallSpec", "model"): ["openai:gpt-5-mini", ["openai:gpt-5-mini", "anthropic:claude-haiku-5-5"]],
    ("CallSpec", "requires_model"): [{"capabilities": ["vision"], "max_cost": 2}],
    ("CallSpec", "schema"): [{"title": "string", "score": "number"}],
    ("CallSpec", "vars"): [{"title": "A short title"}],
    ("CallSpec", "labels"): [["praise", "complaint"]],
    ("StepSpec", "on_error"): [{"error_types": ["StepTimeout"], "fallback_value": None}],
    ("StepSpec", "cache"): [True, {"ttl": "1d"}],
    ("PipelineSpec", "finally"): [[{"id": "clean", "tool": "filesystem", "action": "delete"}]],
    ("PipelineSpec", "error_handlers"): [{"tool": "log", "parameters": {"message": "{{ error.message }}"}}],
    ("InputSpec", "pattern"): ["^[a-z]+$"],
    ("InputSpec", "default_from_env"): ["API_TOKEN"],
    ("OutputSpec", "value"): ["{{ write_report.path }}"],
    ("PipelineSpec", "inputs"): [{"topic": "solar cells", "pages": {"type": "integer", "minimum": 1}}],
    ("PipelineSpec", "outputs"): [{"report": "{{ write_report.path }}"}],
    ("PipelineSpec", "version"): ["1.0"],
    ("PipelineSpec", "model"): ["openai:gpt-5-mini", ["openai:gpt-5-mini", "ollama:llama3.2"]],
    ("PipelineSpec", "experts"): [{"summarize": "openai:gpt-5-mini"}],
    ("PipelineSpec", "budget"): [2, {"usd": 2, "requests": 100}],
    ("PipelineSpec", "labels"): [["nightly", "customer:{{ customer }}"]],
    ("PipelineSpec", "concurrency"): [1, {"key": "{{ customer }}", "max": 3, "on_full": "queue"}],
    ("ConcurrencySpec", "key"): ["{{ customer }}", "deploy"],
    ("ConcurrencySpec", "max"): [3],
    ("PipelineSpec", "triggers"): [
        {"nightly": {"schedule": "15 3 * * *", "timezone": "Europe/Berlin"}},
        {"pushed": {"webhook": "HOOK_SECRET", "inputs": {"branch": "{{ body.ref }}"}}},
    ],
    ("PipelineSpec", "notify"): ["oncall", {"failed": "oncall", "budget": {"at": "80%", "to": ["team"]}}],
    ("NotifySpec", "failed"): ["oncall", {"to": ["oncall", "team"], "message": "{{ notice.text }}"}],
    ("NotifySpec", "waiting"): ["team"],
    ("NotifySpec", "budget"): ["team", {"at": "80%", "to": "team"}],
    ("BudgetNoticeSpec", "at"): ["80%", 0.8],
    ("TriggerSpec", "schedule"): ["15 3 * * 1-5", "@daily"],
    ("TriggerSpec", "timezone"): ["Europe/Berlin"],
    ("TriggerSpec", "catch_up"): ["1d"],
    ("TriggerSpec", "jitter"): ["5m"],
    ("TriggerSpec", "webhook"): ["HOOK_SECRET", {"secret": "HOOK_SECRET", "signature": "github"}],
    ("TriggerSpec", "inputs"): [{"day": "{{ trigger.instant | date('%Y-%m-%d') }}"}],
    ("WebhookSpec", "secret"): ["HOOK_SECRET"],
}

_KEYS = {
    "PipelineSpec": tables.PIPELINE_KEYS,
    "StepBody": tables.STEP_KEYS,
    "InputSpec": tables.INPUT_KEYS,
    "OutputSpec": tables.OUTPUT_KEYS,
    "RetrySpec": tables.RETRY_KEYS,
    "DefaultsSpec": tables.DEFAULTS_KEYS,
    "CheckSpec": tables.CHECK_KEYS,
    "AskSpec": tables.ASK_KEYS,
    "ApproveSpec": tables.APPROVE_KEYS,
    "ConcurrencySpec": tables.CONCURRENCY_KEYS,
    "HandlerSpec": {**tables.STEP_KEYS, **tables.HANDLER_KEYS},
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a pipeline file.

    It describes the canonical keys with their short forms. Other accepted spellings are valid, but marked as
    deprecated, so that editors do not complete them.
    """
    return copy.deepcopy(_schema())


@cache
def _schema() -> dict[str, Any]:
    schema = PipelineSpec.model_json_schema(ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = schema.pop("$defs")
    definitions["PipelineSpec"] = schema
    definitions["CallSpec"] = CallSpec.model_json_schema()
    for name, definition in definitions.items():
        _tidy(name, definition)
    pipeline = definitions.pop("PipelineSpec")
    inputs = definitions["InputSpec"]
    write_steps(definitions)
    _steps(pipeline)
    _named(pipeline["properties"], "inputs", "InputSpec")
    _named(pipeline["properties"], "outputs", "OutputSpec")
    _triggers(pipeline["properties"], definitions)
    _notices(pipeline["properties"], definitions)
    _concurrency(pipeline["properties"], definitions)
    write_retry_counts(definitions["DefaultsSpec"]["properties"])
    for name in ("AskSpec", "ApproveSpec"):
        _question(definitions[name])
    inputs["properties"]["default"].pop("default", None)
    inputs["properties"]["required"].pop("default", None)
    types = [{"enum": inputs["properties"]["type"].pop("enum")}, {"enum": [*tables.TYPE_WORDS], "deprecated": True}]
    part = {"anyOf": [{"$ref": "#/$defs/InputSpec"}, *copy.deepcopy(types)]}
    for definition in (inputs, definitions["AskSpec"]):
        properties = definition["properties"]
        properties["type"] = {**describe_field(properties["type"]), "anyOf": copy.deepcopy(types)}
        properties["items"] = {**describe_field(properties["items"]), **part}
        parts = {"type": "object", "additionalProperties": part}
        properties["properties"] = {**describe_field(properties["properties"]), **parts}
    asked = definitions["AskSpec"]["properties"]
    one = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/AskSpec"}]}
    several = {"type": "object", "minProperties": 1, "additionalProperties": one}
    asked["questions"] = {**describe_field(asked["questions"]), **several}
    for name, definition in [*definitions.items(), ("PipelineSpec", pipeline)]:
        if name != "StepSpec":
            _other_spellings(name, definition)
    definitions["AskSpec"]["anyOf"].append({"required": ["questions"]})
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **pipeline,
        "title": "Orchestrator pipeline",
        "$defs": definitions,
    }
    offer_canonical(whole)
    add_explanations(whole)
    return whole


def _tidy(name: str, definition: dict[str, Any]) -> None:
    """Remove titles and "or null" that repeat the key, and add the examples."""
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


def _named(properties: dict[str, Any], name: str, model: str) -> None:
    """Write the schema of a section by name: short form or mapping; also as a list."""
    field = properties[name]
    reference = {"$ref": f"#/$defs/{model}"}
    entry = {"anyOf": [reference, _SCALAR_OR_ARRAY]}
    by_name: dict[str, Any] = {"type": "object", "additionalProperties": entry}
    if name == "inputs":
        by_name["propertyNames"] = {"pattern": _NAME_PATTERN}
    items = {"anyOf": [{"type": "string"}, {"type": "object"}]}
    listed = {"type": "array", "items": items, "deprecated": True}
    properties[name] = {**describe_field(field), "anyOf": [by_name, listed, {"type": "null"}]}


def _steps(pipeline: dict[str, Any]) -> None:
    field = pipeline["properties"]["steps"]
    pipeline["properties"]["steps"] = body_schema(field)
    pipeline["properties"]["finally"] = body_schema(pipeline["properties"]["finally"])
    pipeline["properties"]["error_handlers"] = handlers_schema(pipeline["properties"]["error_handlers"])
    pipeline["required"] = ["steps"]
    for name in ("version", "name"):
        pipeline["properties"][name]["type"] = ["string", "number"]
    for name in ("variables", "metadata", "experts"):
        pipeline["properties"][name]["type"] = ["object", "null"]
    labels = pipeline["properties"]["labels"]
    forms = [{"type": "array", "items": {"type": "string"}}, {"type": "string"}, NULL]
    pipeline["properties"]["labels"] = {**describe_field(labels), "anyOf": forms}
    write_budget(pipeline["properties"])
    pipeline["properties"]["timeout"] = duration_schema(pipeline["properties"]["timeout"])
    selection = pipeline["properties"]["selection"]
    words = {"enum": selection.pop("enum")}
    strategy = {"type": "object", "properties": {"strategy": words}, "required": ["strategy"], "deprecated": True}
    pipeline["properties"]["selection"] = {**describe_field(selection), "anyOf": [words, strategy]}
    for name in ("model", "judge_model", "selection", "budget"):
        pipeline["properties"][name]["anyOf"].append(NULL)


def _triggers(properties: dict[str, Any], definitions: dict[str, Any]) -> None:
    by_name = {
        "type": "object",
        "propertyNames": {"pattern": _NAME_PATTERN},
        "additionalProperties": {"$ref": "#/$defs/TriggerSpec"},
    }
    properties["triggers"] = {**describe_field(properties["triggers"]), "anyOf": [by_name, NULL]}
    trigger, webhook = definitions["TriggerSpec"], definitions["WebhookSpec"]
    for name in ("catch_up", "jitter"):
        trigger["properties"][name] = duration_schema(trigger["properties"][name])
    webhook["properties"]["tolerance"] = duration_schema(webhook["properties"]["tolerance"])
    forms = [{"$ref": "#/$defs/WebhookSpec"}, {"type": "string"}]
    trigger["properties"]["webhook"] = {**describe_field(trigger["properties"]["webhook"]), "anyOf": forms}
    trigger["oneOf"] = [{"required": ["schedule"]}, {"required": ["webhook"]}]


def _concurrency(properties: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Allow the number of runs alone, and the key alone, which may be a number."""
    forms = [{"type": "integer", "minimum": 1}, {"type": "string"}, {"$ref": "#/$defs/ConcurrencySpec"}, NULL]
    properties["concurrency"] = {**describe_field(properties["concurrency"]), "anyOf": forms}
    definitions["ConcurrencySpec"]["properties"]["key"]["type"] = ["string", "number"]


def _notices(properties: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Allow the targets alone, for all occasions and for each."""
    targets = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    field = properties["notify"]
    forms = [*targets, {"$ref": "#/$defs/NotifySpec"}, NULL]
    properties["notify"] = {**describe_field(field), "anyOf": copy.deepcopy(forms)}
    for name, model in (("failed", "NoticeSpec"), ("waiting", "NoticeSpec"), ("budget", "BudgetNoticeSpec")):
        field = definitions["NotifySpec"]["properties"][name]
        forms = [*targets, {"$ref": f"#/$defs/{model}"}]
        definitions["NotifySpec"]["properties"][name] = {**describe_field(field), "anyOf": copy.deepcopy(forms)}
    for model in ("NoticeSpec", "BudgetNoticeSpec"):
        to = definitions[model]["properties"]["to"]
        definitions[model]["properties"]["to"] = {**describe_field(to), "anyOf": copy.deepcopy(targets)}
    at = definitions["BudgetNoticeSpec"]["properties"]["at"]
    share = {"type": "number", "minimum": 0, "maximum": 1}
    percent = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"}
    definitions["BudgetNoticeSpec"]["properties"]["at"] = {**describe_field(at), "anyOf": [share, percent]}


def _question(definition: dict[str, Any]) -> None:
    """Allow the `timeout` of the answer in the question."""
    limit = {"description": "The timeout of the answer. Write it in the step.", "deprecated": True}
    for name in ("timeout", "timeout_seconds"):
        definition["properties"][name] = duration_schema(limit) | {"deprecated": True}
    definition["properties"]["default"].pop("default", None)


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
    spelled = {
        canonical: [other for other, meant in others.items() if meant == canonical] for canonical in others.values()
    }
    for key in [key for key in definition.get("required", ()) if key in spelled]:
        definition["required"] = [other for other in definition["required"] if other != key]
        definition["anyOf"] = [{"required": [other]} for other in (key, *spelled[key])]
    if name in ("StepBody", "HandlerSpec", "RetrySpec", "DefaultsSpec"):
        for other in tables.RETRY_COUNTS:
            properties[other] = {
                "type": "integer",
                "minimum": 0,
                "description": "The number of attempts after the first. Write `retry`, the total number of attempts.",
                "deprecated": True,
            }
    if name in ("StepBody", "HandlerSpec", "DefaultsSpec"):
        properties[tables.ATTEMPTS] = {
            "type": "integer",
            "minimum": 1,
            "description": "The total number of attempts, including the first. Write `retry`.",
            "deprecated": True,
        }
    if name == "StepBody":
        properties["continue_on_error"] = {
            "type": "boolean",
            "description": "Write `on_failure: continue`.",
            "deprecated": True,
        }
    if name == "PipelineSpec":
        definition["required"] = ["steps"]
