"""A step that is another pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.compiler.files import Unreadable
from orchestrator.compiler.ir import Construct
from orchestrator.compiler.names import entity_type, input_type
from orchestrator.compiler.templates import child
from orchestrator.diagnostics import Related, suggest
from orchestrator.errors import OrchestratorError
from orchestrator.expressions import ANY, Constant, MappingValue, Type, Value, describe, object_of
from orchestrator.language.yaml.nodes import Mapping, Scalar
from orchestrator.plan.steps import SubPipeline
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from orchestrator.compiler.context import Unit
    from orchestrator.compiler.ir import StepParts
    from orchestrator.language.spec.pipeline import InputSpec


class PipelineWork(Construct):
    """`pipeline` with `inputs`."""

    def __init__(self, unit: Unit, step: StepParts) -> None:
        super().__init__()
        self.spec = step.spec
        given = unit.value_at(step.spec.node, ("inputs",), step.block.scope, self.places)
        self.inputs: Value = Constant({}) if given is None else given
        node = child(step.spec.node, "pipeline")
        if isinstance(node, Scalar) and isinstance(node.value, str):
            self._find(unit, node, node.value)

    def _find(self, unit: Unit, node: Scalar, written: str) -> None:
        if "{{" in written or "{%" in written:
            unit.findings.add(
                codes.VALUE_NOT_ALLOWED,
                node.span,
                f"the file of `{self.spec.id}` must be known before the run, so it cannot hold a template",
                label="not evaluated",
                help="write the path of one file; to choose between several use `switch:`",
            )
            return
        found = unit.library.find(unit, written)
        if isinstance(found, Unreadable):
            label = "not permitted" if found.code == codes.NOT_PERMITTED else "cannot be read"
            unit.findings.add(found.code, node.span, found.message, label=label, help=found.help)
            return
        self.called = found
        unit.library.call(unit, found, node, limited=self.spec.max_depth is not None)

    def check(self, unit: Unit) -> Type:
        """Check the inputs against what the other file declares."""
        types = unit.infer(self.places)
        called = self.called
        if called is None or not called.is_declared:
            return entity_type(ANY)
        node = child(self.spec.node, "inputs")
        given = unit.calls.entries(self.inputs)
        meant = {self._unknown(unit, called, name, node) for name in given if name not in called.spec.inputs}
        checked: dict[str, Value] = {}
        for name, value in given.items():
            checked[name] = value
            place, spec = child(node, name), called.spec.inputs.get(name)
            if place is None or spec is None:
                continue
            what = f"the input `{name}` of `{called.document.source.name}`"
            before = len(unit.findings)
            related = [_declaration(called, name)]
            checked[name] = unit.calls.typed(value, input_type(spec), place, what, types, related)
            if isinstance(value, Constant) and len(unit.findings) == before:
                for problem in spec.problems(value.value, name):
                    unit.findings.add(
                        codes.WRONG_PARAMETER_TYPE,
                        place.span,
                        f"{what} is not allowed: {problem}",
                        label="not allowed",
                        help="change it, or the declaration",
                        related=related,
                    )
        if isinstance(node, Mapping) or not unit.findings.lost_part_of(self.spec.node.span):
            for name, spec in called.spec.inputs.items():
                if name not in given and name not in meant and _is_needed(spec):
                    self._missing(unit, called, name, spec)
        self.inputs = MappingValue(checked)
        if all(isinstance(value, Constant) for value in checked.values()):
            self.inputs = Constant({name: v.value for name, v in checked.items() if isinstance(v, Constant)})
        return self._type(called)

    def _type(self, called: Unit) -> Type:
        outputs = {
            name: called.output_types[name] if name in called.output_types else input_type(spec.as_input())
            for name, spec in called.spec.outputs.items()
        }
        return entity_type(object_of(outputs), fields=outputs)

    def _unknown(self, unit: Unit, called: Unit, name: str, node: object) -> str | None:
        near = suggest(name, called.spec.inputs)
        key = node.key(name) if isinstance(node, Mapping) else None
        if key is None:
            return near
        file = called.document.source.name
        known = quoted_list(called.spec.inputs)
        unit.findings.add(
            codes.UNKNOWN_PIPELINE_INPUT,
            key.span,
            f"`{file}` has no input `{name}`",
            label="unknown input",
            help=f"did you mean `{near}`?" if near else f"its inputs: {known}" if known else "it takes no inputs",
            replacement=near,
            related=[_declaration(called, near)] if near else [],
        )
        return near

    def _missing(self, unit: Unit, called: Unit, name: str, spec: InputSpec) -> None:
        key = self.spec.node.key("inputs") or self.spec.node.key("pipeline")
        unit.findings.add(
            codes.MISSING_PIPELINE_INPUT,
            key.span if key else self.spec.node.span,
            f"`{called.document.source.name}` needs the input `{name}`, which is not given",
            label=f"`{name}` is missing",
            help=f"add `{name}:` ({describe(input_type(spec))}) under `inputs:`",
            related=[_declaration(called, name)],
        )

    def plan(self, unit: Unit) -> SubPipeline:
        """Build the call."""
        if self.called is None or self.called.key is None:
            raise OrchestratorError(f"step `{self.spec.id}` calls a file that was not found, and was not reported")
        return SubPipeline(self.called.key, self.inputs, self.spec.max_depth)


def _is_needed(spec: InputSpec) -> bool:
    return spec.required and not spec.has_default and spec.default_from_env is None


def _declaration(called: Unit, name: str) -> Related:
    section = child(called.spec.node, "inputs")
    key = section.key(name) if isinstance(section, Mapping) else None
    span = key.span if key is not None else called.spec.node.span
    return Related(f"`{name}` is declared here", called.document.source, span)
