"""The JSON Schema of pipelines with the names, actions and parameters of tools, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.expressions import to_json_schema
from orchestrator.language.reference.editor_schema import add_explanations, subschemas_of
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.model_options import CallSpec
from orchestrator.language.spec.pipeline import StepSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.tools.contract import Action, Parameter, Tool
    from orchestrator.tools.registry import Registry

Schema = dict[str, Any]

_MODEL: Final = "model"
"""The tool whose actions can be named without it."""

_WITHOUT_TOOL: Final[Schema] = {"not": {"required": ["tool"]}}

_IN_STEP: Final = frozenset(key_fields(CallSpec)) - frozenset(key_fields(StepSpec))
"""Parameters of model calls that can be written in the step itself, and have no other meaning there."""

_IN_RUN: Final[Schema] = {"type": "string", "pattern": r"\{\{|\{%|<AUTO>"}
"""A string that is replaced at run time by a value of any type."""


def with_tools(schema: Schema, registry: Registry) -> Schema:
    """Return the JSON Schema of pipelines with the tools of a registry, so that editors complete and check calls.

    Unknown tools stay valid, because they may be known where the file is checked.
    """
    tools = list(registry)
    definitions: Schema = dict(schema["$defs"])
    body: Schema = dict(definitions["StepBody"])
    properties = dict(body["properties"])
    properties["tool"] = _words(properties["tool"], [(tool.name, tool.description) for tool in tools])
    properties["action"] = {**_described(properties["action"]), "type": "string"}
    for name, field in _in_step(tools).items():
        if name in _IN_STEP:
            properties[name] = {**_described(properties[name]), **field}
    if "tools" in properties:  # the tools of an agent
        properties["tools"] = _tools_of_agent(properties["tools"], tools)
    alone = {"anyOf": [_enum(_actions_alone(tools)), {"type": "string"}]}
    rules: list[Schema] = [*body.get("allOf", ()), {"if": _WITHOUT_TOOL, "then": {"properties": {"action": alone}}}]
    for tool in tools:
        rules.append({"if": _has(tool=tool.name), "then": {"properties": {"action": _actions_of(tool)}}})
        for action in tool.actions.values():
            name = f"{tool.name}.{action.name}"
            definitions[name] = _parameters(name, action)
            place = {"$ref": f"#/$defs/{name}"}
            rules.append({"if": {"anyOf": list(_calls(tool, action))}, "then": {"properties": {"parameters": place}}})
    definitions["StepBody"] = {**body, "properties": properties, "allOf": rules}
    handler: Schema = definitions["HandlerSpec"]  # which can contain a step
    definitions["HandlerSpec"] = {**handler, "allOf": [*handler.get("allOf", ()), *rules]}
    whole = {**schema, "$defs": definitions}
    add_explanations(whole)
    for field in subschemas_of(whole):
        if "examples" in field:  # they are in the description; some editors offer each, and objects as `[object]`
            field["examples"] = [each for each in field["examples"] if not isinstance(each, dict | list)]
    return whole


def _words(field: Schema, words: list[tuple[str, str]]) -> Schema:
    """Return a field that offers words with their meanings, and accepts others."""
    return {**_described(field), "anyOf": [_enum(words), {"type": "string"}]}


def _described(field: Schema) -> Schema:
    return {key: field[key] for key in ("description", "markdownDescription") if key in field}


def _enum(words: Iterable[tuple[str, str]]) -> Schema:
    listed = list(words)
    meanings = [text for _, text in listed]
    return {
        "enum": [word for word, _ in listed],
        "enumDescriptions": meanings,
        "markdownEnumDescriptions": meanings,
    }


def _actions_alone(tools: list[Tool]) -> Iterator[tuple[str, str]]:
    """Yield the values of `action` in a step without `tool`, with descriptions."""
    for tool in tools:
        for action in tool.actions.values():
            if tool.name == _MODEL:
                yield action.name, action.description
        for action in tool.actions.values():
            if tool.name != _MODEL:
                yield f"{tool.name}.{action.name}", action.description


def _actions_of(tool: Tool) -> Schema:
    """Return the schema of `action` in a step with this tool."""
    offered = _enum((action.name, action.description) for action in tool.actions.values())
    return {"anyOf": [offered, {"type": "string", "enum": list(tool.aliases)}]} if tool.aliases else offered


def _in_step(tools: list[Tool]) -> dict[str, Schema]:
    """Return the model parameters that can be written in the step itself, if all actions agree on their type."""
    found: dict[str, list[Schema]] = {}
    for tool in tools:
        for action in tool.actions.values() if tool.name == _MODEL else ():
            for parameter in action.parameters.values():
                found.setdefault(parameter.name, []).append(in_run(to_json_schema(parameter.type)))
    text = {"type": "string"}  # the language may know more about it
    alike = {name: forms[0] for name, forms in found.items() if all(form == forms[0] for form in forms)}
    return {name: form for name, form in alike.items() if form and form != text}


def _tools_of_agent(field: Schema, tools: list[Tool]) -> Schema:
    offered = [(tool.name, tool.description) for tool in tools if tool.name != _MODEL]
    offered += [
        (f"{tool.name}.{action.name}", action.description)
        for tool in tools
        if tool.name != _MODEL and tool.only_action is None
        for action in tool.actions.values()
    ]
    items = {"anyOf": [_enum(offered), {"type": ["string", "object"]}]}
    return {**_described(field), "anyOf": [{"type": "array", "items": items}, {"type": "string"}]}


def _has(**key_fields: str) -> Schema:
    return {"properties": {key: {"const": value} for key, value in key_fields.items()}, "required": list(key_fields)}


def _calls(tool: Tool, action: Action) -> Iterator[Schema]:
    """Yield the ways in which a step can name an action."""
    names = [action.name, *(alias for alias, meant in tool.aliases.items() if meant == action.name)]
    for name in names:
        yield _has(tool=tool.name, action=name)
        yield {**_has(action=f"{tool.name}.{name}"), **_WITHOUT_TOOL}
        if tool.name == _MODEL:
            yield {**_has(action=name), **_WITHOUT_TOOL}
    if tool.only_action is action:
        yield {**_has(tool=tool.name), "not": {"required": ["action"]}}
        yield {**_has(action=tool.name), **_WITHOUT_TOOL}


def _parameters(name: str, action: Action) -> Schema:
    properties = {parameter.name: _parameter(parameter) for parameter in action.parameters.values()}
    # the parameters of a model call can be written in the step itself
    required = [] if action.uses_model else [p.name for p in action.parameters.values() if p.required]
    return {
        "description": f"The parameters of `{name}`. {action.description}",
        "type": ["object", "null"],
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": action.accepts_extra,
    }


def _parameter(parameter: Parameter) -> Schema:
    known = {} if parameter.required or parameter.default is None else {"default": parameter.default}
    return {"description": parameter.description or parameter.name, **known, **in_run(to_json_schema(parameter.type))}


def in_run(schema: Schema) -> Schema:
    """Return the schema of a value any part of which may be a template."""
    if not schema or schema == {"type": "string"}:
        return schema
    if isinstance(options := schema.get("anyOf"), list):
        return {**schema, "anyOf": [*(_inside(option) for option in options), _IN_RUN]}
    return {"anyOf": [_inside(schema), _IN_RUN]}


def _inside(schema: Schema) -> Schema:
    made = dict(schema)
    if isinstance(made.get("items"), dict):
        made["items"] = in_run(made["items"])
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = in_run(made["additionalProperties"])
    if isinstance(made.get("properties"), dict):
        made["properties"] = {name: in_run(field) for name, field in made["properties"].items()}
    return made
