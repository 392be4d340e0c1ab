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
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY, INTEGER, NULL, Type, Value, array_of, union_of
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.language.yaml.nodes import Mapping, Scalar
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
        for section in ("initial", "update"):
            entries = child(spec.node, section)
            for entry in entries.entries if isinstance(entries, Mapping) else []:
                self._declare(entry.key)
        self._read("initial", outer, self.first, self._carried.initial)
        self.body = context.blocks.read("repeat", spec.steps or (), NameScope(self.names), step)
        inside = self.body.scope
        self.names.names["previous"] = union_of((Type("object", properties=inside.steps, closed=True), NULL))
        node = child(spec.node, self.key)
        self.condition = context.templates.condition(node, inside, self._carried.tests) if node is not None else None
        self._read("update", inside, self._carried.changes, self._carried.update)
        self.outcomes = []
        self.collect = context.value_at(spec.node, ("collect",), inside, self.outcomes)
        self.places = [*self.first, *self._carried.tests, *self._carried.changes, *self.outcomes]

    def _declare(self, key: Scalar) -> None:
        name = key.text
        if name in self.names.targets and name not in ("iteration", "previous"):
            return
        if name in _OWN_FIELDS:
            self._context.diagnostics.add(
                codes.INVALID_NAME,
                key.span,
                f"`{name}` cannot be the name of a carried value: `{self.spec.id}.{name}` is reserved",
                label="reserved",
                help=f"choose another name, for example `my_{name}`",
            )
        elif self._context.claim("carried value", name, key.span, self.names.parent or self.names):
            self._context.declare_within(self.names, "carried value", name, key, self.spec.id)
            return
        self.names.names.setdefault(name, ANY)

    def _read(self, section: str, scope: NameScope, places: list[PlacedTemplate], into: dict[str, Value]) -> None:
        entries = child(self.spec.node, section)
        for entry in entries.entries if isinstance(entries, Mapping) else []:
            into[entry.key.text] = self._context.value(entry.value, scope, places)

    def check(self) -> Type:
        """Check the body, the condition and the accumulators."""
        first = infer_types(self._context, self.first)
        carried = self._carried_types(
            {name: without_attributes(static_type(v, first)) for name, v in self._carried.initial.items()}
        )
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

    def _carried_types(self, first: dict[str, Type]) -> dict[str, Type]:
        """Return the types of the accumulators: those of their initial values, if no update changes them."""
        types = {name: first.get(name, ANY) for name in (*self._carried.initial, *self._carried.update)}
        while True:
            self.names.names.update(types)
            found = infer_types(self._context, self._carried.changes, quiet=True)
            moved = [
                name
                for name, value in self._carried.update.items()
                if types[name] != ANY and without_attributes(static_type(value, found)) != types[name]
            ]
            if not moved:
                return types
            types.update(dict.fromkeys(moved, ANY))

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
            max_iterations=self.spec.max_iterations,
            on_limit=self.spec.on_limit,
            initial=self._carried.initial,
            update=self._carried.update,
            collect=self.collect,
        )
