"""The places of a step where an `<AUTO>` is allowed, with the JSON Schema and the purpose of the value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.compiler.ir.files import Unreadable
from orchestrator.compiler.ir.names import input_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import CallChecker
from orchestrator.compiler.passes.library import find_pipeline
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.expressions.types.schema import to_json_schema
from orchestrator.language.values.auto_markup import Path, tagged
from orchestrator.language.yaml.nodes import Mapping as MappingNode
from orchestrator.language.yaml.nodes import Node, Scalar
from orchestrator.tools import Unresolved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.language.spec.pipeline import StepSpec

Schema = Mapping[str, Any]

ANY: Final[Schema] = {}
TEXT: Final[Schema] = {"type": "string"}


class AutoPlace(Struct, frozen=True):
    """A text of a step with an `<AUTO>` in it, at a path below the step's node.

    `schema` is that of a value that is the whole text; with `whole`, the `<AUTO>` must be the whole text. `refused` is
    what to write instead, if the value must be known before the run. `item_names` are known only for each item of a
    loop, before which the question is asked.
    """

    path: Path
    scalar: Scalar
    schema: Schema
    purpose: str
    whole: bool = False
    refused: str = ""
    item_names: frozenset[str] = frozenset()


def auto_places(context: CompilationContext, spec: StepSpec) -> Iterator[AutoPlace]:
    """Yield the texts of a step in which an `<AUTO>` is allowed, in file order; not those of the steps inside it."""
    for key in spec.node.table:
        node = spec.node.get(key)
        if node is None or key not in _PLACES:
            continue
        for path, scalar, _ in tagged(node):
            whole = (key, *path)
            if child(spec.node, *whole) is scalar:  # and no key
                yield from _PLACES[key](context, spec, whole, scalar)


def _parameter(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    if len(path) < 2 or (spec.kind not in (None, "tool") and not _is_loop_of_calls(spec)):
        return
    found = CallChecker(context).find(spec)
    schema, label, about, refused = ANY, spec.action or spec.tool or "", "", ""
    name = str(path[1])
    if not isinstance(found, Unresolved):
        tool, action = found
        label = f"{tool.name}.{action.name}" if len(tool.actions) > 1 else tool.name
        if action.uses_model:
            refused = _KNOWN_BEFORE.get(name, "")
        if name in action.parameters:
            parameter = action.parameters[name]
            schema, about = to_json_schema(parameter.type), parameter.description
    names = frozenset({spec.as_ or "item", "index", "is_first", "is_last"}) if spec.kind == "for_each" else frozenset()
    purpose = _within(path[2:], f"the parameter `{name}` of `{label}`") + _about(about)
    yield AutoPlace(path, scalar, below(schema, path[2:]), purpose, refused=refused, item_names=names)


def _is_loop_of_calls(spec: StepSpec) -> bool:
    return spec.kind == "for_each" and spec.steps is None


def _input(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    if spec.kind != "pipeline" or len(path) < 2:
        return
    name, schema, about = str(path[1]), ANY, ""
    node = child(spec.node, "pipeline")
    written = node.value if isinstance(node, Scalar) else None
    called = find_pipeline(context, written) if isinstance(written, str) and "{" not in written else None
    if called is not None and not isinstance(called, Unreadable) and name in called.spec.inputs:
        declared = called.spec.inputs[name]
        schema, about = schema_of_input(declared), declared.description or ""
    purpose = _within(path[2:], f"the input `{name}` of the pipeline `{spec.pipeline}`") + _about(about)
    yield AutoPlace(path, scalar, below(schema, path[2:]), purpose)


def _condition(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    yield AutoPlace(path, scalar, {"type": "boolean"}, f"whether the step `{spec.id}` runs", whole=True)


def _switch(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    cases = child(spec.node, "cases")
    keys = [entry.key for entry in cases.entries] if isinstance(cases, MappingNode) else []
    words = [key.value if isinstance(key.value, str) else to_text(key.value) or "null" for key in keys]
    purpose = f"which case of `{spec.id}` applies"
    if spec.default is not None:
        other = next(word for word in ("other", "none of these", "no other case fits") if word not in words)
        words.append(other)
        purpose += f"; `{other}` if none fits"
    if len(path) == 1:
        yield AutoPlace(path, scalar, {"type": "string", "enum": words}, purpose, whole=True)


def _items(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    what = f"what the loop `{spec.id}` iterates over"
    match path[1:]:
        case ("value",):
            yield AutoPlace(path, scalar, {"type": "array"}, f"the list of {what}", whole=True)
        case ("value", *_):
            yield AutoPlace(path, scalar, ANY, f"an item of {what}")
        case ("range", str(part)):
            yield AutoPlace(path, scalar, {"type": "integer"}, f"`{part}` of the numbers that are {what}", whole=True)
        case ("file",):
            yield AutoPlace(path, scalar, TEXT, f"the file that is {what}")


def _ask(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    asked, below = spec.ask, path[1:]
    if below[:1] == ("questions",) and len(below) > 2 and asked is not None and asked.questions is not None:
        asked, below = asked.questions.get(str(below[1])), below[2:]
    if below == ("prompt",):
        yield AutoPlace(path, scalar, TEXT, "the question that a person is asked")
    elif below == ("choices",):
        kind = to_json_schema(input_type(asked.as_input())) if asked is not None else ANY
        schema = {"type": "array", "items": kind or TEXT, "minItems": 1}
        yield AutoPlace(path, scalar, schema, "the answers that a person can choose from", whole=True)


def _approve(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    if path[1:] == ("title",):
        yield AutoPlace(path, scalar, TEXT, "what a person is asked to approve")
    elif path[1:2] == ("content",):
        yield AutoPlace(path, scalar, ANY, "the content that a person reviews")


def _sleep(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    yield AutoPlace(path, scalar, {"type": "number", "minimum": 0}, "how long to wait, in seconds", whole=True)


def _wait_until(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    yield AutoPlace(path, scalar, TEXT, "until when to wait: a time in ISO 8601, such as `2030-12-01T09:00`")


def _value(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    yield AutoPlace(path, scalar, ANY, "the value of the step" if len(path) == 1 else "a part of the step's value")


def _fail(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    if path[1:] == ("message",):
        yield AutoPlace(path, scalar, TEXT, "why the step fails on purpose")


def _end(context: CompilationContext, spec: StepSpec, path: Path, scalar: Scalar) -> Iterator[AutoPlace]:
    if len(path) > 1:
        yield AutoPlace(path, scalar, ANY, f"the output `{path[1]}` with which the pipeline ends early")


_PLACES: Final = {
    "parameters": _parameter,
    "inputs": _input,
    "condition": _condition,
    "switch": _switch,
    "for_each": _items,
    "ask": _ask,
    "approve": _approve,
    "sleep": _sleep,
    "wait_until": _wait_until,
    "value": _value,
    "fail": _fail,
    "end": _end,
}

_FORM: Final = "the schema of an answer must be known before the run: write it out and describe the rest in the prompt"

_KNOWN_BEFORE: Final = {
    "model": "write `model: auto`, or describe the model with `requires_model:`",
    "requires_model": "write out the requirements, or `model: auto`",
    "selection": "write `balanced`, `cost`, `speed` or `quality`",
    "tools": "write out the names of the tools; the model chooses which of them to call",
    **dict.fromkeys(("schema", "vars", "response_format"), _FORM),
}
"""Parameters of a step that calls models that must be known before the run, and what to write."""


def _about(description: str) -> str:
    return f": {description}" if description else ""


def _within(path: Path, whole: str) -> str:
    return f"`{dotted(path)}` in {whole}" if path else whole


def dotted(path: Path) -> str:
    """Return a path as text: `rows[2].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def below(schema: Schema, path: Path) -> Schema:
    """Return the schema of the value at a path in a value of this schema, without null."""
    for part in path:
        inner: Any = ANY
        for option in schema.get("anyOf", (schema,)):
            if isinstance(part, str) and part in option.get("properties", {}):
                inner = option["properties"][part]
            elif isinstance(part, str) and isinstance(option.get("additionalProperties"), Mapping):
                inner = option["additionalProperties"]
            elif isinstance(part, int) and isinstance(option.get("items"), Mapping):
                inner = option["items"]
        schema = inner
    return _without_null(schema)


def _without_null(schema: Schema) -> Schema:
    options = schema.get("anyOf")
    if not isinstance(options, list):
        return schema
    kept = [option for option in options if option.get("type") != "null"]
    return kept[0] if len(kept) == 1 else {**schema, "anyOf": kept} if kept else ANY


def schema_of_input(spec: InputSpec) -> dict[str, Any]:
    """Return a declared input as a JSON Schema, with its limits."""
    kind = "string" if spec.type == "file" else spec.type
    schema: dict[str, Any] = {"type": kind} if kind is not None else {}
    if spec.enum is not None:
        schema["enum"] = list(spec.enum)
    lengths = ("minItems", "maxItems") if kind == "array" else ("minLength", "maxLength")
    limits = {
        "minimum": spec.minimum,
        "maximum": spec.maximum,
        lengths[0]: spec.min_length,
        lengths[1]: spec.max_length,
        "pattern": spec.pattern,
    }
    schema |= {key: limit for key, limit in limits.items() if limit is not None}
    if spec.items is not None:
        schema["items"] = schema_of_input(spec.items)
    if spec.properties is not None:
        schema["properties"] = {name: _described(part) for name, part in spec.properties.items()}
        if needed := [name for name, part in spec.properties.items() if part.required]:
            schema["required"] = needed
    return schema


def _described(spec: InputSpec) -> dict[str, Any]:
    return schema_of_input(spec) | ({"description": spec.description} if spec.description else {})


_ELSEWHERE: Final = "ask in an earlier step (`action: generate`) and read its value here: `{{ that_step }}`"
_EACH_ROUND: Final = "ask in a step of the loop (`action: generate`) and read its value here"

_SECTIONS: Final = {
    "inputs": "inputs are known when the run starts: write the `<AUTO>` in the step that needs the value",
    "labels": "labels are known when the run starts: write the words yourself, or read an input",
    "concurrency": "the key is known when the run starts: write it yourself, or read an input",
    "variables": "variables are known when the run starts: write the `<AUTO>` in the step that reads it",
    "outputs": "ask in a step (`action: generate`) and read it in the output: `{{ that_step }}`",
    "budget": "write the limit",
    "defaults": "write the value",
    "experts": _KNOWN_BEFORE["model"],
    "model": _KNOWN_BEFORE["model"],
    "judge_model": _KNOWN_BEFORE["model"],
}
_KEYS: Final = {
    **dict.fromkeys(("while", "until", "initial", "update", "collect", "on_item_failure"), _EACH_ROUND),
    "check": "a model judges the output by a rubric: `check: {judge: ...}`",
    **dict.fromkeys(("id", "tool", "action", "as"), "steps and their work must be known before the run: write it out"),
    "pipeline": "to choose between pipelines, use `switch:`, whose value may be an `<AUTO>`",
    "dependencies": "the order of steps must be known before the run: name them; a condition may be an `<AUTO>`",
    **dict.fromkeys(("on_success", "on_false", "target"), "name the step; to choose between steps, use `switch:`"),
    **dict.fromkeys(
        ("timeout", "retry", "max_parallel", "max_iterations", "min_success", "wait_for", "max_depth", "budget"),
        "limits must be known before the run: write the value",
    ),
    "parameters": "write an `<AUTO>` for each parameter: `parameters: {name: <AUTO>...</AUTO>}`",
    "steps": "steps must be known before the run; use an agent to let a model decide what to do next",
    **dict.fromkeys(("assignee", "escalate"), "who can answer must be known before the run: write the names"),
    "remind": "limits must be known before the run: write the value",
}


def written_instead(path: Path) -> str:
    """Return what to write instead of an `<AUTO>` at a path in the file where it is not allowed."""
    words = [part for part in path if isinstance(part, str)]
    if words[:1] and words[0] in _SECTIONS:
        return _SECTIONS[words[0]]
    return next((_KEYS[word] for word in reversed(words) if word in _KEYS), _ELSEWHERE)


def is_prose(path: Path) -> bool:
    """Return whether the text at a path in the file is only for people."""
    words = [part for part in path if isinstance(part, str)]
    return "metadata" in words or (bool(words) and words[-1] in ("name", "description", "version"))


def put(node: Node, path: Path, new: Node) -> Node:
    """Return a node with the node at a path below it replaced."""
    from orchestrator.language.yaml.nodes import Entry
    from orchestrator.language.yaml.nodes import Sequence as SequenceNode

    if not path:
        return new
    part = path[0]
    if isinstance(node, MappingNode) and isinstance(part, str):
        table = {
            key: Entry(entry.key, put(entry.value, path[1:], new)) if key == part else entry
            for key, entry in node.table.items()
        }
        return MappingNode(table, node.start, node.end, node.layout)
    if isinstance(node, SequenceNode) and isinstance(part, int):
        items = [put(item, path[1:], new) if number == part else item for number, item in enumerate(node.items)]
        return SequenceNode(items, node.start, node.end, node.layout)
    return node
