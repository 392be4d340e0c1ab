"""Steps that compute a value, and steps that fail on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.ir.names import entity_type
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.expressions import NULL, Constant, Type, Value
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.plan.values import Computation, Failure

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep


class ValueWork(SourceWork):
    """`value`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        self.value: Value = context.value_at(step.spec.node, ("value",), step.block.scope, self.places) or Constant(
            None
        )

    def check(self) -> Type:
        """Return the type of the value."""
        return entity_type(without_attributes(static_type(self.value, infer_types(self._context, self.places))))

    def plan(self) -> Computation:
        """Build the computation."""
        return Computation(self.value)


class FailWork(SourceWork):
    """`fail`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        node, scope = step.spec.node, step.block.scope
        self.message: Value = context.value_at(node, ("fail", "message"), scope, self.places) or Constant("")
        self.code = (step.spec.fail.code or "") if step.spec.fail is not None else ""

    def check(self) -> Type:
        """Check the message. The step never has a value."""
        infer_types(self._context, self.places)
        return entity_type(NULL)

    def plan(self) -> Failure:
        """Build the failure."""
        return Failure(self.message, self.code)
