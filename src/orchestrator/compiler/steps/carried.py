"""The values that a loop carries from round to round, or from item to item: `initial` and `update`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.expressions import ANY
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.language.yaml.nodes import Mapping

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import Carried, NameScope, PlacedTemplate
    from orchestrator.expressions import Type, Value
    from orchestrator.language.spec.pipeline import StepSpec
    from orchestrator.language.yaml.nodes import Scalar


def declare_carried(context: CompilationContext, spec: StepSpec, carried: Carried, reserved: frozenset[str]) -> None:
    """Declare the carried values of a loop in their scope. They cannot have the names of the loop's own fields."""
    declared: set[str] = set()
    for section in ("initial", "update"):
        entries = child(spec.node, section)
        for entry in entries.entries if isinstance(entries, Mapping) else []:
            if entry.key.text not in declared:
                declared.add(entry.key.text)
                _declare(context, spec, carried.scope, entry.key, reserved)


def _declare(
    context: CompilationContext, spec: StepSpec, scope: NameScope, key: Scalar, reserved: frozenset[str]
) -> None:
    name = key.text
    if name in reserved:
        context.diagnostics.add(
            codes.INVALID_NAME,
            key.span,
            f"`{name}` cannot be the name of a carried value: `{spec.id}.{name}` is reserved",
            label="reserved",
            help=f"choose another name, for example `my_{name}`",
        )
    elif context.claim("carried value", name, key.span, scope):
        context.declare_within(scope, "carried value", name, key, spec.id)
        return
    scope.names.setdefault(name, ANY)


def read_carried(
    context: CompilationContext,
    spec: StepSpec,
    section: str,
    scope: NameScope,
    places: list[PlacedTemplate],
    into: dict[str, Value],
) -> None:
    """Read the values of `initial` or `update`."""
    entries = child(spec.node, section)
    for entry in entries.entries if isinstance(entries, Mapping) else []:
        into[entry.key.text] = context.value(entry.value, scope, places)


def carried_types(context: CompilationContext, carried: Carried, first: list[PlacedTemplate]) -> dict[str, Type]:
    """Return the types of carried values: those of their initial values, if no update changes them."""
    found = infer_types(context, first)
    known = {name: without_attributes(static_type(value, found)) for name, value in carried.initial.items()}
    types = {name: known.get(name, ANY) for name in (*carried.initial, *carried.update)}
    while True:
        carried.scope.names.update(types)
        found = infer_types(context, carried.changes, quiet=True)
        moved = [
            name
            for name, value in carried.update.items()
            if types[name] != ANY and without_attributes(static_type(value, found)) != types[name]
        ]
        if not moved:
            return types
        types.update(dict.fromkeys(moved, ANY))
