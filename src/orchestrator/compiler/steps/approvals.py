"""Questions to a person: `ask` and `approve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.names import entity_type, input_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY, ARRAY, BOOLEAN, Constant, Type, Value, describe_type, is_assignable, object_of
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.language.spec.input_values import input_problems
from orchestrator.language.yaml.nodes import Sequence
from orchestrator.plan.steps import Approve, Ask

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.language.yaml.nodes import Node


class AskWork(SourceWork):
    """`ask`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        if step.spec.ask is None:
            raise OrchestratorError(f"step `{step.spec.id}` asks nothing")
        self.spec, self.ask = step.spec, step.spec.ask
        self.answer: InputSpec = self.ask.as_input()
        node, scope = step.spec.node, step.block.scope
        self.prompt = context.value_at(node, ("ask", "prompt"), scope, self.places)
        self.choices = context.value_at(node, ("ask", "choices"), scope, self.places)
        self.default = context.value_at(node, ("ask", "default"), scope, self.places) if self.ask.has_default else None

    def check(self) -> Type:
        """Check that the choices are valid answers, and the type of a default that is not constant."""
        types = infer_types(self._context, self.places)
        wanted = self._type()
        choices, default = (child(self.spec.node, "ask", key) for key in ("choices", "default"))
        plain = self.answer.model_copy(update={"enum": None})
        if isinstance(self.choices, Constant) and isinstance(choices, Sequence):
            for node, value in zip(choices.items, self.choices.value, strict=True):
                for problem in input_problems(plain, value):
                    self._not_allowed(node, f"a choice of `{self.spec.id}`", problem)
        elif self.choices is not None and choices is not None:
            type_ = without_attributes(static_type(self.choices, types))
            if not is_assignable(type_, ARRAY):
                self._not_allowed(
                    choices, f"`choices` of `{self.spec.id}`", f"it is {describe_type(type_)}, not a list"
                )
        if self.default is not None and default is not None and not isinstance(self.default, Constant):
            type_ = without_attributes(static_type(self.default, types))
            if not is_assignable(type_, wanted):
                what = f"it is {describe_type(type_)}, not {describe_type(wanted)}"
                self._not_allowed(default, f"the default of `{self.spec.id}`", what)
        return entity_type(wanted)

    def _type(self) -> Type:
        spec = self.answer.model_copy(update={"required": True})
        return input_type(spec)

    def _not_allowed(self, node: Node, what: str, problem: str) -> None:
        self._context.diagnostics.add(
            codes.INVALID_DEFAULT,
            node.span,
            f"{what} is not a valid answer: {problem}",
            label="invalid answer",
            help="change it, or the answer's declaration in `ask`",
        )

    def plan(self) -> Ask:
        """Build the question."""
        return Ask(self.prompt or Constant(""), self.answer, self.choices, self.default)


class ApproveWork(SourceWork):
    """`approve`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        if step.spec.approve is None:
            raise OrchestratorError(f"step `{step.spec.id}` asks for no approval")
        self.approve = step.spec.approve
        node, scope = step.spec.node, step.block.scope
        self.title: Value = context.value_at(node, ("approve", "title"), scope, self.places) or Constant("")
        self.content: Value = context.value_at(node, ("approve", "content"), scope, self.places) or Constant(None)

    def check(self) -> Type:
        """Check the title and the content."""
        types = infer_types(self._context, self.places)
        content = ANY if self.approve.allow_editing else without_attributes(static_type(self.content, types))
        result = object_of({"approved": BOOLEAN, "content": content, "comment": ANY})
        return entity_type(BOOLEAN, result=result, fields=result.properties)

    def plan(self) -> Approve:
        """Build the question."""
        default = self.approve.default
        return Approve(
            title=self.title,
            content=self.content,
            editable=self.approve.allow_editing,
            default=Constant(default) if default is not None else None,
        )
