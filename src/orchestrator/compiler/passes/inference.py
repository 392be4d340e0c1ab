"""The types of templates, and what is wrong with them: with unknown names explained by what the file has."""

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
    """Find the types of templates, by their identity, and report what is wrong with them.

    All of them see the same names: a text that stands in two scopes is one template with two types.
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
