"""What a file says of its runs, evaluated when each is created: their labels, and their concurrency key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.expressions import Constant, describe_type, is_assignable
from orchestrator.expressions.types.value_types import BOOLEAN, NULL, NUMBER, STRING, union_of
from orchestrator.language.yaml.nodes import Sequence
from orchestrator.plan.concurrency import ConcurrencyPlan, key_problem
from orchestrator.plan.labels import MOST_LABELS, label_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, PlacedTemplate
    from orchestrator.expressions import Type, Value
    from orchestrator.language.yaml.nodes import Node

_LABEL: Final = union_of((STRING, NUMBER, BOOLEAN, NULL))
_KEY: Final = union_of((STRING, NUMBER))


def check_labels(context: CompilationContext) -> None:
    """Check every label, and keep them with the file. They are evaluated before the first step: none can be read."""
    section = child(context.spec.node, "labels")
    if not isinstance(section, Sequence):
        return
    if len(section.items) > MOST_LABELS:
        context.diagnostics.add(
            codes.VALUE_NOT_ALLOWED,
            section.span,
            f"`labels` has {len(section.items)} labels, and a file can have {MOST_LABELS}",
            label="too many",
            help="keep the ones by which runs are looked for; `metadata` holds other notes",
        )
    scope = context.scope.without("steps")
    for node in section.items:
        value = _checked(context, scope, node, "a label", label_problem, _LABEL)
        context.labels.append(value)


def check_concurrency(context: CompilationContext) -> None:
    """Check the key of `concurrency`, and keep it with the file. No step can be read."""
    spec = context.spec.concurrency
    if spec is None:
        return
    node = child(spec.node, "key")
    scope = context.scope.without("steps")
    key = None if node is None else _checked(context, scope, node, "a concurrency key", key_problem, _KEY)
    context.concurrency = ConcurrencyPlan(key, spec.max, spec.on_full)


_SHORT: Final = {
    "a label": "choose a short word such as `nightly`, or a template such as `customer:{{ customer }}`",
    "a concurrency key": "choose a short word such as `deploy`, or a template such as `{{ customer }}`",
}
_ONE_TEXT: Final = {
    "a label": "write one template for each label, or join the values: `{{ tags | join('+') }}`",
    "a concurrency key": "read one value that the runs have in common, such as `{{ customer }}`",
}


def _checked(
    context: CompilationContext,
    scope: NameScope,
    node: Node,
    what: str,
    problem_of: Callable[[str], str | None],
    wanted: Type,
) -> Value:
    """Return the value of a node that is to be a short text without secrets, and report what it is instead."""
    places: list[PlacedTemplate] = []
    value = context.value(node, scope, places)
    types = infer_types(context, places)
    if isinstance(value, Constant):
        problem = problem_of(str(value.value))
        if problem is not None:
            message = f"this cannot be {what}: {problem}"
            label = f"not {what}"
            context.diagnostics.add(codes.VALUE_NOT_ALLOWED, node.span, message, label=label, help=_SHORT[what])
        return value
    for place in places:
        _check_secrets(context, scope, place, what)
    actual = static_type(value, types)
    if not is_assignable(actual, wanted):
        message = f"{what} is a text, but this is {describe_type(actual)}"
        help = _ONE_TEXT[what]
        context.diagnostics.add(codes.WRONG_PARAMETER_TYPE, node.span, message, label="not a text", help=help)
    return value


def _check_secrets(context: CompilationContext, scope: NameScope, place: PlacedTemplate, what: str) -> None:
    for reference, scalar in place.references():
        context.record_read(place, reference)
        target = scope.target(reference)
        if target is not None and target.kind == "input" and context.spec.inputs[target.name].secret:
            context.diagnostics.add(
                codes.VALUE_NOT_ALLOWED,
                scalar.span_of(reference.start, reference.end),
                f"{what} reads the secret input `{target.name}`, and everyone who lists runs can see it",
                label="not secret",
                help="use an input that is not secret, such as the name of an account",
            )
