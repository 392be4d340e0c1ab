"""Groups of steps, sequential or parallel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.names import entity_type, nullable
from orchestrator.compiler.ir.nodes import NameScope, SourceWork
from orchestrator.compiler.passes.policies import enough_of
from orchestrator.expressions import ANY, Type, object_of
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.plan.auto_values import is_auto
from orchestrator.plan.steps import StepGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep


class GroupWork(SourceWork):
    """A group with `steps` or `parallel`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        self.spec = step.spec
        self.parallel = step.spec.kind == "parallel"
        specs = (step.spec.parallel if self.parallel else step.spec.steps) or ()
        scope = NameScope(step.block.scope)
        first = len(context.steps)
        self.body = context.blocks.read("parallel" if self.parallel else "group", specs, scope, step)
        self.handler_scope = scope
        if step.spec.compensate:
            _check_compensate(context, step, context.steps[first:])

    @property
    def wait_for(self) -> int | None:
        """The number of steps that must succeed; None: all."""
        return enough_of(self.spec)

    @property
    def _count(self) -> int:
        return sum(1 for step in self.body.steps if not is_auto(step.id))

    def check(self) -> Type:
        """Check the steps."""
        self._context.blocks.check(self.body)
        wanted = self.wait_for
        values = {id: without_attributes(type_) for id, type_ in self.body.scope.steps.items() if not is_auto(id)}
        if not self.parallel:
            return entity_type(self.body.value_type() or ANY, fields=values)
        if wanted is not None and wanted < self._count:  # those that are cancelled are null
            values = {id: nullable(type_) for id, type_ in values.items()}
        return entity_type(object_of(values), fields=values)

    def plan(self) -> StepGroup:
        """Build the group."""
        wanted = self.wait_for
        wait_for = None if wanted == self._count else wanted
        return StepGroup(self._context.blocks.plan(self.body), self.parallel, wait_for, self.spec.compensate)


def _check_compensate(context: CompilationContext, step: SourceStep, inside: Sequence[SourceStep]) -> None:
    """Report a `compensate` in a group in which nothing can be undone."""
    key = step.spec.node.key("compensate")
    if key is None or any(each.spec.undo or each.spec.pipeline or _offers_pipelines(each) for each in inside):
        return
    context.diagnostics.add(
        codes.KEY_WITHOUT_EFFECT,
        key.span,
        f"`compensate` does not apply to step `{step.id}`: no step in it has an `undo`",
        label="nothing to undo",
        help="write below `undo:` of each step in it what undoes the step",
    )


def _offers_pipelines(step: SourceStep) -> bool:
    return step.work is not None and step.work.offers_pipelines
