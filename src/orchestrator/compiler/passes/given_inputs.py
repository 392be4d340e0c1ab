"""Checks the inputs that a step or a trigger gives to a pipeline against the declarations of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator import codes
from orchestrator.compiler.ir.context import CompilationContext
from orchestrator.compiler.ir.names import input_type
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.passes.calls import CallChecker, fields_of
from orchestrator.diagnostics import Related, suggest
from orchestrator.expressions import Constant, MappingValue, Value, describe_type
from orchestrator.language.spec.input_values import input_problems
from orchestrator.language.yaml.nodes import Mapping
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingABC

    from orchestrator.expressions import Type
    from orchestrator.language.spec.inputs import InputSpec


class GivenInputs(Struct, frozen=True):
    """The key `inputs` of `holder`, in the file of `context`, for the pipeline in the file `called`.

    `named` is the key of the holder at which missing inputs are reported if it has no `inputs`.
    """

    context: CompilationContext
    called: CompilationContext
    holder: Mapping
    named: str

    def check(self, inputs: Value, types: MappingABC[int, Type]) -> Value:
        """Report unknown, unfit and missing inputs, and return them as they are to be evaluated."""
        called, diagnostics = self.called, self.context.diagnostics
        node = child(self.holder, "inputs")
        given = fields_of(inputs)
        meant = {self._unknown(name, node) for name in given if name not in called.spec.inputs}
        checked: dict[str, Value] = {}
        for name, value in given.items():
            checked[name] = value
            place, spec = child(node, name), called.spec.inputs.get(name)
            if place is None or spec is None:
                continue
            what = f"the input `{name}` of `{called.document.source.name}`"
            before = len(diagnostics)
            related = [self._declaration(name)]
            checked[name] = CallChecker(self.context).typed(value, input_type(spec), place, what, types, related)
            if isinstance(value, Constant) and len(diagnostics) == before:
                for problem in input_problems(spec, value.value, name):
                    diagnostics.add(
                        codes.WRONG_PARAMETER_TYPE,
                        place.span,
                        f"{what} is not allowed: {problem}",
                        label="not allowed",
                        help="change it, or the declaration",
                        related=related,
                    )
        if isinstance(node, Mapping) or not diagnostics.lost_part_of(self.holder):
            for name, spec in called.spec.inputs.items():
                if name not in given and name not in meant and _is_needed(spec):
                    self._missing(name, spec)
        if all(isinstance(value, Constant) for value in checked.values()):
            return Constant({name: value.value for name, value in checked.items() if isinstance(value, Constant)})
        return MappingValue(checked)

    def _unknown(self, name: str, node: object) -> str | None:
        """Report an unknown input, and return the one that was probably meant."""
        called = self.called
        near = suggest(name, called.spec.inputs)
        key = node.key(name) if isinstance(node, Mapping) else None
        if key is None:
            return near
        file = called.document.source.name
        known = quoted_list(called.spec.inputs)
        self.context.diagnostics.add(
            codes.UNKNOWN_PIPELINE_INPUT,
            key.span,
            f"`{file}` has no input `{name}`",
            label="unknown input",
            help=f"did you mean `{near}`?" if near else f"its inputs: {known}" if known else "it takes no inputs",
            replacement=near,
            related=[self._declaration(near)] if near else [],
        )
        return near

    def _missing(self, name: str, spec: InputSpec) -> None:
        key = self.holder.key("inputs") or self.holder.key(self.named)
        self.context.diagnostics.add(
            codes.MISSING_PIPELINE_INPUT,
            key.span if key else self.holder.span,
            f"`{self.called.document.source.name}` requires the input `{name}`",
            label=f"`{name}` is missing",
            help=f"add `{name}:` ({describe_type(input_type(spec))}) under `inputs:`",
            related=[self._declaration(name)],
        )

    def _declaration(self, name: str) -> Related:
        called = self.called
        section = child(called.spec.node, "inputs")
        key = section.key(name) if isinstance(section, Mapping) else None
        span = key.span if key is not None else called.spec.node.span
        return Related(f"`{name}` is declared here", called.document.source, span)


def _is_needed(spec: InputSpec) -> bool:
    return spec.required and not spec.has_default and spec.default_from_env is None
