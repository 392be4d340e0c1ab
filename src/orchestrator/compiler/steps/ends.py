"""Steps that end the pipeline early, as succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.names import entity_type, input_type
from orchestrator.compiler.ir.node_paths import child, child_key
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import static_type
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.diagnostics import suggest
from orchestrator.expressions import Type, Value, is_assignable, object_of
from orchestrator.expressions.types.operators import without_attributes
from orchestrator.expressions.types.value_types import describe_type
from orchestrator.plan.values import End
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep


class EndWork(SourceWork):
    """`end`."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        self._step = step
        self.outputs: dict[str, Value] = {}
        for name in step.spec.end or ():
            value = context.value_at(step.spec.node, ("end", name), step.block.scope, self.places)
            if value is not None:
                self.outputs[name] = value

    def check(self) -> Type:
        """Check the outputs against their declarations. They are the value of the step, which only outputs can read."""
        self._report_place()
        types = infer_types(self._context, self.places)
        given = {name: without_attributes(static_type(value, types)) for name, value in self.outputs.items()}
        for name, actual in given.items():
            self._check_output(name, actual)
        return entity_type(object_of(given))

    def _report_place(self) -> None:
        within = {each.block.kind for each in self._step.ancestors()}
        of_pipeline = any(each.block.kind == "handler" and each.block.owner is None for each in self._step.ancestors())
        if not within & {"finally", "undo"} and not of_pipeline:
            return
        place = self._step.spec.node.key("end")
        self._context.diagnostics.add(
            codes.VALUE_NOT_ALLOWED,
            place.span if place is not None else self._step.id_span,
            f"`{self._step.id}` cannot end the pipeline: its steps have already ended",
            label="too late",
            help="remove the step: when all that is to be undone was undone, the run ends by itself"
            if "undo" in within
            else "move the step to `steps:`"
            if "finally" in within
            else "to succeed despite a failure, handle it in the `on_error` of the step that may fail",
        )

    def _check_output(self, name: str, actual: Type) -> None:
        context, declared = self._context, self._context.spec.outputs
        place = child(self._step.spec.node, "end", name) or self._step.spec.node
        if name not in declared:
            near = suggest(name, declared)
            key = child_key(self._step.spec.node, "end", name)
            context.diagnostics.add(
                codes.UNKNOWN_KEY,
                key.span if key is not None else place.span,
                f"the pipeline has no output `{name}`",
                label="unknown output",
                help=f"did you mean `{near}`?"
                if near
                else f"its outputs: {quoted_list(declared)}"
                if declared
                else f'declare it: `outputs: {{{name}: "{{{{ ... }}}}"}}` at the top of the file, or write `end: true`',
                replacement=near,
            )
            return
        context.early_outputs.setdefault(name, []).append(actual)
        wanted = input_type(declared[name].as_input())
        if declared[name].type and not is_assignable(actual, wanted):
            context.diagnostics.add(
                codes.WRONG_OUTPUT_TYPE,
                place.span,
                f"the output `{name}` is declared as {describe_type(wanted)}, but `{self._step.id}` gives it "
                f"{describe_type(actual)}",
                label=f"expected {describe_type(wanted)}",
                help="change the `type:` or convert the value",
                severity="error",
            )

    def plan(self) -> End:
        """Build the end."""
        return End(self.outputs)
