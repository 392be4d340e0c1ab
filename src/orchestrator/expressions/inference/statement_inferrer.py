"""Infers the type of a whole template: what its statements define, and the type of its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.expressions.evaluation.scope import LOOP_FIELDS
from orchestrator.expressions.inference.expression_inferrer import ExpressionInferrer, value_description
from orchestrator.expressions.problem import Inference
from orchestrator.expressions.syntax import nodes
from orchestrator.expressions.types.operators import alternatives, without_attributes
from orchestrator.expressions.types.value_types import (
    ANY,
    BOOLEAN,
    INTEGER,
    STRING,
    Type,
    describe_type,
    object_of,
    union_of,
)
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.expressions.syntax.nodes import Expression, Statement

_OTHER_LOOP_FIELDS: Final = {"first": BOOLEAN, "last": BOOLEAN, "previtem": ANY, "nextitem": ANY}
_LOOP: Final = object_of({name: _OTHER_LOOP_FIELDS.get(name, INTEGER) for name in LOOP_FIELDS})


def infer(body: list[Statement], expression: Expression | None, env: Mapping[str, Type]) -> Inference:
    """Infer the type of a template; `expression` is its only expression, if it consists of nothing else."""
    inferrer = StatementInferrer(body, env)
    if expression is not None:
        type_ = inferrer.type(expression, {})
    else:
        inferrer.statements(body, {})
        type_ = STRING
    return Inference(type_, tuple(inferrer.problems))


class StatementInferrer(ExpressionInferrer):
    """Infers the types of the names that statements define."""

    def statements(self, body: list[Statement], local: dict[str, Type]) -> None:
        """Take the types of the names that statements define into `local`."""
        for statement in body:
            match statement:
                case nodes.Output():
                    self.type(statement.expression, local)
                case nodes.Declare():
                    local.update(dict.fromkeys(statement.names, ANY))
                case nodes.Assign():
                    value = self.type(statement.value, local)
                    if statement.member is None:
                        single = len(statement.targets) == 1 and not statement.unpacked
                        local.update(dict.fromkeys(statement.targets, value if single else ANY))
                        if statement.unpacked and self._never(value, ("array",)):
                            self._not_unpacked(value, statement.targets, statement.value, "use a list of values")
                case nodes.Capture():
                    self.statements(statement.body, dict(local))
                    inside = {**local, statement.placeholder: STRING}
                    local[statement.name] = self.type(statement.filters, inside) if statement.filters else STRING
                case nodes.If():
                    self._if(statement, local)
                case nodes.For():
                    self._for(statement, local)
                case nodes.Text():
                    pass

    def _if(self, statement: nodes.If, local: dict[str, Type]) -> None:
        outcomes = []
        for test, body in statement.branches:
            self.type(test, local)
            inner = dict(local)
            self.statements(body, inner)
            outcomes.append(inner)
        inner = dict(local)
        self.statements(statement.otherwise or [], inner)
        outcomes.append(inner)
        for name in {name for outcome in outcomes for name in outcome}:
            kinds = [outcome.get(name) or self.env.get(name) or ANY for outcome in outcomes]
            local[name] = (
                kinds[0] if all(kind is kinds[0] for kind in kinds) else union_of(map(without_attributes, kinds))
            )

    def _for(self, statement: nodes.For, local: dict[str, Type]) -> None:
        source = self.type(statement.iterable, local)
        item = self.item_type(source, statement.iterable)
        inner = dict(local)
        if statement.unpacked:
            inner.update(dict.fromkeys(statement.targets, ANY))
            if self._never(item, ("array",)):
                help = "each item must be a list; use a single name, and read the fields of the item"
                if source.kind == "object":
                    help = "a loop over an object yields its field names; for pairs with the values use `.items()`"
                self._not_unpacked(item, statement.targets, statement.iterable, help)
        else:
            inner[statement.targets[0] if statement.targets else ""] = item
        if statement.condition is not None:
            self.type(statement.condition, inner)
        inner["loop"] = _LOOP
        self.statements(statement.body, inner)
        self.statements(statement.otherwise or [], dict(local))

    def _not_unpacked(self, value: Type, targets: list[str], node: Expression, help: str) -> None:
        message = f"{value_description(value)} cannot be unpacked into {quoted_list(targets, most=8)}"
        self.report(codes.INCOMPATIBLE_TYPES, message, node, help, "incompatible types")

    def item_type(self, source: Type, node: Expression) -> Type:
        """Return the type of the items of a loop over the source."""
        items = []
        for option in alternatives(source):
            if option.kind == "any":
                return ANY
            if option.kind == "array":
                items.append(option.items or ANY)
            elif option.kind in ("string", "object"):
                items.append(STRING)
        if not items:
            self.report(
                codes.INCOMPATIBLE_TYPES,
                f"cannot loop over {describe_type(source)}",
                node,
                "loop over a list, an object or a string",
                "not a list",
            )
            return ANY
        return union_of(items)
