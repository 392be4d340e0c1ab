"""The files that a step produces: their paths, which can read `output`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import NameScope, SourceFiles
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.output_checks import OUTPUT
from orchestrator.expressions import ANY, Constant, describe_type, is_assignable
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.expressions.types.value_types import NULL, STRING, array_of, union_of
from orchestrator.language.yaml.nodes import Sequence

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.expressions import Type

_PATHS: Final = union_of((STRING, array_of(STRING), NULL))


def read_produced_files(context: CompilationContext, step: SourceStep, scope: NameScope) -> SourceFiles | None:
    """Read the `produces` of a step whose attempts have `scope`."""
    section = child(step.spec.node, "produces")
    if not isinstance(section, Sequence) or not section.items:
        return None
    files = SourceFiles(NameScope(scope))
    context.declare_within(files.scope, "output", OUTPUT, None, step.id)
    files.paths = [context.value(node, files.scope, files.places) for node in section.items]
    return files


def check_produced_files(context: CompilationContext, step: SourceStep, files: SourceFiles, type_: Type) -> None:
    """Report errors in the paths, once the type of the step is known."""
    item = step.work.item_type if step.work is not None else None
    files.scope.names[OUTPUT] = (
        ANY if step.id in context.shared else without_attributes(type_ if item is None else item)
    )
    types = infer_types(context, files.places)
    key = step.spec.node.key("produces")
    if step.spec.cache is not None and key is not None:
        context.diagnostics.add(
            codes.CONFLICTING_KEYS,
            key.span,
            f"`{step.id}` has `produces` and `cache`, but a result from the cache writes no files",
            label="not written then",
            help="remove `cache`, or produce the files in another step",
        )
    section = child(step.spec.node, "produces")
    for value, node in zip(files.paths, section.items if isinstance(section, Sequence) else (), strict=False):
        actual = without_attributes(static_type(value, types))
        empty = isinstance(value, Constant) and isinstance(value.value, str) and not value.value.strip()
        if empty or not is_assignable(actual, _PATHS):
            context.diagnostics.add(
                codes.WRONG_PARAMETER_TYPE,
                node.span,
                f"`produces` of `{step.id}` requires the path of a file, but this is "
                f"{'empty' if empty else describe_type(actual)}",
                label="not a path",
                help="write a path such as `report.pdf`, or a template for one",
            )
