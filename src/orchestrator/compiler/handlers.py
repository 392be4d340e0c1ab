"""Handlers of errors: those of a step, and those of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.ir import HandlerParts
from orchestrator.compiler.names import HANDLED_ERROR
from orchestrator.compiler.rules.error_types import check_error_names, check_retry, retry_from
from orchestrator.compiler.scopes import Scope
from orchestrator.compiler.templates import child
from orchestrator.plan.steps import Handler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.compiler.context import Unit
    from orchestrator.compiler.ir import StepParts
    from orchestrator.language.spec.pipeline import HandlerSpec


def read_handlers(
    unit: Unit, specs: Sequence[HandlerSpec], scope: Scope, owner: StepParts | None = None
) -> list[HandlerParts]:
    """Read handlers; their steps see the names of `scope` and `error`."""
    handlers = []
    for spec in specs:
        handler = HandlerParts(spec)
        inner = Scope(scope, {"error": HANDLED_ERROR})
        if spec.steps:
            inner = Scope(inner)
            handler.block = unit.read_block("handler", spec.steps, inner, owner)
        if spec.has_fallback and (node := child(spec.node, "fallback_value")) is not None:
            handler.fallback = unit.value(node, inner, handler.places)  # evaluated after the handler's steps
        handlers.append(handler)
    return handlers


def check_handlers(unit: Unit, handlers: Sequence[HandlerParts]) -> None:
    """Report what is wrong with handlers."""
    for handler in handlers:
        node = handler.spec.node
        check_retry(child(node, "retry"), unit.findings)
        check_error_names(child(node, "error_types"), unit.findings)
        if handler.block is not None:
            unit.check_block(handler.block)
        unit.infer(handler.places)


def plan_handlers(unit: Unit, handlers: Sequence[HandlerParts]) -> tuple[Handler, ...]:
    """Build the plan of handlers without errors."""
    return tuple(
        Handler(
            error_types=tuple(handler.spec.error_types),
            error_patterns=tuple(handler.spec.error_patterns),
            retry=retry_from(handler.spec.retry) if handler.spec.retry else None,
            body=unit.plan_block(handler.block) if handler.block is not None else None,
            fallback=handler.fallback,
        )
        for handler in handlers
    )
