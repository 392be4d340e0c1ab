"""Questions to a person: `ask` and `approve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.compiler.ir.names import entity_type, input_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.steps.audiences import SourceAudience
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY, ARRAY, BOOLEAN, Constant, Type, Value, describe_type, is_assignable, object_of
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.language.spec.input_values import input_problems
from orchestrator.language.yaml.nodes import Sequence
from orchestrator.plan.steps import Approve, Ask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, PlacedTemplate, SourceStep
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.language.spec.questions import AskSpec
    from orchestrator.language.yaml.nodes import Node


class AskWork(SourceWork):
    """`ask`: one question, or several."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        if step.spec.ask is None:
            raise OrchestratorError(f"step `{step.spec.id}` asks nothing")
        self._context, self._ask = context, step.spec.ask
        node, scope = child(step.spec.node, "ask"), step.block.scope
        self._question = SourceQuestion(context, step.spec.id, self._ask, node, scope, self.places)
        self._audience = SourceAudience(context, step.spec.id, self._ask, node, scope, self.places)
        self._parts = {
            name: SourceQuestion(
                context, f"{step.spec.id}.{name}", part, child(node, "questions", name), scope, self.places
            )
            for name, part in (self._ask.questions or {}).items()
        }

    def check(self) -> Type:
        """Check that the choices are valid answers, and the types of defaults that are not constant."""
        types = infer_types(self._context, self.places)
        for question in (self._question, *self._parts.values()):
            question.check(types)
        self._audience.check(types)
        answer = input_type(self._question.answer.model_copy(update={"required": True}))
        if self._parts:
            answer = replace(answer, closed=True)
            return entity_type(answer, fields=answer.properties)
        return entity_type(answer)

    def plan(self) -> Ask:
        """Build the question."""
        asked = self._question.plan()
        questions = {name: part.plan() for name, part in self._parts.items()}
        return replace(asked, questions=questions, audience=self._audience.plan())


class SourceQuestion:
    """One question: `what` names it in messages, `node` is the mapping that it is written as."""

    def __init__(
        self,
        context: CompilationContext,
        what: str,
        ask: AskSpec,
        node: Node | None,
        scope: NameScope,
        places: list[PlacedTemplate],
    ) -> None:
        self._context, self._what, self._node = context, what, node
        self.answer: InputSpec = ask.as_input()
        self._prompt = context.value_at(node, ("prompt",), scope, places)
        self._choices = context.value_at(node, ("choices",), scope, places)
        self._default = context.value_at(node, ("default",), scope, places) if ask.has_default else None

    def check(self, types: Mapping[int, Type]) -> None:
        """Check that the choices are valid answers, and the type of a default that is not constant."""
        wanted = input_type(self.answer.model_copy(update={"required": True}))
        choices, default = (child(self._node, key) for key in ("choices", "default"))
        plain = self.answer.model_copy(update={"enum": None})
        if isinstance(self._choices, Constant) and isinstance(choices, Sequence):
            for node, value in zip(choices.items, self._choices.value, strict=True):
                for problem in input_problems(plain, value):
                    self._not_allowed(node, f"a choice of `{self._what}`", problem)
        elif self._choices is not None and choices is not None:
            type_ = without_attributes(static_type(self._choices, types))
            if not is_assignable(type_, ARRAY):
                self._not_allowed(choices, f"`choices` of `{self._what}`", f"it is {describe_type(type_)}, not a list")
        if self._default is not None and default is not None and not isinstance(self._default, Constant):
            type_ = without_attributes(static_type(self._default, types))
            if not is_assignable(type_, wanted):
                what = f"it is {describe_type(type_)}, not {describe_type(wanted)}"
                self._not_allowed(default, f"the default of `{self._what}`", what)

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
        return Ask(self._prompt or Constant(""), self.answer, self._choices, self._default)


class ApproveWork(SourceWork):
    """`approve`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        if step.spec.approve is None:
            raise OrchestratorError(f"step `{step.spec.id}` asks for no approval")
        self.approve = step.spec.approve
        node, scope = step.spec.node, step.block.scope
        below = child(node, "approve")
        self._audience = SourceAudience(context, step.spec.id, self.approve, below, scope, self.places)
        self.title: Value = context.value_at(node, ("approve", "title"), scope, self.places) or Constant("")
        self.content: Value = context.value_at(node, ("approve", "content"), scope, self.places) or Constant(None)

    def check(self) -> Type:
        """Check the title and the content, and who is asked."""
        types = infer_types(self._context, self.places)
        self._audience.check(types)
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
            audience=self._audience.plan(),
        )
