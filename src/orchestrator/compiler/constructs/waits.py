"""Waiting for a time, or for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.compiler.calls import static_type
from orchestrator.compiler.names import entity_type
from orchestrator.compiler.parts import Construct
from orchestrator.compiler.plan import Wait
from orchestrator.compiler.templates import child
from orchestrator.expressions import NULL, Constant, Type, Value, describe
from orchestrator.expressions.operator_types import bare
from orchestrator.expressions.scope import Failure
from orchestrator.expressions.times import read_time
from orchestrator.language.durations import FORMS, parse_duration

if TYPE_CHECKING:
    from orchestrator.compiler.parts import StepParts
    from orchestrator.compiler.unit import Unit
    from orchestrator.language.nodes import Node


class WaitWork(Construct):
    """`wait_until` and `sleep`."""

    def __init__(self, unit: Unit, step: StepParts) -> None:
        super().__init__()
        self.spec = step.spec
        self.key = "sleep" if step.spec.kind == "sleep" else "wait_until"
        found = unit.value_at(step.spec.node, (self.key,), step.block.scope, self.places)
        self.value: Value = Constant(None) if found is None else found

    def check(self, unit: Unit) -> Type:
        """Check that a constant is a time or a duration, and that anything else can be one."""
        types = unit.infer(self.places)
        node = child(self.spec.node, self.key)
        if node is None:
            return entity_type(NULL)
        if isinstance(self.value, Constant):
            self._constant(unit, node)
            return entity_type(NULL)
        type_ = bare(static_type(self.value, types))
        kinds = {option.kind for option in (type_.options if type_.kind == "union" else (type_,))}
        if kinds.isdisjoint({"any", "string", "integer", "number"}):
            unit.findings.add(
                "ORC206" if self.key == "sleep" else "ORC205",
                node.span,
                f"`{self.key}` of `{self.spec.id}` needs {_WANTED[self.key]}, and this is {describe(type_)}",
                label="another type",
                help=f"give {_WANTED[self.key]}",
            )
        return entity_type(NULL)

    def _constant(self, unit: Unit, node: Node) -> None:
        value = self.value.value if isinstance(self.value, Constant) else None
        if self.key == "sleep":
            try:
                self.value = Constant(parse_duration(value))
            except ValueError as error:
                unit.findings.add(
                    "ORC206",
                    node.span,
                    f"`sleep` of `{self.spec.id}` is no duration: {error}",
                    label="not a duration",
                    help=f"write {FORMS}",
                )
        elif not _is_time(value):
            unit.findings.add(
                "ORC205",
                node.span,
                f"`wait_until` of `{self.spec.id}` is no time",
                label="not a time",
                help="write it as `2026-12-01T09:00`, with `Z` or `+01:00` for a time zone; to wait for a duration "
                "write `sleep:`",
            )

    def plan(self, unit: Unit) -> Wait:
        """Build the wait."""
        return Wait(duration=self.value) if self.key == "sleep" else Wait(until=self.value)


_WANTED = {"sleep": "a duration", "wait_until": "a time"}


def _is_time(value: object) -> bool:
    """Whether a constant is seconds since the epoch, or a date or time of ISO 8601."""
    try:
        read_time(value)
    except Failure:
        return False
    return True
