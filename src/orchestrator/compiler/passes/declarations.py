"""The declarations of a file: inputs, variables and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.compiler.ir.names import PIPELINE, RUN, input_type
from orchestrator.compiler.ir.node_paths import child, child_key
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.expressions import ANY, Constant, Type, is_assignable, object_of
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.expressions.types.value_types import describe_type, union_of
from orchestrator.language.yaml.nodes import Scalar
from orchestrator.plan.model import OutputPlan

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, PlacedTemplate
    from orchestrator.language.spec.inputs import OutputSpec


def declare_inputs(context: CompilationContext) -> None:
    """Declare the inputs in the scope of the file."""
    fields: dict[str, Type] = {}
    for name, spec in context.spec.inputs.items():
        key = child_key(context.spec.node, "inputs", name)
        context.claim("input", name, key.span if key is not None else context.spec.node.span, context.scope)
        fields[name] = input_type(spec)
        context.scope.declare(name, fields[name], "input", key)
        _check_default(context, name)
    context.scope.names.update(inputs=_namespace(fields), pipeline=PIPELINE)


def _check_default(context: CompilationContext, name: str) -> None:
    node = child(context.spec.node, "inputs", name, "default")
    spec = context.spec.inputs[name]
    if node is not None and spec.secret and spec.default not in (None, ""):
        context.diagnostics.add(
            codes.VALUE_NOT_ALLOWED,
            node.span,
            f"the file contains the value of the secret `{name}`, and the file is stored with every run",
            label="not secret",
            help="remove the default; use `default_from_env:` to read an environment variable, or pass it with `-i`",
        )
    if isinstance(node, Scalar) and isinstance(node.value, str) and "{{" in node.value:
        context.diagnostics.unreadable = True
        context.diagnostics.add(
            codes.VALUE_NOT_ALLOWED,
            node.span,
            f"the default of the input `{name}` must be a constant; templates in it are not evaluated",
            label="not evaluated",
            help="move the template to `variables:`, which can read inputs",
        )


def declare_variables(context: CompilationContext) -> None:
    """Declare the variables in the scope of the file. Each can read the inputs and the variables above it."""
    scope = context.scope
    fields: dict[str, Type] = {}
    scope.names["variables"] = _namespace(fields)
    for name in context.spec.variables:
        key = child_key(context.spec.node, "variables", name)
        context.claim("variable", name, key.span if key is not None else context.spec.node.span, scope)
        node = child(context.spec.node, "variables", name)
        if node is None:
            continue
        places: list[PlacedTemplate] = []
        value = context.value(node, scope, places)
        types = infer_types(context, places)
        for place in places:
            for reference in place.template.references:
                context.record_read(place, reference)
        context.variables[name] = value
        fields[name] = static_type(value, types)
        if name not in context.spec.inputs:
            scope.declare(name, fields[name], "variable", key)
    scope.names.update(run=RUN, steps=object_of({}, closed=False))


def _namespace(fields: dict[str, Type]) -> Type:
    """Return an object type whose fields are those of a dictionary that can still grow."""
    return Type("object", properties=fields, closed=True)


def check_outputs(context: CompilationContext) -> None:
    """Check every output: its template, what it reads, and its declared type."""
    if context.block is None:
        return
    scope = context.block.scope.without("step")
    for name, output in context.spec.outputs.items():
        _check_output(context, scope, name, output)


def _check_output(context: CompilationContext, scope: NameScope, name: str, output: OutputSpec) -> None:
    node = child(output.node, "value")
    if node is None:
        return
    places: list[PlacedTemplate] = []
    value = context.value(node, scope, places)
    types = infer_types(context, places)
    context.output_places.extend(places)
    context.places_of_outputs[name] = places
    reads: dict[str, None] = {}
    for place in places:
        for reference in place.template.references:
            context.record_read(place, reference)
            target = scope.target(reference)
            if target is not None and target.kind == "step":
                reads[target.name] = None
    early = context.early_outputs.get(name, ())
    if isinstance(value, Constant) and not early:
        _report_constant(context, name, value.value, node)
    declared = input_type(output.as_input()) if output.type else ANY
    actual = static_type(value, types)
    if not is_assignable(actual, declared):
        context.diagnostics.add(
            codes.WRONG_OUTPUT_TYPE,
            node.span,
            f"the output `{name}` is declared as {describe_type(declared)}, but its value is {describe_type(actual)}",
            label=f"expected {describe_type(declared)}",
            help="change the `type:` or convert the value",
            severity="error",
        )
    context.output_types[name] = declared if output.type else union_of((without_attributes(actual), *early))
    context.outputs[name] = OutputPlan(name, value, declared, output.description or "", tuple(reads))


def _report_constant(context: CompilationContext, name: str, value: Any, node: Any) -> None:
    word = value.strip() if isinstance(value, str) else ""
    known = bool(word) and context.block is not None and context.block.scope.find(word.split(".")[0]) is not None
    context.diagnostics.add(
        codes.CONSTANT_OUTPUT,
        node.span,
        f"the output `{name}` is a constant: it is the same in every run",
        label="a constant",
        help=f'did you mean `"{{{{ {word} }}}}"`?' if known else "refer to a step: `{{ step_id }}`",
        replacement=f'"{{{{ {word} }}}}"' if known else None,
    )
