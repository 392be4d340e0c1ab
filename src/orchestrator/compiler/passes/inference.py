"""Type inference for templates, with errors about unknown names explained by the names in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.rules.unresolved_names import explain_unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate
    from orchestrator.expressions import Type


def infer_types(
    context: CompilationContext, places: Iterable[PlacedTemplate], *, quiet: bool = False
) -> dict[int, Type]:
    """Return the types of templates by their identity, and report type errors.

    All of them must have the same scope: the same text in two scopes is one template with two types.
    """
    types: dict[int, Type] = {}
    for place in places:
        inference = place.template.infer(place.scope)
        types[id(place.template)] = inference.type
        if inference.problems and not quiet:
            problems = [explain_unknown(context, place, problem) for problem in inference.problems]
            context.diagnostics.add_problems(place.scalar, problems)
            # a misspelt name is not also a name that nothing reads
            meant = [problem.replacement for problem in problems if problem.replacement]
            context.read.update((kind, name) for name in meant for kind in ("input", "variable"))
    return types
