"""Steps that wait for a time or a duration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.names import entity_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.expressions import NULL, Constant, Type, Value, describe_type
from orchestrator.expressions.types.operators import alternatives, without_attributes
from orchestrator.language.values.times import PLAUSIBLE, timestamp
from orchestrator.plan.steps import Wait
from orchestrator.text.durations import FORMS

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.language.yaml.nodes import Node

_WANTED = {"sleep": "a duration", "wait_until": "a time"}
_FORMS = {"sleep": FORMS, "wait_until": "a time such as `2030-12-01T09:00`, or seconds since 1970"}


class WaitWork(SourceWork):
    """`wait_until` and `sleep`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        self.spec = spec = step.spec
        self.key = "sleep" if spec.kind == "sleep" else "wait_until"
        self.value: Value
        if isinstance(spec.sleep, float):  # a constant, in seconds
            self.value = Constant(spec.sleep)
        else:
            self.value = context.value_at(spec.node, (self.key,), step.block.scope, self.places) or Constant(None)

    def check(self) -> Type:
        """Check that a value that is not constant can be a time or a duration."""
        types = infer_types(self._context, self.places)
        node = child(self.spec.node, self.key)
        if isinstance(self.value, Constant) or node is None:
            if node is not None and self.key == "wait_until" and isinstance(self.value, Constant):
                self._check_plausible(node, self.value.value)
            return entity_type(NULL)
        type_ = without_attributes(static_type(self.value, types))
        kinds = {option.kind for option in alternatives(type_)}
        if kinds.isdisjoint({"any", "string", "integer", "number"}):
            self._context.diagnostics.add(
                codes.INVALID_DURATION if self.key == "sleep" else codes.VALUE_NOT_ALLOWED,
                node.span,
                f"`{self.key}` of `{self.spec.id}` requires {_WANTED[self.key]}, but this is {describe_type(type_)}",
                label="another type",
                help=f"give {_FORMS[self.key]}",
            )
        return entity_type(NULL)

    def _check_plausible(self, node: Node, value: object) -> None:
        """Warn of a constant time in the distant past."""
        try:
            at = timestamp(value)
        except ValueError:
            return
        if at < PLAUSIBLE:
            moment = datetime.fromtimestamp(at, UTC)
            self._context.diagnostics.add(
                codes.IMPLAUSIBLE_TIME,
                node.span,
                f"`wait_until` of `{self.spec.id}` is {moment:%Y-%m-%d %H:%M:%S} UTC, so it does not wait",
                label="before 2000",
                help="a number is seconds since 1970; write a date as text, such as `2030-12-01T09:00`",
            )

    def plan(self) -> Wait:
        """Build the wait."""
        return Wait(duration=self.value) if self.key == "sleep" else Wait(until=self.value)
