"""Loops that run while, or until, a condition is true."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.names import OUTCOME_FIELDS, entity_type, nullable
from orchestrator.compiler.ir.node_paths import child, is_always_false
from orchestrator.compiler.ir.nodes import Carried, NameScope, SourceWork
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.policies import known
from orchestrator.compiler.steps.carried import carried_types, declare_carried, read_carried
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY, INTEGER, NULL, Type, array_of, union_of
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.language.yaml.nodes import Scalar
from orchestrator.plan.steps import RepeatLoop

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate, SourceStep

_OWN_FIELDS = frozenset({"iterations", "count"}) | OUTCOME_FIELDS
_CHANGES_BY_ITSELF = re.compile(r"\bnow\s*\(")


class RepeatWork(SourceWork):
    """`while` and `until`. `names` is the scope of the names of each round."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        self.spec = spec = step.spec
        self.key = "while" if spec.kind == "while" else "until"
        outer = step.block.scope
        self.names = NameScope(outer, {"iteration": INTEGER, "previous": ANY})
        self.carried = self._carried = Carried(self.names, is_tested_first=self.key == "while")
        self.first: list[PlacedTemplate] = []
        declare_carried(context, spec, self._carried, _OWN_FIELDS)
        read_carried(context, spec, "initial", outer, self.first, self._carried.initial)
        self.body = context.blocks.read("repeat", spec.steps or (), NameScope(self.names), step)
        inside = self.body.scope
        self.names.names["previous"] = union_of((Type("object", properties=inside.steps, closed=True), NULL))
        node = child(spec.node, self.key)
        self.condition = context.templates.condition(node, inside, self._carried.tests) if node is not None else None
        read_carried(context, spec, "update", inside, self._carried.changes, self._carried.update)
        self.outcomes = []
        self.collect = context.value_at(spec.node, ("collect",), inside, self.outcomes)
        self.places = [*self.first, *self._carried.tests, *self._carried.changes, *self.outcomes]

    def check(self) -> Type:
        """Check the body, the condition and the accumulators."""
        carried = carried_types(self._context, self._carried, self.first)
        self._context.blocks.check(self.body)
        infer_types(self._context, self._carried.tests)
        infer_types(self._context, self._carried.changes)
        types = infer_types(self._context, self.outcomes)
        value = without_attributes(self.body.value_type() or ANY)
        if self.collect is not None:
            value = without_attributes(static_type(self.collect, types))
        self._check_end()
        fields = {**carried, "iterations": array_of(value), "count": INTEGER}
        return entity_type(nullable(value) if self.key == "while" else value, fields=fields)

    def _check_end(self) -> None:
        """Warn of a condition that is the same in every round."""
        node = child(self.spec.node, self.key)
        if self.condition is None or node is None or self.condition.problems:
            return
        if _CHANGES_BY_ITSELF.search(self.condition.text):
            return
        reads = [self.body.scope.target(reference) for reference in self.condition.references]
        for target in reads:
            if target is None:
                continue
            changing = target.name in ("iteration", "previous") or target.name in self._carried.update
            if target.block is self.body or (target.scope is self.names and changing):
                return
        if any(reference.name == "steps" for reference in self.condition.references) or None in reads:
            return  # something that is reported in its own right
        if not self.body.steps or (not reads and (self.spec.on_limit == "continue" or self._is_never())):
            return  # a fixed number of rounds, or none
        never = "it runs until its limit" if reads else "it is a constant"
        self._context.diagnostics.add(
            codes.ENDLESS_LOOP,
            node.span,
            f"the condition of `{self.spec.id}` never changes: {never}",
            label="the same in every round",
            help="read a step of the body, `iteration`, or a name under `update:`; for a fixed number of rounds, write "
            "`for_each: {range: 10}`",
        )

    def _is_never(self) -> bool:
        node = child(self.spec.node, "while")
        return isinstance(node, Scalar) and is_always_false(node)

    def plan(self) -> RepeatLoop:
        """Build the loop."""
        if self.condition is None:
            raise OrchestratorError(f"the loop `{self.spec.id}` has no condition, and was not reported")
        return RepeatLoop(
            kind="while" if self.key == "while" else "until",
            condition=self.condition,
            body=self._context.blocks.plan(self.body),
            max_iterations=known(self.spec.max_iterations) or 100,
            on_limit=self.spec.on_limit,
            initial=self._carried.initial,
            update=self._carried.update,
            collect=self.collect,
        )
