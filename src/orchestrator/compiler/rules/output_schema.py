"""Checks the schema of a model's answer, and the requirements on the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.expressions import Constant
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence, plain_data
from orchestrator.remedies import ListModels

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingABC

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.expressions import Value
    from orchestrator.language.spec.pipeline import StepSpec

SCHEMA_PARAMETERS: Final = ("schema", "vars", "response_format")
"""The parameters that define the schema of an answer."""


def check_model_parameters(context: CompilationContext, step: StepSpec, given: MappingABC[str, Value]) -> None:
    """Report errors in the parameters of a model call that type checking does not find."""
    node = child(step.node, "parameters")
    keys = [
        key for name in SCHEMA_PARAMETERS if name in given and (key := _form_key(node, name, given[name])) is not None
    ]
    for second in keys[1:]:
        context.diagnostics.add(
            codes.INVALID_OUTPUT_SCHEMA,
            second.span,
            f"`{keys[0].text}` and `{second.text}` of `{step.id}` both define the schema of the answer",
            label="a second schema",
            help="keep one of the two",
            related=[("the first is here", keys[0].span)],
        )
    for key in keys[:1]:
        place, name = child(node, key.text), key.text
        if place is not None and isinstance(given[name], Constant) and plain_data(place) != "json":
            check_schema(context, place, f"`{name}` of `{step.id}`", described=name == "vars")
    requires, place = given.get("requires_model"), child(node, "requires_model")
    if isinstance(requires, Constant) and isinstance(requires.value, dict) and place is not None:
        _check_requirements(context, place, requires.value)


def _form_key(node: Node | None, name: str, value: Value) -> Scalar | None:
    none = isinstance(value, Constant) and (value.value is None or (name, value.value) == ("response_format", "text"))
    return node.key(name) if isinstance(node, Mapping) and not none else None


def check_schema(
    context: CompilationContext, node: Node, what: str, *, described: bool = False
) -> MappingABC[str, Any] | None:
    """Return the JSON Schema that a node defines; None after reporting its errors."""
    from orchestrator.models.output.schemas import SchemaError, structure_of

    try:
        return structure_of(plain_data(node), described=described).schema
    except SchemaError as error:
        for problem in error.problems:
            place = _deepest(node, problem.path)
            message = f"{what}: {problem.message}"
            context.diagnostics.add(
                codes.INVALID_OUTPUT_SCHEMA, place.span, message, label="invalid schema", help=problem.help
            )
    return None


def _deepest(node: Node, path: tuple[str | int, ...]) -> Node:
    """Return the deepest node along a path."""
    for part in path:
        if isinstance(node, Mapping) and str(part) in node.table:
            node = node.table[str(part)].value
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            break
    return node


def _named_in(message: str, node: Node) -> Node:
    """Return the key or word below a node that a message mentions first, otherwise the node."""
    found: dict[int, Node] = {}
    pending = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, Mapping):
            pending += [each for entry in part.entries for each in (entry.key, entry.value)]
        elif isinstance(part, Sequence):
            pending += part.items
        elif (place := message.find(f"`{part.text}`")) >= 0:
            found.setdefault(place, part)
    return found[min(found)] if found else node


def _check_requirements(context: CompilationContext, node: Node, written: dict[str, Any]) -> None:
    from orchestrator.models.selection.requirements import requirements_of

    try:
        requirements_of(written)
    except (ValueError, TypeError) as error:
        message, _, help = str(error).partition("; ")
        context.diagnostics.add(
            codes.INVALID_MODEL_OPTIONS,
            _named_in(message, node).span,
            f"`requires_model`: {message}",
            label="invalid requirement",
            help=help or None,
            remedies=() if help else (ListModels(),),
        )
