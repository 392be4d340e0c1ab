"""Who is asked by a question or an approval, and when they are reminded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import static_type
from orchestrator.expressions import Constant, Type, Value, describe_type
from orchestrator.expressions.types.operators import alternatives, without_attributes
from orchestrator.plan.policies import Audience
from orchestrator.text.durations import FORMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, PlacedTemplate
    from orchestrator.language.spec.questions import ApproveSpec, AskSpec
    from orchestrator.language.yaml.nodes import Node

_NAMES: Final = frozenset({"any", "string", "array"})
_DURATION: Final = frozenset({"any", "string", "integer", "number"})


class SourceAudience:
    """The `assignee`, `remind` and `escalate` of the step `id`, below `node`; templates are added to `places`."""

    def __init__(
        self,
        context: CompilationContext,
        id: str,
        spec: AskSpec | ApproveSpec,
        node: Node | None,
        scope: NameScope,
        places: list[PlacedTemplate],
    ) -> None:
        self._context, self._id, self._node = context, id, node
        after = spec.escalate.after if spec.escalate is not None else None

        def duration(path: tuple[str, ...], seconds: float | str | None) -> Value | None:
            return Constant(seconds) if isinstance(seconds, float) else context.value_at(node, path, scope, places)

        names: tuple[tuple[str, ...], ...] = (("assignee",), ("escalate", "to"))
        self._names = {path: context.value_at(node, path, scope, places) for path in names}
        self._durations: dict[tuple[str, ...], Value | None] = {
            ("remind",): duration(("remind",), spec.remind),
            ("escalate", "after"): duration(("escalate", "after"), after),
        }

    def check(self, types: Mapping[int, Type]) -> None:
        """Report templates that give something other than names and durations."""
        for path, value in self._names.items():
            self._check(path, value, types, _NAMES, "names of people or groups", "a text, or a list of texts")
        for path, value in self._durations.items():
            self._check(path, value, types, _DURATION, "a duration", FORMS)

    def _check(
        self,
        path: tuple[str, ...],
        value: Value | None,
        types: Mapping[int, Type],
        wanted: frozenset[str],
        what: str,
        forms: str,
    ) -> None:
        node = child(self._node, *path)
        if value is None or node is None or isinstance(value, Constant):
            return
        actual = without_attributes(static_type(value, types))
        kinds = {option.kind for option in alternatives(actual)}
        if kinds.isdisjoint(wanted):  # what else it may be is refused when the question is asked
            name = ".".join(path)
            self._context.diagnostics.add(
                codes.WRONG_TYPE,
                node.span,
                f"`{name}` of `{self._id}` must be {what}, but this is {describe_type(actual)}",
                label="another type",
                help=f"give {forms}",
            )

    def plan(self) -> Audience:
        """Build the audience."""
        return Audience(
            assignee=self._names[("assignee",)],
            remind=self._durations[("remind",)],
            escalate_after=self._durations[("escalate", "after")],
            escalate_to=self._names[("escalate", "to")],
        )
