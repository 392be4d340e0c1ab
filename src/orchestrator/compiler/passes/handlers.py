"""The error handlers of steps and of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.ir.names import HANDLED_ERROR
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import NameScope, SourceHandler
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.policies import retry_from
from orchestrator.compiler.rules.error_types import check_error_names, check_retry
from orchestrator.plan.steps import Handler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.language.spec.pipeline import HandlerSpec


def read_handlers(
    context: CompilationContext, specs: Sequence[HandlerSpec], scope: NameScope, owner: SourceStep | None = None
) -> list[SourceHandler]:
    """Read handlers; their steps see the names of `scope` and `error`."""
    handlers = []
    for spec in specs:
        handler = SourceHandler(spec)
        inner = NameScope(scope, {"error": HANDLED_ERROR})
        if spec.steps:
            inner = NameScope(inner)
            handler.block = context.blocks.read("handler", spec.steps, inner, owner)
        if spec.has_fallback and (node := child(spec.node, "fallback_value")) is not None:
            handler.fallback = context.value(node, inner, handler.places)  # evaluated after the handler's steps
        handlers.append(handler)
    return handlers


def check_handlers(context: CompilationContext, handlers: Sequence[SourceHandler]) -> None:
    """Report the errors of handlers."""
    for handler in handlers:
        node = handler.spec.node
        check_retry(child(node, "retry"), context.diagnostics, within="an error handler")
        check_error_names(child(node, "error_types"), context.diagnostics)
        if handler.block is not None:
            context.blocks.check(handler.block)
        infer_types(context, handler.places)


def plan_handlers(context: CompilationContext, handlers: Sequence[SourceHandler]) -> tuple[Handler, ...]:
    """Build the plan of handlers without errors."""
    return tuple(
        Handler(
            error_types=tuple(handler.spec.error_types),
            error_patterns=tuple(handler.spec.error_patterns),
            retry=retry_from(handler.spec.retry) if handler.spec.retry else None,
            body=context.blocks.plan(handler.block) if handler.block is not None else None,
            fallback=handler.fallback,
        )
        for handler in handlers
    )
