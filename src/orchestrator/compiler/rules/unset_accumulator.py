"""Warns of accumulators of a loop that are read in the first round, where they are null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import Carried, PlacedTemplate, SourceStep


def report_unset_accumulators(context: CompilationContext) -> None:
    """Report the first unguarded read of an accumulator without an initial value."""
    for loop in context.steps:
        carried = loop.work.carried if loop.work is not None else None
        if carried is not None and (names := set(carried.update) - set(carried.initial)):
            _report(context, loop, carried, names)


def _report(context: CompilationContext, loop: SourceStep, carried: Carried, names: set[str]) -> None:
    when = "for the first item" if loop.spec.kind == "for_each" else "in the first round"
    for place in _in_first_round(context, loop, carried):
        if _tells_rounds_apart(place):
            continue
        for reference, scalar in place.references():
            target = place.scope.target(reference)
            if reference.guarded or target is None or target.scope is not carried.scope or target.name not in names:
                continue
            names.remove(target.name)
            context.diagnostics.add(
                codes.UNGUARDED_NULL,
                scalar.span_of(reference.start, reference.end),
                f"`{target.name}` is null {when} of `{loop.id}`: it has no initial value",
                label=f"null {when}",
                help=f"set one below `initial:`, for example `initial: {{{target.name}: 0}}`",
                related=[] if target.node is None else [("updated here", target.node.span)],
            )


def _in_first_round(context: CompilationContext, loop: SourceStep, carried: Carried) -> Iterator[PlacedTemplate]:
    """Yield the templates that are evaluated in the first round, except in steps whose condition tests the round."""
    if carried.is_tested_first:
        yield from carried.tests
    for step in context.steps:
        around = list(step.ancestors())
        if loop not in around[1:]:
            continue
        within = around[: around.index(loop)]
        if not any(_tells_rounds_apart(guard) or _asks_for(guard, carried) for each in within for guard in each.guards):
            yield from step.places()
    yield from carried.changes


def _tells_rounds_apart(place: PlacedTemplate) -> bool:
    return any(reference.name in _NUMBERS for reference in place.template.references)


_NUMBERS: Final = ("iteration", "previous", "index", "is_first")
"""The names that differ between the first round or item and later ones."""


def _asks_for(place: PlacedTemplate, carried: Carried) -> bool:
    return any(
        target is not None and target.scope is carried.scope
        for target in (place.scope.target(reference) for reference in place.template.references)
    )
