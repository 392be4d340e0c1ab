"""The triggers of a file: the inputs that they give to its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.names import DELIVERY, TRIGGER
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import NameScope
from orchestrator.compiler.passes.given_inputs import GivenInputs
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.expressions import Constant, Value
from orchestrator.language.yaml.nodes import Mapping
from orchestrator.plan.triggers import Schedule, TriggerPlan, Webhook

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate
    from orchestrator.language.spec.triggers import TriggerSpec


def check_triggers(context: CompilationContext) -> None:
    """Check the inputs that each trigger gives, and keep them with the file."""
    for name, spec in (context.spec.triggers or {}).items():
        context.trigger_inputs[name] = _checked_inputs(context, name, spec)


def _checked_inputs(context: CompilationContext, name: str, spec: TriggerSpec) -> Value:
    scope = NameScope(None, {"trigger": TRIGGER, **({} if spec.webhook is None else DELIVERY)})
    places: list[PlacedTemplate] = []
    found = context.value_at(spec.node, ("inputs",), scope, places)
    types = infer_types(context, places)
    if not context.is_declared:
        return Constant({})
    _report_secrets(context, name, spec)
    named = "schedule" if spec.webhook is None else "webhook"
    return GivenInputs(context, context, spec.node, named).check(Constant({}) if found is None else found, types)


def _report_secrets(context: CompilationContext, name: str, spec: TriggerSpec) -> None:
    """Report secret inputs with a value: the file and the deliveries of a trigger are stored."""
    given = child(spec.node, "inputs")
    for entry in given.entries if isinstance(given, Mapping) else ():
        declared = context.spec.inputs.get(entry.key.text)
        if declared is not None and declared.secret:
            context.diagnostics.add(
                codes.VALUE_NOT_ALLOWED,
                entry.key.span,
                f"the trigger `{name}` gives the secret input `{entry.key.text}`, and what triggers give is stored",
                label="not secret",
                help="remove it, and name a variable of the server with `default_from_env:` in the input's declaration",
            )


def plan_triggers(context: CompilationContext) -> tuple[TriggerPlan, ...]:
    """Build the plans of the triggers of a file without errors."""
    return tuple(
        TriggerPlan(
            name,
            _occasion(spec),
            context.trigger_inputs.get(name, Constant({})),
            spec.description or "",
            spec.node.span.start.line,
        )
        for name, spec in (context.spec.triggers or {}).items()
    )


def _occasion(spec: TriggerSpec) -> Schedule | Webhook:
    hook = spec.webhook
    if hook is not None:
        return Webhook(hook.secret, hook.signature, hook.tolerance, hook.max_bytes, hook.max_per_minute)
    return Schedule(spec.schedule or "", spec.timezone, spec.overlap, spec.catch_up, spec.jitter)
