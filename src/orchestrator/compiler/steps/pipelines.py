"""Steps that call another pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.ir.files import Unreadable
from orchestrator.compiler.ir.names import UNKNOWN_STEP, entity_type, input_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.ir.nodes import SourceWork
from orchestrator.compiler.passes.calls import CallChecker, fields_of
from orchestrator.compiler.passes.inference import infer_types
from orchestrator.compiler.passes.library import find_pipeline, record_call
from orchestrator.diagnostics import Related, suggest
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import Constant, MappingValue, Type, Value, describe_type, object_of
from orchestrator.language.spec.input_values import input_problems
from orchestrator.language.yaml.nodes import Mapping, Scalar
from orchestrator.plan.steps import SubPipeline
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep
    from orchestrator.language.spec.inputs import InputSpec


class PipelineWork(SourceWork):
    """`pipeline` with `inputs`."""

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
        self.called = found.document
        record_call(self._context, found, node, limited=self.spec.max_depth is not None)

    def check(self) -> Type:
        """Check the inputs against the declarations of the called file."""
        types = infer_types(self._context, self.places)
        called = self._called
        if called is None or not called.is_declared:
            return UNKNOWN_STEP
        node = child(self.spec.node, "inputs")
        given = fields_of(self.inputs)
        meant = {self._unknown(called, name, node) for name in given if name not in called.spec.inputs}
        checked: dict[str, Value] = {}
        for name, value in given.items():
            checked[name] = value
            place, spec = child(node, name), called.spec.inputs.get(name)
            if place is None or spec is None:
                continue
            what = f"the input `{name}` of `{called.document.source.name}`"
            before = len(self._context.diagnostics)
            related = [_declaration(called, name)]
            checked[name] = CallChecker(self._context).typed(value, input_type(spec), place, what, types, related)
            if isinstance(value, Constant) and len(self._context.diagnostics) == before:
                for problem in input_problems(spec, value.value, name):
                    self._context.diagnostics.add(
                        codes.WRONG_PARAMETER_TYPE,
                        place.span,
                        f"{what} is not allowed: {problem}",
                        label="not allowed",
                        help="change it, or the declaration",
                        related=related,
                    )
        if isinstance(node, Mapping) or not self._context.diagnostics.lost_part_of(self.spec.node):
            for name, spec in called.spec.inputs.items():
                if name not in given and name not in meant and _is_needed(spec):
                    self._missing(called, name, spec)
        self.inputs = MappingValue(checked)
        if all(isinstance(value, Constant) for value in checked.values()):
            self.inputs = Constant({name: v.value for name, v in checked.items() if isinstance(v, Constant)})
        return self._type(called)

    def _type(self, called: CompilationContext) -> Type:
        outputs = {
            name: called.output_types[name] if name in called.output_types else input_type(spec.as_input())
            for name, spec in called.spec.outputs.items()
        }
        return entity_type(object_of(outputs), fields=outputs)

    def _unknown(self, called: CompilationContext, name: str, node: object) -> str | None:
        near = suggest(name, called.spec.inputs)
        key = node.key(name) if isinstance(node, Mapping) else None
        if key is None:
            return near
        file = called.document.source.name
        known = quoted_list(called.spec.inputs)
        self._context.diagnostics.add(
            codes.UNKNOWN_PIPELINE_INPUT,
            key.span,
            f"`{file}` has no input `{name}`",
            label="unknown input",
            help=f"did you mean `{near}`?" if near else f"its inputs: {known}" if known else "it takes no inputs",
            replacement=near,
            related=[_declaration(called, near)] if near else [],
        )
        return near

    def _missing(self, called: CompilationContext, name: str, spec: InputSpec) -> None:
        key = self.spec.node.key("inputs") or self.spec.node.key("pipeline")
        self._context.diagnostics.add(
            codes.MISSING_PIPELINE_INPUT,
            key.span if key else self.spec.node.span,
            f"`{called.document.source.name}` requires the input `{name}`",
            label=f"`{name}` is missing",
            help=f"add `{name}:` ({describe_type(input_type(spec))}) under `inputs:`",
            related=[_declaration(called, name)],
        )

    def plan(self) -> SubPipeline:
        """Build the call."""
        if self._called is None or self._called.key is None:
            raise OrchestratorError(f"step `{self.spec.id}` calls a file that was not found, and was not reported")
        return SubPipeline(self._called.key, self.inputs, self.spec.max_depth)


def _is_needed(spec: InputSpec) -> bool:
    return spec.required and not spec.has_default and spec.default_from_env is None


def _declaration(called: CompilationContext, name: str) -> Related:
    section = child(called.spec.node, "inputs")
    key = section.key(name) if isinstance(section, Mapping) else None
    span = key.span if key is not None else called.spec.node.span
    return Related(f"`{name}` is declared here", called.document.source, span)
