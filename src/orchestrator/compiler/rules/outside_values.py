"""Distinguishes values that are written in the file from those that come from outside it: inputs, answers, results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.expressions import Constant, ListValue, MappingValue, Templated

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, SourceStep
    from orchestrator.expressions import Reference, Value

_OWN: Final = frozenset({"run", "pipeline", "step"})


def is_from_file(context: CompilationContext, step: SourceStep, scope: NameScope, read: Reference) -> bool:
    """Return whether the value that is read is written in the file itself."""
    if read.name in _OWN:
        return True
    target = scope.target(read)
    if target is None:
        return read.name not in scope  # it is reported as such
    if target.kind == "variable":
        return _is_constant(context, step, scope, context.variables.get(target.name))
    if target.kind == "local":
        works = [part.work for part in step.ancestors() if part.work is not None and target.scope is not None]
        items = (work.items_of(target.scope) for work in works if target.scope is not None)
        return any(value is not None and _is_constant(context, step, scope, value) for value in items)
    return False


def _is_constant(context: CompilationContext, step: SourceStep, scope: NameScope, value: Value | None) -> bool:
    """Return whether a value consists only of values in the file."""
    match value:
        case Constant():
            return True
        case ListValue(items=items):
            return all(_is_constant(context, step, scope, item) for item in items)
        case MappingValue(entries=entries):
            return all(_is_constant(context, step, scope, entry) for entry in entries.values())
        case Templated(template=template):
            return all(is_from_file(context, step, scope, read) for read in template.references)
        case _:
            return False
