"""Reports pipelines that call themselves without a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.cycles import find_cycles
from orchestrator.diagnostics import Related

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationSession


def report_recursion(session: CompilationSession) -> None:
    """Report every pipeline that calls itself without a limit once, with the whole path."""
    for cycle in find_cycles(session.unlimited, list(session.contexts)):
        pairs = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        first, *others = [session.unlimited[one][other] for one, other in pairs]
        endless = first.detached or any(call.detached for call in others)
        path = " -> ".join(f"`{key}`" for key in [*cycle, cycle[0]])
        first.context.diagnostics.add(
            codes.RECURSIVE_PIPELINE,
            first.node.span,
            f"the pipeline calls itself endlessly: {path}",
            label="calls itself" if len(cycle) == 1 else "leads back here",
            help="repeat its steps with a loop, or let a trigger start its runs"
            if endless
            else "add `max_depth:` to the step, or repeat its steps with a loop instead",
            related=[Related("the next call", call.context.document.source, call.node.span) for call in others],
        )
