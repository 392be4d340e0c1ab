"""The limits of a step that are templates: read with the names that they see, checked against the kind of limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.expressions import NUMBER, STRING, Type, describe_type, is_assignable, union_of
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.language.values.templates import is_template
from orchestrator.language.yaml.nodes import Scalar
from orchestrator.plan.limits import FORMS_OF, LIMITS, LimitKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, SourceStep
    from orchestrator.expressions import Value

_WANTED: Final[dict[LimitKind, Type]] = {"count": NUMBER, "share": NUMBER, "duration": union_of((NUMBER, STRING))}
"""The types that fit. A count may be a whole number such as 4.0, as the result of a division is."""


def read_limits(context: CompilationContext, step: SourceStep, inner: NameScope) -> None:
    """Read the limits of a step that are templates. Those of its attempts see the names of `inner`."""
    for name, limit in LIMITS.items():
        node = child(step.spec.node, *limit.path)
        if isinstance(node, Scalar) and is_template(node.value):
            scope = step.block.scope if limit.on_loop else inner
            step.limits[name] = context.value(node, scope, step.limit_places)


def check_limits(context: CompilationContext, step: SourceStep) -> None:
    """Report limits that are of another type. The types of the names that they see must be known."""
    types = infer_types(context, step.limit_places)
    for name, value in step.limits.items():
        limit = LIMITS[name]
        node = child(step.spec.node, *limit.path)
        actual = without_attributes(static_type(value, types))
        if node is None or is_assignable(actual, _WANTED[limit.kind]):
            continue
        help = "convert it with `| int`" if actual.kind == "string" and limit.kind == "count" else None
        context.diagnostics.add(
            codes.WRONG_TYPE,
            node.span,
            f"`{name}` of `{step.id}` must be {FORMS_OF[limit.kind]}, but this is {describe_type(actual)}",
            label="another type",
            help=help or "compute it from numbers, or write the number",
        )


def limits_of_loop(limits: Mapping[str, Value], *, on_loop: bool) -> dict[str, Value]:
    """Return the limits of a loop with an action of its own: those of the loop, or those of the call for each item."""
    return {name: value for name, value in limits.items() if LIMITS[name].on_loop == on_loop}
