"""Steps that call another pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.files import Unreadable
from orchestrator.compiler.ir.names import UNKNOWN_STEP, entity_type, input_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import fields_of
from orchestrator.compiler.passes.given_inputs import GivenInputs
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.library import find_pipeline, record_call
from orchestrator.diagnostics import suggest
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import STRING, Constant, Type, Value, object_of
from orchestrator.language.yaml.nodes import Scalar
from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.steps import SubPipeline
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep


_OF_THE_CALL: Final = ("max_depth", "timeout", "budget", "produces")


class PipelineWork(SourceWork):
    """`pipeline` with `inputs`: a part of this run, or with `detach` a run of its own."""

    def __init__(self, context: CompilationContext, step: SourceStep) -> None:
        super().__init__()
        self._context = context
        self._called: CompilationContext | None = None
        self.spec = step.spec
        given = context.value_at(step.spec.node, ("inputs",), step.block.scope, self.places)
        self.inputs: Value = Constant({}) if given is None else given
        node = child(step.spec.node, "pipeline")
        if isinstance(node, Scalar) and isinstance(node.value, str):
            self._find(node, node.value)

    def _find(self, node: Scalar, written: str) -> None:
        if "{{" in written or "{%" in written:
            self._context.diagnostics.add(
                codes.VALUE_NOT_ALLOWED,
                node.span,
                f"the file of `{self.spec.id}` must be known before the run, so it cannot contain a template",
                label="not evaluated",
                help="write the path of one file; to choose between several, use `switch:`",
            )
            return
        found = find_pipeline(self._context, written)
        if isinstance(found, Unreadable):
            label = "not permitted" if found.code == codes.NOT_PERMITTED else "cannot be read"
            self._context.diagnostics.add(
                found.code, node.span, found.message, label=label, help=found.help, remedies=found.remedies
            )
            return
        self._called = found
        if not self.spec.detach:
            self.called = found.document
        limited = self.spec.max_depth is not None and not self.spec.detach
        record_call(self._context, found, node, limited=limited, detached=self.spec.detach)

    def check(self) -> Type:
        """Check the inputs against the declarations of the called file."""
        types = infer_types(self._context, self.places)
        called = self._called
        if self.spec.detach:
            self._report_without_effect()
        if called is None or not called.is_declared:
            return UNKNOWN_STEP
        if self.spec.result_names and not self.spec.detach:
            self._name_results(called)
        self.inputs = GivenInputs(self._context, called, self.spec.node, "pipeline").check(self.inputs, types)
        if self.spec.detach:
            self._report_exposed(called)
        return entity_type(STRING) if self.spec.detach else self._type(called)

    def _name_results(self, called: CompilationContext) -> None:
        """Check the outputs that an `output_mapping` names; it is written in either direction."""
        names, outputs = self.spec.result_names, called.spec.outputs
        if not outputs.keys() >= set(names.values()) and outputs.keys() >= names.keys():
            names = {name: output for output, name in names.items()}
            self.spec.rename_results(names)
        for output in names.values():
            if output not in outputs and called.is_declared:
                near = suggest(output, outputs)
                key = self.spec.node.key("pipeline") or self.spec.node
                self._context.diagnostics.add(
                    codes.UNKNOWN_FIELD,
                    key.span,
                    f"`output_mapping` of `{self.spec.id}` names `{output}`, which is not an output of "
                    f"`{called.document.source.name}`",
                    label="not an output of this pipeline",
                    help=f"did you mean `{near}`?" if near else f"its outputs: {quoted_list(outputs) or 'none'}",
                )

    def _type(self, called: CompilationContext) -> Type:
        outputs = {
            name: called.output_types[name] if name in called.output_types else input_type(spec.as_input())
            for name, spec in called.spec.outputs.items()
        }
        return entity_type(object_of(outputs), fields=outputs)

    def _report_without_effect(self) -> None:
        """Report keys about the steps of the pipeline: they are not steps of this run."""
        for name in _OF_THE_CALL:
            key = self.spec.node.key(name)
            if key is not None:
                self._context.diagnostics.add(
                    codes.KEY_WITHOUT_EFFECT,
                    key.span,
                    f"`{name}` of `{self.spec.id}` has no effect: with `detach` the pipeline is a run of its own",
                    label="without effect",
                    help="move it to the top of that file" if name in ("timeout", "budget") else "remove it",
                )

    def _report_exposed(self, called: CompilationContext) -> None:
        """Report secrets that are given to inputs that are not secret: the other run would record them."""
        scopes = {id(place.template): place for place in self.places}
        for name, value in fields_of(self.inputs).items():
            declared = called.spec.inputs.get(name)
            if declared is None or declared.secret:
                continue
            for place in filter(None, (scopes.get(id(template)) for template in value.templates())):
                for reference, scalar in place.references():
                    target = place.scope.target(reference)
                    known = self._context.spec.inputs
                    if target is not None and target.kind == "input" and known[target.name].secret:
                        self._context.diagnostics.add(
                            codes.VALUE_NOT_ALLOWED,
                            scalar.span_of(reference.start, reference.end),
                            f"the secret `{target.name}` is given to the input `{name}` of another run, which would "
                            "record it",
                            label="not secret there",
                            help=f"declare `{name}` as `secret: true` in that file",
                        )

    def plan(self) -> SubPipeline | DetachedRun:
        """Build the call."""
        if self._called is None or self._called.key is None:
            raise OrchestratorError(f"step `{self.spec.id}` calls a file that was not found, and was not reported")
        if self.spec.detach:
            return DetachedRun(self._called.key, self.inputs)
        return SubPipeline(self._called.key, self.inputs, self.spec.max_depth)
