"""The `undo` of a step: steps that run after its success, when the run or a group around it is compensated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.names import entity_type
from orchestrator.compiler.ir.nodes import NameScope, SourceUndo
from orchestrator.compiler.passes.output_checks import OUTPUT
from orchestrator.expressions import ANY
from orchestrator.plan.undo import Read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate, SourceStep
    from orchestrator.expressions import Reference, Type

_SECTIONS: Final = frozenset({"inputs", "variables", "steps"})
_LATE: Final = {
    "finally": "the steps of `finally` run when the run is over, after everything was undone",
    "handler": "the steps of `error_handlers` run when the run is over, after everything was undone",
    "undo": "what an `undo` did is not undone",
}


def read_undo(context: CompilationContext, step: SourceStep, scope: NameScope) -> None:
    """Read the `undo` of a step whose attempts have `scope`."""
    own = NameScope(scope)
    context.declare_within(own, "output", OUTPUT, None, step.id)
    first = len(context.steps)
    block = context.blocks.read("undo", step.spec.undo or (), NameScope(own), step)
    inside = context.steps[first:]
    outside = list(own.chain())
    reads = dict.fromkeys(_reads((place for each in inside for place in each.places()), outside))
    step.undo = SourceUndo(own, block, tuple(reads))
    cache = step.spec.node.key("cache")
    if cache is not None and step.spec.cache is not None:
        context.diagnostics.add(
            codes.KEY_WITHOUT_EFFECT,
            cache.span,
            f"`cache` does not apply to step `{step.id}`: other runs would use a result that was undone",
            label="not next to `undo`",
            help="remove it, or move what can be shared to a step of its own",
        )
    key = step.spec.node.key("undo")
    if key is not None and (late := _runs_late(step)):
        context.diagnostics.add(
            codes.KEY_WITHOUT_EFFECT,
            key.span,
            f"`undo` does not apply to step `{step.id}`: {_LATE[late]}",
            label="never undone",
            help="remove it",
        )


def check_undo(context: CompilationContext, step: SourceStep, type_: Type) -> None:
    """Report the errors of an `undo`, once the type of the step is known."""
    undo = step.undo
    if undo is None:
        return
    item = step.work.item_type if step.work is not None else None
    unknown = step.id in context.shared
    undo.scope.names[OUTPUT] = ANY if unknown else type_ if item is None else entity_type(item)
    if step.id and not unknown:
        step.block.scope.steps[step.id] = type_
    context.blocks.check(undo.block)


def _reads(places: Iterable[PlacedTemplate], outside: list[NameScope]) -> Iterator[Read]:
    """Yield what templates read of the scopes outside."""
    for place in places:
        for reference in place.template.references:
            if (read := _read(place, reference, outside)) is not None:
                yield read


def _read(place: PlacedTemplate, reference: Reference, outside: list[NameScope]) -> Read | None:
    name, path = reference.name, reference.path
    target = place.scope.target(reference)
    holder = None if target is None else target.block.scope if target.block is not None else target.scope
    if name == "step" or (holder is not None and holder not in outside):
        return None  # it is the step that undoes, or a name of its own
    section = ""
    if name in _SECTIONS:
        if not path or not isinstance(path[0], str):
            return Read(name)
        section, name, path = name, path[0], path[1:]
    return Read(name, path[0] if path and isinstance(path[0], str) else None, section)


def _runs_late(step: SourceStep) -> str:
    """Return the kind of the block at the end of the run that the step is in, "" if it is in none."""
    for part in step.ancestors():
        kind = part.block.kind
        if kind in ("finally", "undo") or (kind == "handler" and part.block.owner is None):
            return kind
    return ""
